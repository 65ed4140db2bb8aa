"""Brings the taxonomy itself: from the bucket, or from a Git repository."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sdg_operator.storage.store import ObjectNotFound, StorageRefused, Store
from sdg_operator.taxonomy.archive import read_archive
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.report import Reason
from sdg_operator.taxonomy.repository import Access, Repository
from sdg_operator.taxonomy.request import BucketObject, GitTree, Limits
from sdg_operator.taxonomy.tree import Tree, TreeBuilder

_READS = 3


@dataclass(frozen=True, slots=True)
class Read:
    """A taxonomy that was read, and exactly what of the source."""

    tree: Tree
    revision: str
    """ETag or commit."""
    only: frozenset[str] | None = None
    """With a base ref: the files of the tree that are new or changed."""


def read_bucket(source: BucketObject, store: Store, work: Path, limits: Limits) -> Read:
    """Read a TAR.gz from the bucket.

    Raises `CheckError`: SourceNotFound, TooLarge, ArchiveRefused; SourceUnavailable when it changes all the time.
    """
    file = work / "taxonomy.tar.gz"
    for _ in range(_READS):
        before = store.head(source.key)
        if before is None:
            message = f"there is no object {source.key!r} in the bucket; check the key, or upload the taxonomy"
            raise CheckError("SourceNotFound", message)
        try:
            store.get_file(source.key, file, max_bytes=limits.download_bytes)
        except ObjectNotFound:
            continue
        except StorageRefused as error:
            if error.reason == "TooLarge":
                raise CheckError("TooLarge", error.message) from error
            raise
        after = store.head(source.key)
        if after is not None and after.etag == before.etag:  # what was read is what the ETag names
            with _of_revision(before.etag), file.open("rb") as stream:
                return Read(read_archive(stream, limits), before.etag)
    raise CheckError("SourceUnavailable", f"the object {source.key!r} changed while it was read", retriable=True)


def read_git(source: GitTree, access: Access) -> Read:
    """Read a folder of a Git repository at a ref.

    Raises `CheckError`: SourceRefused in place of CloneFailed, which is about documents; TooLarge, ArchiveRefused.
    """
    folder = access.work / "repository"
    try:
        return _read_git(source, access, folder)
    except CheckError as error:
        if error.reason != "CloneFailed":
            raise
        reason: Reason = "SourceUnavailable" if error.retriable else "SourceRefused"
        refused = CheckError(reason, error.message, retriable=error.retriable)
        refused.revision = error.revision
        raise refused from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_git(source: GitTree, access: Access, folder: Path) -> Read:
    parts = [part for part in (source.path or "").split("/") if part not in {"", "."}]
    if ".." in parts:
        raise CheckError("SourceRefused", f"spec.source.git.path {source.path!r} leaves the repository (..)")
    path = "/".join(parts)
    repository = Repository(source.url, access, folder)
    only = None
    if source.base_ref is None:
        commit = repository.fetch(source.ref).commit
    else:
        commit, parted = repository.fetch_history(source.ref, source.base_ref)
        prefix = f"{path}/" if path else ""
        changed = repository.changed(parted, commit)
        only = frozenset(name.removeprefix(prefix) for name in changed if name.startswith(prefix))
    builder = TreeBuilder(access.limits)
    with _of_revision(commit), repository.reader() as read:
        for entry in repository.entries(commit, path):
            if entry.is_link:
                builder.link(entry.path)
            elif entry.is_submodule:
                builder.submodule(entry.path)
            elif entry.is_file:

                def content(sha: str = entry.sha) -> bytes:
                    buffer = io.BytesIO()
                    read(sha, buffer.write)
                    return buffer.getvalue()

                builder.file(entry.path, entry.size, content)
    return Read(builder.tree, commit, only)


@contextmanager
def _of_revision(revision: str) -> Iterator[None]:
    """Note on a refusal what was read, so that it is not taken for news when it is seen again."""
    try:
        yield
    except CheckError as error:
        error.revision = revision
        raise
