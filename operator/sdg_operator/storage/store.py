"""What we need of an object store, and the two ways it can say no."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int
    """Bytes."""
    etag: str
    """Changes when the content does; quotes removed."""


class StorageError(Exception):
    """A store did not do what was asked.

    `reason` is one word for machines; the message says what was asked of which object and what to mend. It never holds
    a response body or a credential.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class StorageRefused(StorageError):
    """The store answered no: credentials, rights, bucket or an object. Trying again alone will not help."""


class InputsLost(StorageRefused):
    """What the bucket should hold is gone, or is not what was recorded of it."""


class ObjectNotFound(InputsLost):
    """There is no such object."""

    def __init__(self, key: str) -> None:
        super().__init__("ObjectNotFound", f"there is no object {key!r} in the bucket")
        self.key = key


class ObjectTooLarge(InputsLost):
    """An object is larger than what is read of its kind."""

    def __init__(self, key: str, size: int, max_bytes: int) -> None:
        super().__init__("TooLarge", f"object {key!r} has {size} bytes, more than the {max_bytes} that are read")


class StorageUnavailable(StorageError):
    """The store did not answer, or is overloaded. Trying again later may help."""


class Store(Protocol):
    """A bucket. Needs PUT, GET, HEAD, LIST, DELETE and multipart uploads of a store, nothing else.

    Every method raises `StorageRefused` or `StorageUnavailable`.
    """

    def put_bytes(self, key: str, body: bytes) -> None:
        """Write a whole object; readers see the old or the new one, never a part."""

    def put_file(self, key: str, path: Path) -> None:
        """Write a file of any size as an object."""

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        """Read a whole object; raises `ObjectTooLarge` beyond `max_bytes`, `ObjectNotFound` if absent."""

    def get_start(self, key: str, length: int) -> bytes:
        """Read the first `length` bytes of an object, or all of a smaller one; `ObjectNotFound` if absent."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Read `length` bytes of an object from `start` on; `ObjectNotFound` if absent."""

    def begin_upload(self, key: str) -> str:
        """Begin to write an object part by part; gives the upload's name."""

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Write a part (numbers from 1; all but the last 5 MiB or more); gives what `finish_upload` wants of it."""

    def finish_upload(self, key: str, upload: str, parts: Sequence[str]) -> None:
        """Have the object appear, made of all parts in order."""

    def drop_upload(self, key: str, upload: str) -> None:
        """Forget an upload and its parts."""

    def get_file(self, key: str, path: Path, max_bytes: int | None = None) -> None:
        """Read an object of any size into a file, which appears only when it is whole."""

    def head(self, key: str) -> ObjectInfo | None:
        """Look at an object without reading it; None if there is none."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in order of their keys."""

    def delete(self, key: str) -> None:
        """Remove an object; no error if there is none."""
