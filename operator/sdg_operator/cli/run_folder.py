"""The folder OUT of ``sdg engine run``: what in it is ours, and one run at a time."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sdg_operator.cli.run_usage import WrongUsage
from sdg_operator.storage.container import read_inputs
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE, RunLayout
from sdg_operator.storage.records import Manifest, MixPlan, RunInputs
from sdg_operator.storage.store import ObjectNotFound, StorageError

WORK: Final = ".sdg-work"
_MARK: Final = "made-by-sdg"
_LOCK: Final = ".sdg-lock"
_MAX_PLAN_BYTES: Final = 64 << 20


@contextmanager
def locked(out: Path, layout: RunLayout) -> Iterator[tuple[Path, int]]:
    """Make OUT ours for one run; yields the work folder in it, and the lock's descriptor: whoever holds it keeps others
    out. Raises WrongUsage if somebody else's files are where ours would be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise WrongUsage(f"OUT {out} cannot be a folder for the result: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WrongUsage(f"another sdg works in {out}; wait until it ends, or stop it") from error
        try:
            work = _our_work(out, layout)
        except OSError as error:
            raise WrongUsage(f"OUT {out} cannot be used: {error.strerror}") from error
        yield work, lock
    finally:
        os.close(lock)


def _our_work(out: Path, layout: RunLayout) -> Path:
    result, work = out / layout.root, out / WORK
    if _holds_something(result) and not (out / layout.inputs).is_file():
        raise WrongUsage(f"{result} is not of sdg, and would be overwritten; choose another OUT")
    if _holds_something(work) and not (work / _MARK).is_file():
        raise WrongUsage(f"{work} is not of sdg, and would be deleted; choose another OUT")
    work.mkdir(exist_ok=True)
    (work / _MARK).touch()
    return work


def _holds_something(path: Path) -> bool:
    if path.is_symlink():
        return True
    try:
        return any(path.iterdir())
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True


def remove_work(work: Path) -> None:
    """The mark goes last: a kill in between leaves a folder that is still known as ours."""
    for entry in work.iterdir():
        if entry.name != _MARK:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    shutil.rmtree(work)


def take_inputs(store: FolderStore, layout: RunLayout, inputs: RunInputs) -> None:
    """Write what this run depends on. If the last one in this folder depended on something else, what it gave goes
    first, so that nothing that stands there looks as if it were of this one."""
    try:
        last = read_inputs(store, layout)
    except StorageError:
        last = None
    if last is None or last.model_copy(update={"max_concurrency": inputs.max_concurrency}) != inputs:
        _remove_training_files(store, layout)
    store.put_bytes(layout.inputs, inputs.to_json())


def take_plan(store: FolderStore, layout: RunLayout, plan: MixPlan) -> None:
    """Write what is mixed. Training files of something else go, so that they never stand beside another manifest."""
    body = plan.to_json()
    last = None
    with contextlib.suppress(ObjectNotFound):
        last = store.get_bytes(layout.mix, _MAX_PLAN_BYTES)
    if body != last:
        _remove_training_files(store, layout)
    store.put_bytes(layout.mix, body)


def _remove_training_files(store: FolderStore, layout: RunLayout) -> None:
    for key in (layout.manifest, layout.file(KNOWLEDGE_TRAIN_FILE), layout.file(SKILLS_TRAIN_FILE)):
        store.delete(key)


def remove_other_artifacts(store: FolderStore, layout: RunLayout, manifest: Manifest) -> None:
    """Remove samples of leaves that an earlier run in this folder had, and this one has not."""
    named = {layout.file(file.path) for file in manifest.files}
    for info in list(store.list(layout.file("artifacts/"))):
        if info.key not in named:
            store.delete(info.key)
