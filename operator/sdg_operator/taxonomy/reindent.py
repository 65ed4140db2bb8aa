"""Lays a YAML text out anew: the same lines, each moved to where its place in the structure says. Pure."""

import re
from typing import Final

import yaml

_HYPHENS: Final = re.compile(r"( *)((?:- +)*)")
_ALONE: Final = re.compile(r"^ *(?:- +)*-[ ]*(?:#.*)?$|^ *(?:- +)*\? ", re.MULTILINE)
"""A hyphen with its item on a later line, or a key that begins with a question mark: rare, and left alone."""


def reindent(text: str, *, width: int, indented: bool) -> str | None:
    """Indent mappings by `width`, and the lists in them by that or, where not `indented`, not at all.

    What goes on over several lines (a block, a text in quotes, a list in brackets) moves along with its first line.
    None where the text is no YAML or has a form that is left alone; whether the value stayed is the caller's to check.
    """
    if _ALONE.search(text):
        return None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    if root is None:
        return None
    columns = _Columns(width, width if indented else 0)
    columns.add(root, 0)
    return "\n".join(_moved(text.split("\n"), columns.of_line))


class _Columns:
    """Where the first key or item of each line is to begin, behind its hyphens; columns and lines from 0."""

    def __init__(self, width: int, hyphens: int) -> None:
        self.of_line: dict[int, int] = {}
        self._width, self._hyphens = width, hyphens
        self._seen: set[int] = set()

    def add(self, node: yaml.Node, column: int) -> None:
        """Place a node whose keys or hyphens begin at `column`. Nesting is bounded by the reader that came before."""
        if id(node) in self._seen or not isinstance(node, yaml.CollectionNode) or node.flow_style:
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                line = item.start_mark.line
                self.of_line[line] = max(self.of_line.get(line, 0), column + 2)  # behind the last of several hyphens
                self.add(item, column + 2)
            return
        for key, value in node.value:
            self.of_line.setdefault(key.start_mark.line, column)
            self.add(value, column + (self._hyphens if isinstance(value, yaml.SequenceNode) else self._width))


def _moved(lines: list[str], columns: dict[int, int]) -> list[str]:
    moved, shift = [], 0
    for number, line in enumerate(lines):
        match = _HYPHENS.match(line)
        assert match is not None, "it matches the empty text"
        if number in columns:
            hyphens = "- " * match[2].count("-")
            shift = columns[number] - match.end()
            moved.append(" " * (columns[number] - len(hyphens)) + hyphens + line[match.end() :])
        elif not line.strip():
            moved.append(line)
        else:
            moved.append(" " * max(0, len(match[1]) + shift) + line[len(match[1]) :])
    return moved
