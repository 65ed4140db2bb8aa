"""Matches a leaf's document patterns against the paths of a repository. Pure.

InstructLab gives the patterns to Python's ``glob`` in a clone. Here they meet only the list of paths that the commit
holds, so that no pattern and no link can reach anything else. What ``glob`` would match there is matched: ``*``, ``?``,
``[...]``, ``**`` for any number of folders; names that begin with a dot only where the pattern spells the dot.
"""

import fnmatch
import re
from functools import lru_cache

_DRIVE = re.compile(r"^[A-Za-z]:")
_PATTERN_LENGTH = 1024
_ANY_DEPTHS = 16
"""Most ``**`` in a pattern: each of them is tried at every folder of every path."""


def refusal(pattern: str) -> str | None:
    """Say why a pattern is refused; None when it may be used."""
    if pattern.startswith(("/", "~")) or _DRIVE.match(pattern):
        return "is not relative; patterns begin at the repository's top folder, without a slash"
    if ".." in re.split(r"[/\\]", pattern):
        return "leaves the repository (..)"
    if len(pattern) > _PATTERN_LENGTH:
        return f"is longer than {_PATTERN_LENGTH} characters"
    if not pattern.isprintable():
        return "has control characters"
    if _parts(pattern).count("**") > _ANY_DEPTHS:
        return f"has more than {_ANY_DEPTHS} times **"
    return None


def matches(pattern: str, path: str) -> bool:
    """Tell whether a path of the repository matches."""
    wanted = _parts(pattern)
    if not wanted or pattern.rpartition("/")[2] in {"", "."}:  # a folder
        return False
    if wanted[-1] == "**":  # files in any folder below, not the folder itself
        wanted = (*wanted, "*")
    # reached: how many parts of the pattern may be used up after the parts of the path so far. No backtracking.
    reached = _skip_folders({0}, wanted)
    for part in path.split("/"):
        step = {
            index if wanted[index] == "**" else index + 1
            for index in reached
            if index < len(wanted) and _part_matches(wanted[index], part)
        }
        reached = _skip_folders(step, wanted)
        if not reached:
            return False
    return len(wanted) in reached


@lru_cache(maxsize=1024)
def _parts(pattern: str) -> tuple[str, ...]:
    """Split a pattern; several ``**`` in a row say no more than one."""
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    return tuple(part for number, part in enumerate(parts) if part != "**" or parts[number - 1 : number] != ["**"])


def _skip_folders(reached: set[int], wanted: tuple[str, ...]) -> set[int]:
    """``**`` also stands for no folder at all."""
    result = set(reached)
    for index in range(len(wanted)):
        if index in result and wanted[index] == "**":
            result.add(index + 1)
    return result


def _part_matches(wanted: str, part: str) -> bool:
    if part.startswith(".") and not wanted.startswith("."):
        return False
    return wanted == "**" or _compiled(wanted).match(part) is not None


@lru_cache(maxsize=1024)
def _compiled(wanted: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(wanted))
