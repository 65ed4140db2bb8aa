"""Reads YAML that nobody has vouched for: bounded in size and depth, with the place of every value."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import yaml

from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.yamlwords import ODD_BREAK, Fault, Said, explain, odd_character, shown

# libyaml is an order of magnitude faster; both loaders make the same plain values only.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_MERGE_TAG: Final = "tag:yaml.org,2002:merge"
_NUMBER_TAGS: Final = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_NUMBER_LENGTH: Final = 64
_TWICE: Final = 50
_COMMENT: Final = re.compile("[ \t]+#")

Path = tuple[str | int, ...]


class _Mark(Protocol):
    """A place in the text; PyYAML's two loaders have a class each."""

    index: int
    line: int
    column: int


class YamlError(Exception):
    """The text is not YAML that can be used; carries the place."""

    def __init__(self, message: str, mark: _Mark | None = None) -> None:
        self.message = message
        self.line = mark.line + 1 if mark else 1
        self.column = mark.column + 1 if mark else 1
        super().__init__(message)

    @classmethod
    def saying(cls, said: Said) -> "YamlError":
        """Make one of words that have a place of their own."""
        error = cls(said.message)
        error.line, error.column = said.line, said.column
        return error

    def problem(self, file: str) -> Problem:
        return Problem(file=file, line=self.line, column=self.column, message=self.message)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: plain Python values, and where and how each is written."""

    value: Any
    text: str
    twice: tuple[tuple[str, int, int, int], ...]
    """Each key that a mapping has twice: the key, its first line, and the place of the later one."""
    _root: yaml.Node | None
    _starts: list[int] | None = None

    def place(self, path: Path, *, key: str | None = None) -> tuple[int, int]:
        """Line and column (from 1) of the value at a path, or of a key of the mapping there."""
        node = self._node(path)
        if key is not None and isinstance(node, yaml.MappingNode):
            node = next((name for name, _ in node.value if name.value == key), node)
        return _place(node.start_mark, self._starts) if node else (1, 1)

    def written(self, path: Path) -> str | None:
        """Give the value at a path as it is written, before YAML made a number of it; None where it is no scalar."""
        node = self._node(path)
        return node.value if isinstance(node, yaml.ScalarNode) else None

    def anchored(self, path: Path) -> bool:
        """Tell whether the value at a path begins with an anchor (``&name``)."""
        node = self._node(path)
        return node is not None and self.text[node.start_mark.index :][:1] == "&"

    def comment_behind(self, path: Path) -> tuple[int, int] | None:
        """Give the place of a comment on the line where an unquoted value ends."""
        node = self._node(path)
        if not isinstance(node, yaml.ScalarNode) or node.style:  # the one loader says None, the other ""
            return None
        comment = _COMMENT.match(self.text, node.end_mark.index)
        if not comment:
            return None
        line, column = _place(node.end_mark, self._starts)
        return line, column + comment.end() - comment.start() - 1

    def _node(self, path: Path) -> yaml.Node | None:
        node = self._root
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return node


def decode(data: bytes) -> str:
    """UTF-8 text with ``\\n`` line ends, as InstructLab reads it, and without a byte order mark.

    Raises `YamlError` with the place of the first byte that is not text.
    """
    if data.startswith(b"version https://git-lfs"):
        raise YamlError("is a Git LFS pointer, not the file itself; keep it in Git without LFS")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start)
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1)
        problem = YamlError("is not UTF-8 text; save it as UTF-8")
        problem.line, problem.column = line + 1, column + 1
        raise problem from error
    # Readers leave out one of these, and take the next for a part of the first key.
    text = text if text.startswith("\ufeff\ufeff") else text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load(text: str, limits: Limits) -> Document:
    """Parse one YAML document into plain values.

    Raises `YamlError` for broken YAML, more than one document, aliases that blow it up, deep nesting, tags of other
    kinds, and keys that are not text.
    """
    try:
        _measure(text, limits)
        loader = _LOADER(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Document(None, text, (), None)
            for key, value in _pairs(root):
                if not isinstance(key, yaml.ScalarNode):
                    raise YamlError("a key must be text; put it in quotes", key.start_mark)
                if key.tag not in {_TEXT_TAG, _MERGE_TAG}:
                    raise YamlError(f"the key {shown(key.value)} is not text; put it in quotes", key.start_mark)
                if value.tag in _NUMBER_TAGS and len(value.value) > _NUMBER_LENGTH:
                    raise YamlError("the number is too long; put it in quotes if it is text", value.start_mark)
                if isinstance(value, yaml.ScalarNode) and value.tag != _TEXT_TAG:
                    _construct(loader, value)
            starts = _line_starts(text)
            twice = tuple(islice(_twice(root, starts), _TWICE))  # before merged keys (<<) are written out
            return Document(loader.construct_document(root), text, twice, root, starts)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise YamlError.saying(explain(text, Fault.of(error))) from error
    except yaml.reader.ReaderError as error:
        raise YamlError.saying(odd_character(text)) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise YamlError(f"is not valid YAML: {shown(str(error))}") from error


def _construct(loader: Any, node: yaml.ScalarNode) -> None:
    """Refuse a value that is not what its tag says (``!!bool maybe``): PyYAML fails on it in ways of its own."""
    try:
        loader.construct_object(node)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        kind = node.tag.rpartition(":")[2]
        why = f": {shown(str(error))}" if isinstance(error, ValueError) else ""
        message = f"the value {shown(node.value)} is no {kind}{why}; put it in quotes if it is text"
        raise YamlError(message, node.start_mark) from error


def _measure(text: str, limits: Limits) -> None:
    """Walk the events, which costs no memory, before anything is built of them."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        added = 1
        match event:
            case yaml.AliasEvent():
                if event.anchor not in sizes:
                    inside = any(event.anchor == anchor for anchor, _ in open_nodes)
                    what = "is inside what it stands for" if inside else "stands for nothing"
                    raise YamlError(f"the alias *{shown(str(event.anchor))} {what}", event.start_mark)
                added = sizes[event.anchor]
            case yaml.ScalarEvent():
                if event.anchor:
                    sizes[event.anchor] = 1
            case yaml.CollectionStartEvent():
                open_nodes.append((event.anchor, total))
                if event.anchor:
                    sizes.pop(event.anchor, None)
                if len(open_nodes) > limits.depth:
                    raise YamlError(f"is nested more than {limits.depth} levels deep", event.start_mark)
            case yaml.CollectionEndEvent():
                anchor, before = open_nodes.pop()
                if anchor:
                    sizes[anchor] = total - before
                added = 0
            case _:
                added = 0
        total += added
        if total > limits.yaml_nodes:
            raise YamlError(f"has more than {limits.yaml_nodes} values, aliases written out", event.start_mark)


