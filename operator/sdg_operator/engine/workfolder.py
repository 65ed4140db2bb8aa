"""The engine's work folder: the paths of `contract` and the only ways in which they are read and written.

What others put there is read as plain files only (no links, no devices) and up to a size. What is left there appears
whole or not at all: it is written aside, on the same file system, and renamed.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineResult, EngineSettings, ExitCode, LeafResult, Progress
from sdg_operator.engine.failure import EngineFailure, LeafFailure
from sdg_operator.storage.records import Record

MAX_QNA_BYTES = 4 << 20
MAX_DOCUMENT_BYTES = 64 << 20
MAX_SETTINGS_BYTES = 64 << 20

RecordT = TypeVar("RecordT", bound=Record)


class NotPlain(Exception):
    """A path is no regular file of a bearable size."""


def read_plain(path: Path, max_bytes: int) -> bytes:
    """Read a regular file without following a link at its end.

    Raises FileNotFoundError and NotPlain.
    """
    with _open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise NotPlain(f"{path.name} has {size} bytes, more than {max_bytes}")
        return file.read(max_bytes)


def _open_plain(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotPlain(f"{path.name} cannot be opened as a plain file: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain(f"{path.name} is no regular file")
    return os.fdopen(descriptor, "rb")


@dataclass(frozen=True, slots=True)
class WorkFolder:
    root: Path

    @property
    def scratch(self) -> Path:
        """Our own folder: caches, and files before they are renamed into `out`."""
        return self.root / "tmp"

    @property
    def pipeline(self) -> Path:
        return self.root / "in" / "pipeline"

    @property
    def logs(self) -> Path:
        return self.root / "out" / "logs"

    @property
    def progress(self) -> Path:
        return self.root / "out" / "progress.json"

    @property
    def result(self) -> Path:
        return self.root / "out" / "result.json"

    @property
    def sync(self) -> Path:
        return self.root / "sync"

    def leaf_in(self, leaf: str) -> Path:
        return self.root / "in" / "leaves" / leaf

    def leaf_out(self, leaf: str) -> Path:
        return self.root / "out" / "leaves" / leaf

    def checkpoints_out(self, leaf: str) -> Path:
        return self.root / "out" / "checkpoints" / leaf

    def checkpoint_files(self, leaf: str, name: str) -> list[Path]:
        """Where a checkpoint may lie: what this container wrote before what earlier attempts left."""
        return [self.checkpoints_out(leaf) / name, self.root / "in" / "checkpoints" / leaf / name]

    def settings(self) -> EngineSettings:
        path = self.root / "in" / "settings.json"
        try:
            settings = EngineSettings.model_validate_json(read_plain(path, MAX_SETTINGS_BYTES))
        except (OSError, NotPlain, ValidationError) as error:
            raise EngineFailure(
                ExitCode.INVALID_INPUT, "InvalidSettings", f"in/settings.json cannot be used: {error}"
            ) from error
        if not settings.leaves:
            raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidSettings", "in/settings.json names no leaf to make")
        return settings

    def qna(self, leaf: str) -> bytes:
        try:
            return read_plain(self.leaf_in(leaf) / "qna.yaml", MAX_QNA_BYTES)
        except (OSError, NotPlain) as error:
            raise LeafFailure("InvalidLeaf", f"qna.yaml cannot be read: {_why(error)}") from error

    def documents(self, leaf: str) -> list[Path]:
        """Return a knowledge leaf's documents in order of their name; everything in the folder must be a plain file."""
        folder = self.leaf_in(leaf) / "documents"
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LeafFailure("InvalidLeaf", f"documents/ cannot be listed: {error.strerror}") from error
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                raise LeafFailure("InvalidLeaf", f"documents/{entry.name} is no regular file")
        return [folder / entry.name for entry in entries]

    def document(self, path: Path) -> bytes:
        try:
            return read_plain(path, MAX_DOCUMENT_BYTES)
        except (OSError, NotPlain) as error:
            raise LeafFailure("InvalidLeaf", f"documents/{path.name} cannot be read: {_why(error)}") from error

    def write(self, path: Path, parts: Iterable[bytes]) -> None:
        """Put a file in its place whole: a reader, a kill or a full disk never leave half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(parents=True, exist_ok=True)
        aside = self.scratch / f"{path.parent.name}-{path.name}.part"
        with aside.open("wb") as file:
            file.writelines(parts)
        aside.replace(path)

    def leaf_result(self, leaf: str) -> LeafResult | None:
        """Return what an earlier start in the same folder left for a leaf, if it is whole."""
        try:
            return LeafResult.model_validate_json((self.leaf_out(leaf) / "leaf.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def write_leaf_result(self, result: LeafResult) -> None:
        self.write(self.leaf_out(result.leaf) / "leaf.json", [result.to_json()])

    def write_progress(self, progress: Progress) -> None:
        self.write(self.progress, [progress.to_json()])

    def write_result(self, result: EngineResult) -> None:
        self.write(self.result, [result.to_json()])


def _why(error: OSError | NotPlain) -> str:
    """Say what is wrong with a file, without where it lies on this machine."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def lines(path: Path) -> Iterator[bytes]:
    """Yield a plain file's lines without their end. Only ``\\n`` ends a line: samples may hold U+2028 and its like.

    Raises FileNotFoundError and NotPlain.
    """
    with _open_plain(path) as file:
        for line in file:
            yield line.rstrip(b"\n")
