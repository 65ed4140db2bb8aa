"""Chooses the documents of a leaf among the files of a commit, and says why where there are none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.files import Entry
from sdg_operator.taxonomy.nomatch import (
    KINDS,
    by_form,
    by_likeness,
    by_place,
    kind,
    listed,
    of_another_kind,
    quoted,
    shown,
)
from sdg_operator.taxonomy.patterns import matches, refusal
from sdg_operator.taxonomy.report import Reason
from sdg_operator.taxonomy.repository import Tip

_EXPLAINED: Final = 20
"""Patterns of a leaf without a match that are spoken of one by one."""
_PDF: Final = (
    "the documents are PDF files, which the default engine reads only where its image has the extra pdf; "
    "Markdown is read everywhere"
)


class PatternError(Exception):
    """A leaf's patterns cannot be used; `number` is the pattern's."""

    def __init__(self, number: int, reason: Reason, message: str, *, external: bool = True) -> None:
        self.field = f"patterns.{number}"
        self.external = external
        self.cause = CheckError(reason, message)
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Choice:
    """The documents of a leaf, in order, and what its author should know: field and message."""

    entries: tuple[Entry, ...]
    warnings: tuple[tuple[str, str], ...]


class Chooser:
    """Chooses among the files of one commit."""

    def __init__(
        self, commit: str, entries: Sequence[Entry], deadline: Deadline, look: Callable[[], Tip | None]
    ) -> None:
        """Take `look`, which brings the default branch's files; it is asked at most once."""
        self._commit = commit
        self._entries = entries
        self._deadline = deadline
        self._look = look

    def choose(self, patterns: Sequence[str]) -> Choice:
        """Match the patterns of a leaf. Raises `PatternError`; `CheckError` when the time is over."""
        chosen: dict[str, Entry] = {}
        misses: list[tuple[str, str]] = []
        unsaid = 0
        for number, pattern in enumerate(patterns):
            if why := refusal(pattern):
                raise PatternError(number, "InvalidTaxonomy", f"the pattern {pattern[:100]!r} {why}", external=False)
            found = self._matching(pattern, self._entries)
            usable = {entry.path: entry for entry in found if entry.is_file and kind(entry.path) in KINDS}
            links = [entry.path for entry in found if entry.is_link and (kind(entry.path) in KINDS or not usable)]
            if links:
                message = f"{shown(links[0])} is a symbolic link, and links are not followed; name the file itself"
                raise PatternError(number, "InvalidTaxonomy", message)
            if not usable and len(misses) < _EXPLAINED:
                misses.append((f"patterns.{number}", self._why_nothing(pattern, found)))
            elif not usable:
                unsaid += 1
            chosen |= usable
        if not chosen:
            raise PatternError(int(misses[0][0].rpartition(".")[2]), "DocumentsNotFound", misses[0][1])
        # InstructLab minds only when all patterns together find nothing.
        if unsaid:
            misses.append(("patterns.0", f"{unsaid} further patterns match no document"))
        documents = tuple(chosen[path] for path in sorted(chosen))
        return Choice(documents, (*misses, *_of_their_kind(documents)))

    def _matching(self, pattern: str, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if self._matches(pattern, entry.path)]

    def _matches(self, pattern: str, path: str) -> bool:
        """Compare in time: a hostile pattern takes milliseconds for each of fifty thousand paths."""
        self._deadline.left()
        return matches(pattern, path)

    def _why_nothing(self, pattern: str, found: Sequence[Entry]) -> str:
        subject = f"the pattern {quoted(pattern)}"
        if found:
            return f"{subject} {of_another_kind(found, self._entries)}"
        if why := by_form(pattern, lambda glob: bool(self._matching(glob, self._entries))):
            return f"{subject} matches nothing: {why}"
        if why := by_place(pattern, self._entries, self._matches):
            return f"{subject} {why}"
        if why := self._by_time(pattern):
            return f"{subject} matches nothing {why}"
        likeness = by_likeness(pattern, _documents(self._entries), self._matches)
        return f"{subject} matches nothing in the repository at this commit; {likeness}"

    def _by_time(self, pattern: str) -> str | None:
        """Say it where the file is there today, but was not at the commit that is named."""
        tip = self._tip
        if tip is None or tip.commit == self._commit:
            return None
        found = _documents(self._matching(pattern, tip.entries))
        if not found:
            return None
        here, there = self._commit[:7], tip.commit[:7]
        return f"at this commit ({here}), but on {tip.branch!r} ({there}) there is {listed(found)}; name a newer commit"

    @cached_property
    def _tip(self) -> Tip | None:
        return self._look()


def _documents(entries: Sequence[Entry]) -> list[str]:
    return [entry.path for entry in entries if entry.is_file and kind(entry.path) in KINDS]


def _of_their_kind(documents: Sequence[Entry]) -> list[tuple[str, str]]:
    of_kind = {kind(entry.path): entry.path for entry in reversed(documents)}
    if len(of_kind) > 1:
        message = (
            f"the patterns match Markdown and PDF files ({shown(of_kind['.md'])}, {shown(of_kind['.pdf'])}); "
            "InstructLab takes one kind a leaf: make two leaves"
        )
        raise PatternError(0, "InvalidTaxonomy", message)
    return [("patterns.0", _PDF)] if ".pdf" in of_kind else []
