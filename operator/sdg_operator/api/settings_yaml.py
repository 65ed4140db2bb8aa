"""YAML of settings, as people and Helm write it: plain values, the line of each, and what is wrong with its form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

_TEXT: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"
_NOT_HERE: Final = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
_LARGEST: Final = 2**63
_SHOWN: Final = 80

Location = tuple[int | str, ...]
"""Where a value is: names of keys, and positions in lists."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something to mend; the line counts from 1."""

    line: int
    text: str


class Unreadable(Exception):
    """The text is no YAML that can be used at all."""

    def __init__(self, line: int, words: str) -> None:
        self.problem = Problem(line, f"is not YAML that can be used: {words}")
        super().__init__(words)


class _Loader(yaml.SafeLoader):
    """Plain values. What looks like a date is text: no setting is one, and Helm writes such text without quotes."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own, with less in it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_HERE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make a value. PyYAML fails in ways of its own where it is not what its tag says (``!!bool maybe``)."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            words = f"{shown(node.value)} is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(problem=words, problem_mark=node.start_mark) from error
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise yaml.constructor.ConstructorError(problem="a number is too large", problem_mark=node.start_mark)
        return value


class SettingsYaml:
    """A document whose parts know their lines; what is wrong can be taken out, to see what else is."""

    def __init__(self, text: str) -> None:
        """Parse a text. Raises `Unreadable`."""
        try:
            self._loader = _Loader(text)
            self._root = self._loader.get_single_node()
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise Unreadable(line, f"the character {chr(error.character)!r} cannot be in it") from error
        except yaml.YAMLError as error:
            raise _unreadable(error) from error
        except RecursionError as error:
            raise Unreadable(1, "it is nested too deeply") from error
        self._position: dict[int, int] = {}
        self.problems = list(self._wrong_keys())

    def value(self) -> Any:
        """Return the plain values of what is left. Raises `Unreadable`."""
        try:
            return self._loader.construct_document(self._root) if self._root else None
        except yaml.YAMLError as error:
            raise _unreadable(error) from error
        except RecursionError as error:
            raise Unreadable(1, "it is nested too deeply") from error

    def known(self, location: Location) -> Location:
        """Return the beginning of a location that is in the document: what follows, the reader of it has added."""
        node, length = self._root, 0
        for part in location:
            child = _child(node, part)
            if child is None:
                break
            node, length = child[1], length + 1
        return location[:length]

    def line(self, location: Location) -> int:
        """Return the line of a key or an item that is in the document."""
        node, line = self._root, 0
        for part in location:
            child = _child(node, part)
            if child is not None:
                line, node = child[0].start_mark.line, child[1]
        return line + 1

    def written(self, location: Location) -> Location:
        """Return where a part was before others were taken out."""
        node, found = self._root, list(location)
        for step, part in enumerate(location):
            child = _child(node, part)
            node = child[1] if child else None
            found[step] = self._position.get(id(node), part) if isinstance(part, int) else part
        return tuple(found)

    def name(self, location: Location) -> str:
        """Return a location as people write it: ``defaults.placement.tolerations[1].key``."""
        parts = self.written(location)
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")

    def remove(self, location: Location) -> bool:
        """Take a part out, so that the rest can be looked at without it; False if there is no such part."""
        node = self._root
        for part in location[:-1]:
            child = _child(node, part)
            if child is None:
                return False
            node = child[1]
        if not location or _child(node, location[-1]) is None:
            return False
        if isinstance(node, yaml.MappingNode):
            node.value = [pair for pair in node.value if pair[0].value != location[-1]]
        elif isinstance(node, yaml.SequenceNode):
            del node.value[location[-1]]
        return True

    def _wrong_keys(self) -> Iterator[Problem]:
        """Find keys that are no text, or there twice, of which the last would win and nobody would see it.

        Mends them on the way. Before values are made: then what a mapping merges in is among its own.
        """
        todo: list[tuple[Any, str]] = [(self._root, "")]
        seen: set[int] = set()
        while todo:
            node, path = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                self._position |= {id(item): position for position, item in enumerate(node.value)}
                todo += ((item, f"{path}[{position}]") for position, item in enumerate(node.value))
            elif isinstance(node, yaml.MappingNode):
                pairs, names = node.value, set[str]()
                node.value = []
                for key, value in pairs:
                    words = _wrong(key, names)
                    name = f"{path}.{shown_key(key)}".lstrip(".")
                    if words:
                        yield Problem(key.start_mark.line + 1, f"{name}: {words}")
                    if isinstance(key, yaml.ScalarNode) and key.value.isprintable():
                        if key.tag != _MERGE:
                            key.tag = _TEXT
                            names.add(key.value)
                        node.value.append((key, value))
                        todo.append((value, name))


def _wrong(key: yaml.Node, names: set[str]) -> str | None:
    if not isinstance(key, yaml.ScalarNode) or not key.value.isprintable():
        return "a key is plain text on one line"
    if key.tag == _MERGE:
        return None
    if key.tag != _TEXT:
        return f"is {key.tag.rpartition(':')[2]} to YAML, and no text; put the key in quotes"
    return "is there twice; keep one" if key.value in names else None


def _unreadable(error: yaml.YAMLError) -> Unreadable:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    words = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
    return Unreadable(mark.line + 1 if mark else 1, str(words))


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key, or the item itself, and the value at one step; a mapping's own key comes after what it merges in."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        pair: tuple[yaml.Node, yaml.Node] | None = next((p for p in reversed(node.value) if p[0].value == part), None)
        return pair
    return None


def shown(value: object) -> str:
    """A value as a message shows it: printable, and not longer than a line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def shown_key(key: yaml.Node) -> str:
    """A key as a message shows it."""
    if not isinstance(key, yaml.ScalarNode):
        return "?"
    return str(key.value) if key.value.isprintable() else shown(key.value)
