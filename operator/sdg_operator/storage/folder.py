"""A plain folder as a store: the same commands work on a laptop without a bucket."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sdg_operator.storage.store import ObjectInfo, ObjectNotFound, ObjectTooLarge, StorageRefused, StorageUnavailable

_PART = ".part-"


class FolderStore:
    """Objects are files below `root`; a write is a rename, so it is whole or not there."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def put_bytes(self, key: str, body: bytes) -> None:
        with self._part(key) as part:
            part.write_bytes(body)

    def put_file(self, key: str, path: Path) -> None:
        with self._part(key) as part:
            shutil.copyfile(path, part)

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        with _told("read", key):
            return self._existing(key, max_bytes).read_bytes()

    def get_start(self, key: str, length: int) -> bytes:
        with _told("read", key), self._existing(key).open("rb") as file:
            return file.read(length)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with _told("read", key), self._existing(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def begin_upload(self, key: str) -> str:
        target = self._path(key)
        with _told("write", key):
            target.parent.mkdir(parents=True, exist_ok=True)
            return tempfile.mkdtemp(dir=target.parent, prefix=_PART)

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        part = Path(upload) / f"{_PART}{number}"
        with _told("write", key):
            part.write_bytes(body)
        return part.name

    def finish_upload(self, key: str, upload: str, parts: Sequence[str]) -> None:
        with self._part(key) as whole, whole.open("wb") as file:
            for name in parts:
                file.write((Path(upload) / name).read_bytes())
        self.drop_upload(key, upload)

    def drop_upload(self, key: str, upload: str) -> None:
        with _told("delete", key):
            shutil.rmtree(upload)

    def get_file(self, key: str, path: Path, max_bytes: int | None = None) -> None:
        part = path.with_name(path.name + ".part")
        with _told("read", key):
            shutil.copyfile(self._existing(key, max_bytes), part)
            part.replace(path)

    def head(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        with _told("look at", key):
            return self._info(path) if path.is_file() else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _told("list", prefix):
            folders = os.walk(self._root / prefix.rpartition("/")[0])
            files = [Path(folder) / name for folder, _, names in folders for name in names]
            keys = sorted(file.relative_to(self._root).as_posix() for file in files if not file.name.startswith(_PART))
        for key in keys:
            # Another program may delete one meanwhile.
            if key.startswith(prefix) and (info := self.head(key)) is not None:
                yield info

    def delete(self, key: str) -> None:
        with _told("delete", key):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or key.startswith("/") or not key:
            raise StorageRefused("InvalidKey", f"{key!r} is not a key inside the folder")
        return path

    @contextmanager
    def _part(self, key: str) -> Iterator[Path]:
        """A file to write, which takes the place of an object when the block ends well."""
        target = self._path(key)
        with _told("write", key):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=_PART)
            os.close(descriptor)
            part = Path(name)
            try:
                yield part
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)

    def _existing(self, key: str, max_bytes: int | None = None) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise ObjectNotFound(key)
        size = path.stat().st_size
        if max_bytes is not None and size > max_bytes:
            raise ObjectTooLarge(key, size, max_bytes)
        return path

    def _info(self, path: Path) -> ObjectInfo:
        stat = path.stat()
        etag = hashlib.sha256(f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}".encode()).hexdigest()[:32]
        return ObjectInfo(path.relative_to(self._root).as_posix(), stat.st_size, etag)


@contextmanager
def _told(verb: str, key: str) -> Iterator[None]:
    """Word what the file system says: a full disk may be cleared, so it is worth trying again."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable("FolderFailed", f"could not {verb} {key!r}: {error.strerror}") from error
