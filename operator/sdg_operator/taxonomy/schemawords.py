"""Says in words what the schema has against a leaf: what was written, and what is wanted. Pure."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, NamedTuple

from jsonschema.exceptions import ValidationError

from sdg_operator.taxonomy.tree import KNOWLEDGE_FOLDER
from sdg_operator.taxonomy.yamltext import Document, Path
from sdg_operator.taxonomy.yamlwords import shown

_NEAR: Final = 0.7
_LOOKED_AT: Final = 100
_PART: Final = 4
"""Letters that a part of a key must have to tell which is meant."""
_KEY_LENGTH: Final = 40
_PAIRS: Final = "questions_and_answers"
_SEED_KEYS: Final = "an item of seed_examples"
_SKILL: Final = {
    "created_by": "the top level",
    "task_description": "the top level",
    "seed_examples": "the top level",
    "context": _SEED_KEYS,
    "question": _SEED_KEYS,
    "answer": _SEED_KEYS,
}
_KNOWLEDGE: Final = {
    "created_by": "the top level",
    "domain": "the top level",
    "document_outline": "the top level",
    "seed_examples": "the top level",
    "document": "the top level",
    "repo": "document",
    "commit": "document",
    "patterns": "document",
    "context": _SEED_KEYS,
    "questions_and_answers": _SEED_KEYS,
    "question": "an item of questions_and_answers",
    "answer": "an item of questions_and_answers",
}
"""Where each key of the latest version belongs."""
_SPECIAL: Final = {
    "attribution": "sources are named in a file attribution.txt beside it",
    ("knowledge", "task_description"): "knowledge has none; say in document_outline what the document is about",
}
_ITEMS: Final = {
    "seed_examples": ("seed example", "seed examples"),
    "questions_and_answers": ("question and answer", "questions and answers"),
    "patterns": ("pattern", "patterns"),
}
_MEANT: Final = {"repo": "the URL of a Git repository", "commit": "a commit, a branch or a tag, in quotes"}
_SIGNS: Final = frozenset("*[]{}&!#: '\"@`%|>")
"""What a text in a list is better put in quotes for."""
_WANTED: Final = {"string": "text", "array": "a list", "object": "a mapping of keys", "integer": "a whole number"}


class Words(NamedTuple):
    """A message, and the place in the document that it is about."""

    message: str
    path: Path
    key: str | None = None
    """A key of the mapping at `path`."""


def in_words(errors: Iterable[ValidationError], document: Document, folder: str) -> Iterator[Words]:
    """Word the schema's errors; what belongs together, as a missing key and a misspelt one, becomes one message."""
    rest: list[ValidationError] = []
    missing: dict[Path, list[str]] = {}
    keys: dict[Path, ValidationError] = {}
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator == "required":
            missing.setdefault(path, []).append(_missing(error))
            keys[path] = error
        elif error.validator == "unevaluatedProperties":
            keys[path] = error
        else:
            rest.append(error)
    for path, error in keys.items():
        yield from _keys(path, missing.get(path, []), error, folder)
    for error in rest:
        path = tuple(error.absolute_path)
        if path != ("version",):  # see `version_words`
            where = (*path, (twins(error.instance) or (0, 0))[1]) if error.validator == "uniqueItems" else path  # type: ignore[arg-type]
            yield Words(f"[{_name(path)}] {_value(error, path, document)}", where)


def twins(items: Iterable[Any]) -> tuple[int, int] | None:
    """Give the first two items of a list that are the same, in one pass."""
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        first = seen.setdefault(json.dumps(item, sort_keys=True, default=repr), index)
        if first != index:
            return first, index
    return None


def version_words(document: Document) -> str | None:
    """Say what is wrong with the way in which the version is written."""
    version = document.value.get("version", 1)
    if type(version) is int or (isinstance(version, float) and version.is_integer()):
        return None
    written = document.written(("version",))
    if not written:
        return f"[.version] is {'empty' if written == '' else 'not a number'}; write `version: 3`"
    in_quotes = " without quotes" if isinstance(version, str) and written.isdigit() else ""
    return f"[.version] `{shown(written)}` is no version; it is a whole number{in_quotes}: write `version: 3`"


def _missing(error: ValidationError) -> str:
    """Give the key that an error of the schema is about: the library puts it into its text only."""
    names: list[str] = error.validator_value  # type: ignore[assignment]
    return next(name for name in names if error.message.startswith(repr(name)))


def _keys(path: Path, missing: list[str], error: ValidationError, folder: str) -> Iterator[Words]:
    schema: Any = error.schema
    wanted = list(schema.get("properties", {}))
    unknown = [key for key in error.instance if key not in {"version", *wanted}]  # type: ignore[union-attr]
    if schema.get("unevaluatedProperties") is not False:  # others may be there, but not instead of one that is missing
        unknown = [key for key in unknown[:_LOOKED_AT] if _near(key, wanted, missing) in missing]
    if _PAIRS in missing and (alone := [key for key in unknown if key in {"question", "answer"}]):
        message = f"`{_PAIRS}` is missing{_where(path)}: `{'` and `'.join(alone)}` stand there alone"
        yield Words(f"[{_name(path)}] {message}; make a list of three pairs of them", path, alone[0])
        missing = [key for key in missing if key != _PAIRS]
        unknown = [key for key in unknown if key not in alone]
    for key in unknown:
        near = _near(key, wanted, missing)
        if near in missing:
            missing.remove(near)
            message = f"`{near}` is missing{_where(path)}; `{shown(key)}` is unknown: did you mean `{near}`?"
        elif near:
            message = f"`{shown(key)}` is unknown{_where(path)}: did you mean `{near}`?"
        else:
            message = f"`{shown(key)}` is unknown{_where(path)}; {_belongs(key, folder)}"
        yield Words(f"[{_name(path)}] {message}", path, key)
    for key in missing:
        yield Words(f"[{_name(path)}] `{key}` is missing{_where(path)}", path)


