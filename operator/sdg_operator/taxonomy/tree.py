"""What is read of a source, whatever it was (archive, folder, Git): the candidate leaves, within limits."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.request import Limits

SKILLS_FOLDER: Final = "compositional_skills"
KNOWLEDGE_FOLDER: Final = "knowledge"
TAXONOMY_FOLDERS: Final = (SKILLS_FOLDER, KNOWLEDGE_FOLDER)
LEAF_FILE: Final = "qna.yaml"

_LEAF_LIKE: Final = re.compile(r"qna\b.*\.ya?ml\b.*", re.IGNORECASE | re.DOTALL)
"""Also ``qna.yml``, ``QNA.yaml``, ``qna.yaml.txt`` (where Windows hides the end), ``qna (1).yaml``."""
_NOT_OURS: Final = frozenset({"__MACOSX", ".git"})
"""Folders that programs put beside a person's files: macOS' copies of attributes, Git's own."""
_TOPS: Final = 8
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PART_BYTES: Final = 255


@dataclass(slots=True)
class Tree:
    """Paths are relative, with ``/``, without ``.`` and ``..``, and valid Unicode."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Files that are named like a leaf's; the content only where the name is exactly ``qna.yaml``."""
    roots: set[str] = field(default_factory=set)
    """Folders that hold a ``compositional_skills`` or ``knowledge`` folder, with a leaf in it or not."""
    tops: dict[str, None] = field(default_factory=dict)
    """What lies at the top, the first names of it, for messages."""
    links: list[str] = field(default_factory=list)
    submodules: list[str] = field(default_factory=list)


class TreeBuilder:
    """Collects a `Tree` entry by entry, and refuses what no honest taxonomy has, by name.

    Raises `CheckError` with reason ArchiveRefused or TooLarge.
    """

    def __init__(self, limits: Limits) -> None:
        self.tree = Tree()
        self._limits = limits
        self._entries = 0
        self._bytes = 0

    def folder(self, name: str) -> None:
        self._enter(name)

    def link(self, name: str) -> None:
        """Note a symbolic link. It is never followed; whether it matters is known when the root is."""
        path = self._enter(name)
        if path is not None:
            self.tree.links.append(path)

    def submodule(self, name: str) -> None:
        """Note a Git submodule. It is never fetched; whether it matters is known when the root is."""
        path = self._enter(name)
        if path is not None:
            self.tree.submodules.append(path)

    def file(self, name: str, size: int, read: Callable[[], bytes]) -> None:
        """Take a regular file; `read` is called only for a candidate leaf whose `size` is within the limits."""
        path = self._enter(name)
        if path is None or not is_leaf_like(path):
            return
        if path.rpartition("/")[2] != LEAF_FILE:
            self.tree.files[path] = b""
            return
        if path in self.tree.files:
            raise CheckError("ArchiveRefused", "is there twice; which of the two is meant?", file=path)
        if size > self._limits.file_bytes:
            raise CheckError("TooLarge", f"has {size} bytes, more than {self._limits.file_bytes}", file=path)
        self._bytes += size
        if self._bytes > self._limits.taxonomy_bytes:
            raise CheckError(
                "TooLarge",
                f"all {LEAF_FILE} files up to here have more than {self._limits.taxonomy_bytes} bytes",
                file=path,
            )
        self.tree.files[path] = read()

    def _enter(self, name: str) -> str | None:
        """Count an entry and give its clean path; None for the top itself and for names that can be no leaf's."""
        self._entries += 1
        if self._entries > self._limits.entries:
            raise CheckError(
                "TooLarge", f"more than {self._limits.entries} files and folders; is the right one packed?"
            )
        path = name.replace("\\", "/")  # archives made on Windows
        if path.startswith("/") or _DRIVE.match(path):
            raise CheckError("ArchiveRefused", "has an absolute path; pack the taxonomy's folder", file=printable(name))
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise CheckError("ArchiveRefused", "leaves the taxonomy (..)", file=printable(name))
        if len(parts) > self._limits.depth:
            raise CheckError("TooLarge", f"lies more than {self._limits.depth} folders deep", file=printable(name))
        strange = _UNPRINTABLE.search(path) or any(len(part.encode()) > _PART_BYTES for part in parts)
        if strange:
            if is_leaf_like(parts[-1]):
                message = "has a folder name that is too long, not UTF-8 or has control characters; rename it"
                raise CheckError("ArchiveRefused", message, file=printable(name))
            return None
        if _NOT_OURS.intersection(parts):
            return None
        if parts and len(self.tree.tops) < _TOPS:
            self.tree.tops[parts[0]] = None
        for depth, part in enumerate(parts):
            if part in TAXONOMY_FOLDERS:
                self.tree.roots.add("/".join(parts[:depth]))
        return "/".join(parts) or None


def is_leaf_like(path: str) -> bool:
    """Tell whether a file is named as a leaf is, or nearly so."""
    return _LEAF_LIKE.fullmatch(path.rpartition("/")[2]) is not None


def printable(name: str) -> str:
    """Name an entry in a message, however it was made; long names keep their end."""
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name)
    return text if len(text) <= 300 else "…" + text[-299:]


def harmless(text: str, most: int | None = None) -> str:
    """Give a stranger's words as they may be printed: in a line, without what would steer a terminal or a CI."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most]).replace("##[", "# # [")
