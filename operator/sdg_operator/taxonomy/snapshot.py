"""Packs what was checked into one file that every later run uses. The same content gives the same bytes."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdg_operator.storage.layout import leaf_path
from sdg_operator.storage.records import INDEX_BYTES, DocumentRepository, SnapshotIndex, SnapshotLeaf
from sdg_operator.taxonomy.check import Leaf
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.tree import LEAF_FILE

INDEX_FILE: Final = "index.json"
_TAXONOMY: Final = "taxonomy"
_DOCUMENTS: Final = "documents"


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A document of a leaf, on disk."""

    name: str
    """Name in the snapshot, unique in its leaf."""
    path: Path
    size: int
    sha256: str


def index_of(
    leaves: Iterable[tuple[Leaf, tuple[DocumentFile, ...]]], repositories: Iterable[DocumentRepository] = ()
) -> SnapshotIndex:
    """Describe the leaves of a snapshot, in order of their id, and the `repositories` that their documents are from.

    Raises `CheckError` where no operator would read it.
    """
    entries = [_entry(leaf, documents) for leaf, documents in leaves]
    index = SnapshotIndex(
        leaves=tuple(sorted(entries, key=lambda entry: entry.id)),
        repositories=tuple(sorted(repositories, key=lambda each: (each.url, each.asked))),
    )
    if len(index.to_json()) > INDEX_BYTES:
        what = f"the names of {len(index.leaves)} leaves and of their documents take more than {INDEX_BYTES} bytes"
        raise CheckError("TooLarge", f"{what}; shorten them, or make several taxonomies of this one")
    return index


def write_snapshot(
    target: Path, index: SnapshotIndex, leaves: Iterable[tuple[Leaf, tuple[DocumentFile, ...]]]
) -> tuple[str, int]:
    """Write the TAR.gz, and give its ``sha256:<hex>`` digest and its size in bytes.

    Order, owners, modes and times are fixed. The compressed bytes also depend on the zlib that made them; the digests
    of the leaves do not.
    """
    with target.open("wb") as raw:
        with (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name, content in _members(index, list(leaves)):
                info = tarfile.TarInfo(name)
                info.mode = 0o644
                if isinstance(content, Path):
                    info.size = content.stat().st_size
                    with content.open("rb") as stream:
                        archive.addfile(info, stream)
                else:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        size = raw.tell()
    with target.open("rb") as written:
        return f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}", size


def _members(
    index: SnapshotIndex, leaves: list[tuple[Leaf, tuple[DocumentFile, ...]]]
) -> Iterator[tuple[str, bytes | Path]]:
    yield INDEX_FILE, index.to_json()
    for leaf, _ in sorted(leaves, key=lambda pair: pair[0].id):
        yield f"{_TAXONOMY}/{leaf.folder}/{LEAF_FILE}", leaf.content
    for leaf, documents in sorted(leaves, key=lambda pair: pair[0].id):
        for document in sorted(documents, key=lambda item: item.name):
            yield f"{_DOCUMENTS}/{leaf.id}/{document.name}", document.path


def _entry(leaf: Leaf, documents: tuple[DocumentFile, ...]) -> SnapshotLeaf:
    documents = tuple(sorted(documents, key=lambda item: item.name))
    return SnapshotLeaf(
        id=leaf.id,
        path=leaf_path(leaf.folder),
        folder=f"{_TAXONOMY}/{leaf.folder}",
        kind=leaf.qna.kind,
        digest=_digest(leaf, documents),
        seeds=leaf.qna.seeds,
        documents=tuple(f"{_DOCUMENTS}/{leaf.id}/{item.name}" for item in documents),
        document_bytes=sum(item.size for item in documents),
    )


def _digest(leaf: Leaf, documents: tuple[DocumentFile, ...]) -> str:
    """Digest of all that the leaf itself gives to its samples: qna.yaml and documents, in order, by name."""
    digest = hashlib.sha256(b"leaf 1\n")
    digest.update(f"{leaf.folder}\n{hashlib.sha256(leaf.content).hexdigest()}\n".encode())
    for document in documents:
        digest.update(f"{document.name}\n{document.sha256}\n".encode())
    return f"sha256:{digest.hexdigest()}"