def _near(key: str, wanted: list[str], missing: list[str]) -> str:
    """Give the key that may have been meant: one that is spelt alike, or a missing one of which this is a part."""
    plain = _plain(key)
    if len(plain) >= _PART and key not in _SKILL and key not in _KNOWLEDGE:
        for name in missing:
            if plain in name or name in plain:
                return name
    return next(iter(get_close_matches(plain, wanted, 1, _NEAR)), "")


def _plain(key: str) -> str:
    return key[:_KEY_LENGTH].strip().casefold().replace("-", "_").replace(" ", "_")


def _belongs(key: str, folder: str) -> str:
    """Say where an unknown key should stand, or that it should not."""
    kind = "knowledge" if folder == KNOWLEDGE_FOLDER else "skill"
    if special := _SPECIAL.get(key) or _SPECIAL.get((kind, key)):
        return special
    own, other = (_KNOWLEDGE, _SKILL) if kind == "knowledge" else (_SKILL, _KNOWLEDGE)
    if key in own:
        return f"it belongs to {own[key]}; indent it as the keys there"
    if key in other:
        return f"it belongs to a {'skill' if kind == 'knowledge' else f'leaf below {KNOWLEDGE_FOLDER}/'}; remove it"
    if odd := next((letter for letter in key if not letter.isprintable()), None):
        return f"it has the character U+{ord(odd):04X} in it, which nobody sees; take it out"
    return "remove it"


def _value(error: ValidationError, path: Path, document: Document) -> str:
    """Say what is wrong with a value."""
    items: Any = error.instance
    wanted: Any = error.validator_value
    one, many = _ITEMS.get(str(path[-1]) if path else "", ("item", "items"))
    match error.validator:
        case "type":
            return _type(str(wanted), path, document)
        case "minItems":
            there = f"there is 1 {one}" if len(items) == 1 else f"there are {len(items) or 'no'} {many}"
            return f"{there}{_where(path)}; at least {wanted} {'is' if wanted == 1 else 'are'} wanted"
        case "minLength":
            return f"is {'nothing but blanks' if items else 'empty'}{_where(path[:-1])}; {_write(path)}"
        case "uniqueItems":
            first, second = twins(items) or (0, 0)
            lines = " and ".join(str(document.place((*path, index))[0]) for index in (first, second))
            message = f"the {many} {first + 1} and {second + 1}{_where(path)} are the same (lines {lines})"
            return f"{message}; change or remove one"
        case _:
            return shown(error.message, 200)


def _write(path: Path) -> str:
    return f"write {_MEANT.get(str(path[-1]), 'the text')}"


def _type(wanted: str, path: Path, document: Document) -> str:
    value, written = _at(document.value, path), document.written(path)
    if wanted == "string":
        return _not_text(value, written, path, document)
    is_what = f"is to be {_WANTED.get(wanted, wanted)}"
    if value is None and not written:
        return f"is empty, and {is_what}"
    if wanted == "array" and isinstance(value, dict):
        return f"{is_what}; put a - before each item"
    if wanted == "array" and written:
        items = [item.strip() for item in written.split(",")]
        inside = ", ".join(json.dumps(item) if set(item) & _SIGNS else item for item in items)
        return f"{is_what}; write `{path[-1]}: [{shown(inside)}]`, or each on a line of its own behind a -"
    hint = "; remove the - before its keys" if wanted == "object" and isinstance(value, list) else ""
    return f"{is_what}, not {_kind(value, written)}{hint}"


def _not_text(value: object, written: str | None, path: Path, document: Document) -> str:
    if value is None and not written:
        if document.comment_behind(path):
            return "is empty: everything from # on is a comment; put the text in quotes"
        if document.anchored(path):
            return "is empty: & begins an anchor in YAML; put a text that begins with it in quotes"
        return f"is empty{_where(path[:-1])}; {_write(path)}"
    if written is None:
        return f"is to be text, not {_kind(value, written)}; put the text in quotes"
    return f"YAML reads {shown(written)} as {_kind(value, written)}; put it in quotes"


def _kind(value: object, written: str | None) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number to the base 60" if written and ":" in written else "a number"
    kinds: dict[type, str] = {
        type(None): "nothing",
        bool: "a truth value",
        date: "a date",
        datetime: "a date",
        dict: "a mapping of keys",
        list: "a list",
        str: "text",
        bytes: "binary data",
    }
    return kinds.get(type(value), "a value of another kind")


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _name(path: Path) -> str:
    """Name a value as InstructLab does: ``.seed_examples[0].question``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path) or "."


def _where(path: Path) -> str:
    """Count as people do: ``in seed example 2, question and answer 1``."""
    steps = pairwise(path)
    parts = [f"{_ITEMS[str(name)][0]} {step + 1}" for name, step in steps if isinstance(step, int) and name in _ITEMS]
    return f" in {', '.join(parts)}" if parts else ""
