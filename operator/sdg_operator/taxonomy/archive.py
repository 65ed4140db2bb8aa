"""Reads a TAR.gz as a stream: nothing is written to disk, and no more is unpacked than the limits allow."""

import gzip
import io
import tarfile
import zlib
from typing import BinaryIO, Final, Self

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.tree import LEAF_FILE, Tree, TreeBuilder, printable

_HEADER_BYTES: Final = 1 << 20
"""Most that the headers before one entry may take. Long names and PAX records are read into memory by tarfile."""
_CHUNK: Final = 1 << 16
_GZIP_MAGIC: Final = b"\x1f\x8b"
_USTAR: Final = slice(257, 262)
"""Where a TAR's header says that it is one."""
_OTHER_FORMATS: Final = {
    b"PK": "a ZIP file",
    b"BZh": "a bzip2 file",
    b"\xfd7z": "an xz file",
    b"\x28\xb5": "a zstd file",
    b"7z": "a 7-Zip file",
    b"Rar!": "a RAR file",
    b"<": "a page (HTML or XML), as a server gives in place of a file",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
_BROKEN: Final = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError, RecursionError)
"""What the libraries raise at an archive that is none; the last for headers upon headers before one entry."""


class _Entry(tarfile.TarInfo):
    """A header; what is none is an error also after the first one, where tarfile takes it for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # a block of zeros: the end
                raise
            raise tarfile.ReadError(str(error)) from error


class _Budget(io.RawIOBase):
    """The unpacked bytes, counted: in all, and between two entries."""

    def __init__(self, stream: io.BufferedIOBase, total: int) -> None:
        self._stream = stream
        self._total = total
        self._left = total
        self._allowed = 0
        self.last = ""

    def allow(self, count: int) -> None:
        """Allow this many bytes to be read until the next call."""
        self._allowed = count

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        self._allowed -= len(data)
        where = f"after {self.last}" if self.last else "at its beginning"
        if self._left < 0:
            raise CheckError("TooLarge", f"unpacked, the archive has more than {self._total} bytes ({where})")
        if self._allowed < 0:
            raise CheckError("ArchiveRefused", f"an entry's header has more than {_HEADER_BYTES} bytes ({where})")
        return data


def read_archive(stream: BinaryIO, limits: Limits) -> Tree:
    """Read a TAR.gz of any depth from a seekable stream.

    Raises `CheckError` (ArchiveRefused, TooLarge) naming the entry. Errors of the stream itself are passed on.
    """
    head = stream.read(tarfile.BLOCKSIZE)
    if not head.startswith(_GZIP_MAGIC):
        raise CheckError("ArchiveRefused", f"not a gzip-compressed TAR: it is {_kind(head)}; make it with `tar -czf`")
    stream.seek(0)
    budget = _Budget(gzip.GzipFile(fileobj=stream, mode="rb"), limits.archive_bytes)
    try:
        tree = _read_entries(budget, limits)
    except _BROKEN as error:
        where = f"after {budget.last}" if budget.last else "at its beginning"
        message = f"the archive is cut off or broken {where}: {error}; upload it again"
        raise CheckError("ArchiveRefused", message) from error
    return tree


def _kind(head: bytes) -> str:
    """Say what a file is that begins so and is not gzip."""
    if not head:
        return "empty"
    if head[_USTAR].startswith(b"ustar"):
        return "a TAR that is not compressed"
    return next((text for magic, text in _OTHER_FORMATS.items() if head.startswith(magic)), "something else")


def _read_entries(budget: _Budget, limits: Limits) -> Tree:
    builder = TreeBuilder(limits)
    budget.allow(_HEADER_BYTES)
    # "r|": strictly forward, so a member's data must be passed before the next header is looked at.
    with tarfile.open(fileobj=budget, mode="r|", encoding="utf-8", errors="surrogateescape", tarinfo=_Entry) as archive:
        while (entry := archive.next()) is not None:
            # tarfile would keep each, with a copy of all that stands for the whole archive.
            archive.members.clear()  # type: ignore[attr-defined]
            budget.last = printable(entry.name)
            if entry.isdir():
                builder.folder(entry.name)
            elif entry.issym():
                builder.link(entry.name)
            elif not entry.isreg() or entry.issparse() or entry.size < 0:
                message = "is a hard link, a device, a pipe or a sparse file; a taxonomy has only files and folders"
                raise CheckError("ArchiveRefused", message, file=printable(entry.name))
            else:
                budget.allow(entry.size + _HEADER_BYTES)
                builder.file(entry.name, entry.size, lambda entry=entry: _content(archive, entry))  # type: ignore[misc]
                continue
            budget.allow(_HEADER_BYTES)
        budget.allow(limits.archive_bytes)
        # The padding after the last entry, then gzip's checksum over all.
        while rest := archive.fileobj.read(_CHUNK):
            if rest.strip(b"\0"):
                raise tarfile.ReadError("there is more after its end, as in two archives one after the other")
    return builder.tree


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    member = archive.extractfile(entry)
    content = member.read() if member else b""
    if len(content) != entry.size:
        raise tarfile.ReadError(f"{LEAF_FILE} ends early")
    return content
