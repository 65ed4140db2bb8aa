"""Parsing what others can write: a document of a bucket may cost little memory only, whatever it says."""

import threading
from typing import Final, TypeVar

from sdg_operator.storage.records import Versioned

RecordT = TypeVar("RecordT", bound=Versioned)

MAX_BYTES: Final = 64 << 20
_BYTES: Final = 2 << 20
"""A document without leaves: mostly the files of a pipeline, which together have half a MiB."""
_BYTES_A_LEAF: Final = 3072
"""Usual are 400 in a manifest and 800 in a choice of samples; one that failed may say 2,000 characters more."""
_CONTAINERS: Final = 30_000
_CONTAINERS_A_LEAF: Final = 5
_VALUES: Final = 50_000
_VALUES_A_LEAF: Final = 32
"""A manifest has two objects and ten values for a leaf; paths, messages and the files of a pipeline may hold commas."""

ONE_AT_A_TIME: Final = threading.RLock()
"""Stores are looked into from several threads; only one of them takes much memory."""


def most_bytes(leaves: int) -> int:
    """Bound on a document that tells of so many leaves."""
    return min(MAX_BYTES, _BYTES + _BYTES_A_LEAF * leaves)


def parsed(kind: type[RecordT], body: bytes, leaves: int) -> RecordT:
    """Parse a document that tells of no more than so many leaves; raises ValueError (as ValidationError is one)."""
    # Counted before it is parsed: an empty list or object takes some hundred times its bytes.
    if body.count(b"[") + body.count(b"{") > _CONTAINERS + _CONTAINERS_A_LEAF * leaves:
        raise ValueError("it holds too much")
    if body.count(b",") > _VALUES + _VALUES_A_LEAF * leaves:
        raise ValueError("it holds too much")
    with ONE_AT_A_TIME:
        return kind.model_validate_json(body)
