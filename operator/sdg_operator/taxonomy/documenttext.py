"""Tells which documents cannot be used, and which give nothing to make samples of."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from typing import Final

from sdg_operator.taxonomy.markdowntext import has_text
from sdg_operator.taxonomy.snapshot import DocumentFile

_CHUNK: Final = 1 << 16
_LFS: Final = b"version https://git-lfs"
_READ_BYTES: Final = 1 << 20
"""A document of more bytes is taken without a look for its text."""


def unreadable(document: DocumentFile) -> str | None:
    """Say why a document cannot be used; None when it can."""
    with document.path.open("rb") as file:
        begin = file.read(len(_LFS))
    if begin == _LFS:
        return "is a Git LFS pointer, and LFS files are not fetched; keep the file in Git itself"
    if document.path.suffix == ".pdf":
        return None
    if begin.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "is UTF-16 text; save it as UTF-8"
    decoder = getincrementaldecoder("utf-8")()
    try:
        with document.path.open("rb") as file:
            while piece := file.read(_CHUNK):
                if "\0" in decoder.decode(piece):
                    return "has NUL characters; it is no text"
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    return None


def without_text(document: DocumentFile) -> bool:
    """Tell whether a readable document gives nothing to make samples of."""
    if document.size == 0:
        return True
    if document.path.suffix == ".pdf" or document.size > _READ_BYTES:
        return False
    return not has_text(document.path.read_text("utf-8"))
