"""Fetches the documents that knowledge leaves name, each repository and commit once."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from sdg_operator.storage.records import DocumentRepository
from sdg_operator.taxonomy.check import Leaf
from sdg_operator.taxonomy.choice import Chooser, PatternError
from sdg_operator.taxonomy.documenttext import unreadable, without_text
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.files import Entry
from sdg_operator.taxonomy.nomatch import listed, shown
from sdg_operator.taxonomy.qna import DocumentSource
from sdg_operator.taxonomy.report import Problem, Reason
from sdg_operator.taxonomy.repository import Access, Repository
from sdg_operator.taxonomy.snapshot import DocumentFile

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(slots=True)
class Gathered:
    """Documents by leaf id, and what is wrong."""

    documents: dict[str, tuple[DocumentFile, ...]] = field(default_factory=dict)
    repositories: list[DocumentRepository] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    retriable: bool = True
    external: bool = False
    """Something is wrong with a repository, not only with what the taxonomy says of it."""

    @property
    def reason(self) -> Reason:
        """The gravest: what could not be fetched comes before what was not found in it."""
        order: tuple[Reason, ...] = ("SecretIncomplete", "CloneFailed", "TooLarge", "TimedOut", "DocumentsNotFound")
        return next((reason for reason in order if reason in self.reasons), "InvalidTaxonomy")


def gather(leaves: Iterable[Leaf], access: Access) -> Gathered:
    """Fetch the documents of every leaf that names some.

    What is wrong with one leaf's documents does not keep the others' from being looked at. Raises `CheckError` with
    reason TooLarge or TimedOut when a limit on the whole is reached.
    """
    work = _Gathering(access)
    by_repository: dict[tuple[str, str], list[tuple[Leaf, DocumentSource]]] = {}
    for leaf in leaves:
        if leaf.qna.document:
            key = (leaf.qna.document.repo, leaf.qna.document.commit)
            by_repository.setdefault(key, []).append((leaf, leaf.qna.document))
    for users in by_repository.values():
        access.deadline.left()
        work.take(users)
    work.result.warnings = _bounded(work.result.warnings, access.limits.problems)
    return work.result


class _Gathering:
    def __init__(self, access: Access) -> None:
        self.result = Gathered()
        self._access = access
        self._bytes = 0
        self._files = 0

    def take(self, users: list[tuple[Leaf, DocumentSource]]) -> None:
        """Fetch one repository at one commit, for all leaves that use it."""
        _, source = users[0]
        folder = self._access.work / "repository"
        try:
            repository = Repository(source.repo, self._access, folder)
            revision = repository.fetch(source.commit, contents=False)
            entries = list(repository.entries(revision.commit))
            chooser = Chooser(revision.commit, entries, self._access.deadline, repository.default_branch)
            choices = [(leaf, one, self._choose(leaf, one, chooser)) for leaf, one in users]
            repository.bring(entry for _, _, chosen in choices for entry in chosen)
            for leaf, one, chosen in choices:
                if chosen:
                    self._take_leaf(leaf, one, repository, chosen)
        except CheckError as error:
            if error.reason not in {"CloneFailed", "SecretIncomplete", "TooLarge", "TimedOut"}:
                raise
            for leaf, one in users:
                self._refuse(leaf, one, "repo", error)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        ids = tuple(leaf.id for leaf, _ in users)
        report = DocumentRepository(url=str(repository.url), asked=source.commit, commit=revision.commit, leaves=ids)
        self.result.repositories.append(report)
        if revision.note:
            self.result.warnings += [one.problem(leaf.qna.file, "commit", revision.note) for leaf, one in users]

    def _choose(self, leaf: Leaf, source: DocumentSource, chooser: Chooser) -> tuple[Entry, ...]:
        """Choose the documents of a leaf; none where its patterns are refused."""
        try:
            choice = chooser.choose(source.patterns)
        except PatternError as error:
            self._refuse(leaf, source, error.field, error.cause, external=error.external)
            return ()
        self.result.warnings += [source.problem(leaf.qna.file, place, message) for place, message in choice.warnings]
        self._files += len(choice.entries)
        if self._files > (most := self._access.limits.documents):
            raise CheckError("TooLarge", f"the leaves have more than {most} documents together")
        return choice.entries

    def _take_leaf(self, leaf: Leaf, source: DocumentSource, repository: Repository, chosen: tuple[Entry, ...]) -> None:
        target = self._access.work / "documents" / leaf.id
        target.mkdir(parents=True, exist_ok=True)
        names = names_in_snapshot([entry.path for entry in chosen])
        files: list[DocumentFile] = []
        without: dict[str, DocumentFile] = {}
        with repository.reader() as read:
            for entry, name in zip(chosen, names, strict=True):
                self._access.deadline.left()
                file = self._write(entry, target / name, read)
                if why := unreadable(file):
                    failure = CheckError("InvalidTaxonomy", f"{shown(entry.path)} {why}")
                    self._refuse(leaf, source, "patterns.0", failure)
                    return
                if without_text(file):
                    without[entry.path] = file
                else:
                    files.append(file)
        if not files:
            self._refuse(leaf, source, "patterns.0", CheckError("InvalidTaxonomy", _nothing_to_read(without)))
            return
        if without:
            message = f"{listed(list(without))}: no text besides headings and the like; left out"
            self.result.warnings.append(source.problem(leaf.qna.file, "patterns.0", message))
        self.result.documents[leaf.id] = tuple(files)

    def _write(self, entry: Entry, path: Path, read: Callable[[str, Callable[[bytes], object]], None]) -> DocumentFile:
        digest = hashlib.sha256()
        most = self._access.limits.document_bytes
        with path.open("wb") as file:

            def write(piece: bytes) -> None:
                self._bytes += len(piece)
                if self._bytes > most:
                    raise CheckError("TooLarge", f"the documents have more than {most} bytes together")
                digest.update(piece)
                file.write(piece)

            read(entry.sha, write)
            size = file.tell()
        return DocumentFile(path.name, path, size, digest.hexdigest())

    def _refuse(
        self, leaf: Leaf, source: DocumentSource, field_name: str, error: CheckError, *, external: bool = True
    ) -> None:
        self.result.problems.append(source.problem(leaf.qna.file, field_name, error.message))
        self.result.reasons.append(error.reason)
        self.result.retriable = self.result.retriable and error.retriable
        self.result.external = self.result.external or external


def _bounded(warnings: list[Problem], most: int) -> list[Problem]:
    more = len(warnings) - most
    return warnings if more <= 0 else [*warnings[:most], Problem(message=f"{more} further ones are not listed")]


def _nothing_to_read(without: dict[str, DocumentFile]) -> str:
    one = len(without) == 1
    if all(file.size == 0 for file in without.values()):
        what = "is empty" if one else "are empty"
    else:
        what = f"{'has' if one else 'have'} no text besides headings and the like"
    names = listed(list(without))
    return f"{names} {what}; samples are made of text: write some, or let the patterns match other documents"


def names_in_snapshot(paths: list[str]) -> list[str]:
    """Give each its name in the snapshot: the path with ``__`` for ``/``, plain characters only, each different."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # the last one given, so that thousands of like paths are not counted up each
    names = []
    for path in paths:
        pure = PurePosixPath(path)
        stem = _UNSAFE.sub("_", str(pure.with_suffix("")).replace("/", "__")).lstrip(".-") or "document"
        name = first = f"{stem[-150:]}{pure.suffix.lower()}"
        while name.casefold() in taken:
            number = numbers[first.casefold()] = numbers.get(first.casefold(), 1) + 1
            name = f"{stem[-150:]}-{number}{pure.suffix.lower()}"
        taken.add(name.casefold())
        names.append(name)
    return names