def _line_starts(text: str) -> list[int] | None:
    """Where an editor begins a line; None where YAML agrees with it about that."""
    if not ODD_BREAK.search(text):
        return None
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _place(mark: _Mark, starts: list[int] | None) -> tuple[int, int]:
    if starts is None:
        return mark.line + 1, mark.column + 1
    line = bisect_right(starts, mark.index)
    return line, mark.index - starts[line - 1] + 1


def _twice(root: yaml.Node, starts: list[int] | None) -> Iterator[tuple[str, int, int, int]]:
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        first: dict[str, int] = {}
        for key, _ in node.value:
            line, column = _place(key.start_mark, starts)
            if key.value in first and key.tag != _MERGE_TAG:
                yield key.value, first[key.value], line, column
            first.setdefault(key.value, line)


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every mapping and list, each once however often it is aliased."""
    todo, seen = [root], {id(root)}
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        else:
            continue
        yield node
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                todo.append(child)


def _pairs(root: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Every key with its value; what has no key of its own, as items of lists and the root, has one of text."""
    text = yaml.ScalarNode(_TEXT_TAG, "")
    yield text, root
    for node in _nodes(root):
        yield from node.value if isinstance(node, yaml.MappingNode) else ((text, item) for item in node.value)


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        # The last of two equal keys wins, as in the value.
        return next((value for key, value in reversed(node.value) if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item
    return None
