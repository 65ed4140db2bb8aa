"""The container's termination message: last words that Kubernetes keeps, for whoever cannot read the work folder."""

import contextlib
import os
from pathlib import Path

from sdg_operator.storage.records import Record

MESSAGE_ENV = "SDG_TERMINATION_LOG"
_DEFAULT = "/dev/termination-log"
_MAX_BYTES = 3 << 10


def write_termination_message(record: Record) -> None:
    """Write a small record where the container's runtime picks it up; outside a container there is no such place."""
    path = Path(os.environ.get(MESSAGE_ENV, _DEFAULT))
    body = record.to_json()
    if len(body) <= _MAX_BYTES and (MESSAGE_ENV in os.environ or path.is_file()):
        with contextlib.suppress(OSError):
            path.write_bytes(body)
