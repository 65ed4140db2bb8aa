"""What the containers of a run have in common: their flags, their store, their records, their exit code."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from sdg_operator.engine.contract import ExitCode
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import RunInputs, Versioned
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.store import InputsLost, StorageRefused, StorageUnavailable, Store

STORAGE_FOLDER_ENV: Final = "SDG_STORAGE_DIR"
STORAGE_FOLDER: Final = "/var/run/secrets/sdg/storage"
MAX_RECORD_BYTES: Final = 64 * 2**20
"""Bound on a JSON record that is read whole; inputs with 10,000 leaves have 3 MB."""

RecordT = TypeVar("RecordT", bound=Versioned)


def arguments(program: str, what: str) -> argparse.ArgumentParser:
    """The flags that every container of a run takes."""
    parser = argparse.ArgumentParser(prog=program, description=what)
    parser.add_argument("--work", type=Path, default=Path("/work"), help="the pod's work folder")
    parser.add_argument("--run-root", required=True, help="folder of the run in the bucket, <prefix>/<uid>")
    parser.add_argument("--store-folder", type=Path, help="use this folder instead of a bucket")
    return parser


def open_store(folder: Path | None) -> Store:
    """The bucket of the mounted Secret, or a plain folder."""
    if folder is not None:
        return FolderStore(folder)
    secret = Path(os.environ.get(STORAGE_FOLDER_ENV, STORAGE_FOLDER))
    return S3Store.from_folder(secret, ca_folder=Path(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108 - the pod's own


def read_record(store: Store, key: str, kind: type[RecordT]) -> RecordT:
    """Read a record that must be there; raises `StorageError`, with InvalidRecord if it is not what it should be."""
    try:
        return kind.model_validate_json(store.get_bytes(key, MAX_RECORD_BYTES))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputsLost(
            "InvalidRecord",
            f"{key!r} is not a {kind.__name__} of a format version that this release reads: {where}: {first['msg']}",
        ) from error


def read_inputs(store: Store, layout: RunLayout) -> RunInputs:
    return read_record(store, layout.inputs, RunInputs)


def refusal_code(refused: StorageRefused) -> ExitCode:
    """The exit code that tells the operator whether it is a matter of rights or of what lies in the bucket."""
    return ExitCode.INPUTS_LOST if isinstance(refused, InputsLost) else ExitCode.STORAGE_REFUSED


def run_container(main: Callable[[], ExitCode]) -> None:
    """Run `main` and exit with its code; a store's refusal or absence becomes one line and the code of its class."""
    try:
        code = main()
    except StorageRefused as refused:
        print(f"{refused.reason}: {refused.message}", file=sys.stderr)  # noqa: T201 - the pod's termination message
        code = refusal_code(refused)
    except StorageUnavailable as away:
        print(f"{away.reason}: {away.message}", file=sys.stderr)  # noqa: T201 - the pod's termination message
        code = ExitCode.STORAGE_UNAVAILABLE
    except Exception:  # a defect, or a full disk: another try may help, and the log says where to look
        traceback.print_exc()
        code = ExitCode.INTERNAL
    sys.exit(code)
