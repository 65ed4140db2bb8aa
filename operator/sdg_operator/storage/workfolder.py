"""Reading files that another container wrote, without being led elsewhere by it."""

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_MAX_NAMES: Final = 200_000
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Untrusted(Exception):
    """A file is not what it should be: a link, a FIFO, a device, or larger than the bound."""


class WorkFolder:
    """A folder whose files are opened relative to its descriptor, one component at a time, never through a link."""

    def __init__(self, root: Path) -> None:
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._fd)

    @contextmanager
    def open(self, path: str, max_bytes: int | None = None) -> Iterator[BinaryIO]:
        """Open a regular file of at most `max_bytes`; raises FileNotFoundError or `Untrusted`."""
        with self._folder_of(path) as (folder, name):
            fd = _open(name, _FILE, folder, path)
        try:
            _check(os.fstat(fd), path, max_bytes)
            stream = os.fdopen(fd, "rb")
        except BaseException:
            os.close(fd)
            raise
        with stream:
            yield stream

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """The content of a small file; None if it is not there."""
        try:
            with self.open(path, max_bytes) as stream:
                return stream.read(max_bytes)
        except FileNotFoundError:
            return None

    def blocks(self, path: str, max_bytes: int) -> Iterator[bytes]:
        """The content of a large file, piece by piece. It may grow meanwhile, but no more than `max_bytes` are read."""
        left = max_bytes
        with self.open(path, max_bytes) as stream:
            while block := stream.read(2**20):
                left -= len(block)
                if left < 0:
                    raise _too_large(path, max_bytes)
                yield block

    def names(self, path: str) -> list[str]:
        """Names in a folder, in order; empty if it is not there. Raises `Untrusted`."""
        try:
            folder = self._descend(path.split("/"))
        except FileNotFoundError:
            return []
        try:
            with os.scandir(folder) as entries:
                found = [entry.name for entry in itertools.islice(entries, _MAX_NAMES + 1)]
        finally:
            os.close(folder)
        if len(found) > _MAX_NAMES:
            raise Untrusted(f"{path} holds more than {_MAX_NAMES} files")
        return sorted(found)

    def touch(self, path: str) -> None:
        """Make an empty file; none is opened that is there already. Raises `Untrusted`, also if its folder is gone."""
        try:
            with self._folder_of(path) as (folder, name):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o644, dir_fd=folder))
        except FileExistsError:
            return
        except OSError as error:
            raise Untrusted(f"{path} cannot be made: {error.strerror}") from error

    @contextmanager
    def _folder_of(self, path: str) -> Iterator[tuple[int, str]]:
        *folders, name = path.split("/")
        folder = self._descend(folders)
        try:
            yield folder, name
        finally:
            os.close(folder)

    def _descend(self, parts: list[str]) -> int:
        fd = os.dup(self._fd)
        for index, part in enumerate(parts):
            try:
                inner = _open(part, _FOLDER, fd, "/".join(parts[: index + 1]))
            finally:
                os.close(fd)
            fd = inner
        return fd


def _open(name: str, flags: int, folder: int, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Untrusted(f"{path} cannot be opened: {error.strerror}") from error


def _check(info: os.stat_result, path: str, max_bytes: int | None) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise Untrusted(f"{path} is not a regular file")
    if info.st_nlink != 1:
        raise Untrusted(f"{path} has another name elsewhere")
    if max_bytes is not None and info.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: str, max_bytes: int) -> Untrusted:
    return Untrusted(f"{path} has more than the {max_bytes} bytes that are read")
