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
        return location[: len(self._way(location))]

    def line(self, location: Location) -> int:
        """Return the line of a key or an item; of what holds it where it is missing."""
        way = self._way(location)
        return (way[-1][0].start_mark.line if way else 0) + 1

    def written(self, location: Location) -> Location:
        """Return where a part was before others were taken out."""
        way = self._way(location)
        inside = (
            self._position.get(id(value), part) if isinstance(part, int) else part
            for part, (_, value) in zip(location, way, strict=False)
        )
        return (*inside, *location[len(way) :])

    def name(self, location: Location) -> str:
        """Return a location as people write it: ``defaults.placement.tolerations[1].key``."""
        return _name(self.written(location))

    def remove(self, location: Location) -> bool:
        """Take a part out, so that the rest can be looked at without it; False if there is no such part."""
        way = self._way(location)
        if not location or len(way) < len(location):
            return False
        holder = way[-2][1] if len(way) > 1 else self._root
        if isinstance(holder, yaml.MappingNode):
            holder.value = [pair for pair in holder.value if pair[0].value != location[-1]]
        elif isinstance(holder, yaml.SequenceNode):
            del holder.value[location[-1]]
        return True

    def _way(self, location: Location) -> list[tuple[yaml.Node, yaml.Node]]:
        """Each step to a part, as its key (of an item the item itself) and its value, as far as it is there."""
        way: list[tuple[yaml.Node, yaml.Node]] = []
        for part in location:
            step = _step(way[-1][1] if way else self._root, part)
            if step is None:
                break
            way.append(step)
        return way

    def _wrong_keys(self) -> Iterator[Problem]:
        """Find keys that are no text, or there twice, of which the last would win and nobody would see it.

        Mends them on the way. Before values are made: then what a mapping merges in is among its own.
        """
        todo: list[tuple[Any, Location]] = [(self._root, ())]
        seen: set[int] = set()
        while todo:
            node, location = todo.pop()
            if id(node) in seen or not isinstance(node, yaml.CollectionNode):
                continue
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                self._position |= {id(item): position for position, item in enumerate(node.value)}
                todo += ((item, (*location, position)) for position, item in enumerate(node.value))
                continue
            names: set[str] = set()
            for key, _ in node.value:
                if words := _wrong(key, names):
                    yield Problem(key.start_mark.line + 1, f"{_name((*location, _shown_key(key)))}: {words}")
            node.value = [(key, value) for key, value in node.value if _is_word(key)]
            todo += ((value, (*location, key.value)) for key, value in node.value)


def _wrong(key: yaml.Node, names: set[str]) -> str | None:
    """What is wrong with a key beside others of these names; it is a text afterwards, if it can be one."""
    if not _is_word(key):
        return "a key is plain text on one line"
    if key.tag == _MERGE:
        return None
    kind, key.tag = key.tag, _TEXT
    if kind != _TEXT:
        return f"is {kind.rpartition(':')[2]} to YAML, and no text; put the key in quotes"
    twin = key.value in names
    names.add(key.value)
    return "is there twice; keep one" if twin else None


def _is_word(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value.isprintable()


def _name(location: Location) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _unreadable(error: yaml.YAMLError) -> Unreadable:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    words = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
    return Unreadable(mark.line + 1 if mark else 1, str(words))


def _step(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
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


def _shown_key(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return "?"
    return str(key.value) if _is_word(key) else shown(key.value)
