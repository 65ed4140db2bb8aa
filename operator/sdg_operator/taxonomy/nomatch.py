"""Says why a pattern matches no document, in words: what was meant, and what to write. Pure.

Patterns and names are a stranger's. What is found is asked of a `Matcher` alone, in one pass over the files each, and
no file is named at more than a bounded length.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Final

from sdg_operator.taxonomy.files import Entry

KINDS: Final = frozenset({".md", ".pdf"})
"""What InstructLab takes of what a pattern matches."""

Matcher = Callable[[str, str], bool]
"""Tells whether a pattern matches a path."""

_SHOWN: Final = 200
_LISTED: Final = 4
_PAGE: Final = re.compile(r"^(?:https?://)?[^/]+/.+?/(?:-/)?(?:blob|tree|raw|src/branch)/[^/]+/(?P<path>.+)$")
_REGULAR: Final = re.compile(r"^\^|\$$|\\(?:\.|[dws](?![A-Za-z]))|(?:^|/)\.\*|\.\+|\]\+|\]\*\\|\(\?|\([^()]*\|[^()]*\)")
_BRACES: Final = re.compile(r"^(?P<before>[^{}]*)\{(?P<inside>[^{}]*,[^{}]*)\}(?P<after>[^{}]*)$")
_CHOICE: Final = re.compile(r"^(?P<before>[^()]*)\((?:\?:)?(?P<inside>[^()]*\|[^()]*)\)(?P<after>[^()]*)$")
_PIECES: Final = (
    (re.compile(r"(?:\\[dws]|\[(?:\\.|[^\\\]])*\])[+*]\??"), "*"),
    (re.compile(r"\.[*+]\??"), "*"),
    (re.compile(r"\\(.)"), r"\1"),
    (re.compile(r"\*{2,}"), "*"),
)
_LEFT_OVER: Final = re.compile(r"[\\()|+^$]")


def kind(path: str) -> str:
    """Give the suffix that decides whether a file is a document, ``.md``."""
    return PurePosixPath(path).suffix.lower()


def shown(path: str) -> str:
    """Give a path that a repository chose as it may stand in a message."""
    return repr(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…")


def quoted(pattern: str) -> str:
    """Give a pattern as its author wrote it; it has no control characters."""
    return f"'{pattern[:_SHOWN]}'"


def listed(paths: Sequence[str], most: int = _LISTED) -> str:
    """Name the first of some paths, and the number of the others."""
    more = len(paths) - most
    return ", ".join(map(shown, paths[:most])) + (f" and {more} more" if more > 0 else "")


def of_another_kind(found: Sequence[Entry], entries: Sequence[Entry]) -> str:
    """Say it where a pattern matches files, but no documents."""
    first = found[0].path
    count = Counter(kind(entry.path) for entry in found)[kind(first)] - 1
    more = f" and {count} more of its kind" if count else ""
    what = f"matches no Markdown (.md) or PDF file, only {shown(first)}{more}"
    if kind(first) in {".markdown", ".mdown", ".mkd", ".mdx"}:
        return f"{what}; a Markdown file's name ends in .md: rename it"
    documents = [entry.path for entry in entries if entry.is_file and kind(entry.path) in KINDS]
    return f"{what}; {_what_there_is(documents)}"


def _what_there_is(documents: Sequence[str]) -> str:
    if not documents:
        return "the repository has no Markdown (.md) and no PDF file at this commit: turn the texts into Markdown"
    return f"the documents that are there: {listed(documents)}"


def by_form(pattern: str, is_there: Callable[[str], bool]) -> str | None:
    """Say what the pattern itself gives away: it is no glob, but something else; None when it may be one."""
    if "://" in pattern or re.match(r"^(?:www\.|git(?:hub|lab)\.com/)", pattern):
        page = _PAGE.match(pattern)
        path = f", {quoted(page['path'])}" if page else ""
        return f"it is a URL; write the path inside the repository{path}"
    if pattern != pattern.strip():
        return f"it has blanks at an end; write {quoted(pattern.strip())}"
    if _REGULAR.search(pattern):
        return f"it looks like a regular expression, and patterns are globs; {_globs(pattern, is_there)}"
    if "\\" in pattern:
        slashed = re.sub(r"\\+", "/", pattern)
        return f"it has backslashes, and folders are set off by /; write {quoted(slashed)}"
    if braces := _BRACES.match(pattern):
        return f"braces mean nothing in it; {_write(_alternatives(braces, ','))}"
    return None


def _globs(pattern: str, is_there: Callable[[str], bool]) -> str:
    text = pattern.removeprefix("^").removesuffix("$")
    choice = _CHOICE.match(text)
    globs = [_as_glob(part) for part in (_alternatives(choice, "|") if choice else [text])]
    if any(_LEFT_OVER.search(glob) for glob in globs):
        globs = ["*.md"]
    if globs[0].startswith("*") and "/" not in globs[0] and any(is_there(f"*/**/{glob}") for glob in globs):
        return f"{_write(globs)}, or {quoted(f'**/{globs[0]}')} for those in folders too"
    return _write(globs)


def _as_glob(text: str) -> str:
    for piece, glob in _PIECES:
        text = piece.sub(glob, text)
    if text.startswith("."):  # a regular expression may match the end of a name alone
        text = f"*{text}"
    if text.endswith("/"):  # or only the folder
        return f"{text}*.md"
    return text if PurePosixPath(text).suffix else f"{text.rstrip('*')}*.md"


def _alternatives(found: re.Match[str], separator: str) -> list[str]:
    inside = found["inside"].split(separator)[: _LISTED + 1]
    return [f"{found['before']}{one}{found['after']}" for one in inside]


def _write(globs: Sequence[str]) -> str:
    names = ", ".join(quoted(glob) for glob in globs[:_LISTED]) + (", …" if len(globs) > _LISTED else "")
    return f"write {names}" if len(globs) == 1 else f"write one pattern for each: {names}"


def by_place(pattern: str, entries: Sequence[Entry], matches: Matcher) -> str | None:
    """Say it where the pattern leads to what is no file: a submodule, a link, a folder."""
    folder = pattern.removeprefix("./").rstrip("/")
    for entry in entries:
        if (entry.is_submodule or entry.is_link) and f"{folder}/".startswith(f"{entry.path}/"):
            if entry.is_submodule:
                return f"lies in the submodule {shown(entry.path)}, and those are not fetched; name its own repository"
            return f"matches nothing: {shown(entry.path)} is a symbolic link, and links are not followed"
    if folder and any(entry.path.startswith(f"{folder}/") for entry in entries):
        write = f"{folder}/*.md"
        if not any(matches(write, entry.path) for entry in entries):
            write = f"{folder}/**/*.md"
        return f"matches no file: {shown(folder)} is a folder; write {quoted(write)}"
    return None


def by_likeness(pattern: str, documents: Sequence[str], matches: Matcher) -> str:
    """Name what is like it: in other capitals, in another folder, with its suffix; else what there is."""
    folded = pattern.casefold()
    last = pattern.rpartition("/")[2]
    stem = last[: -len(PurePosixPath(last).suffix)] if PurePosixPath(last).suffix else last
    tries: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("capitals count; write", lambda path: matches(folded, path.casefold())),
        ("in another folder there is", lambda path: last not in {"", "**"} and matches(f"**/{last}", path)),
        (
            "the suffix is missing or another; there is",
            lambda path: bool(stem.strip("*?")) and matches(f"**/{stem}.*", path),
        ),
        (
            "capitals count, and it is in another folder; there is",
            lambda path: matches(f"**/{last.casefold()}", path.casefold()),
        ),
    )
    for words, like in tries:
        if found := [path for path in documents if like(path)]:
            return f"{words} {listed(found)}"
    return _what_there_is(documents)
