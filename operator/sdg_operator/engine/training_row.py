"""One row of a training file: a user's own is made like those that mixing writes. Pure.

Trainers read a file with one type for each key, so every row has the same four. What a row lacks is filled, what it has
more goes into its metadata, as in upstream's mixing; what can be neither is refused.
"""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from sdg_operator.engine.tokens import estimated

Row = dict[str, Any]

SHAPE: Final[Row] = {"id": "", "messages": [{"content": "", "role": ""}], "unmask": False, "metadata": ""}
"""The keys, in upstream's order for skills. A file has the order of its first row, if that has them all."""

_MESSAGE: Final = frozenset({"content", "role"})
_TRUTH: Final = {"true": True, "false": False, "1": True, "0": False}
_MAX_DIGITS: Final = 4300
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d(:?\d\d)?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
"""What Arrow's reader takes for a time. Where the first ids of a file are such, it cannot read others after them."""
_HALF_CHARACTER: Final = re.compile(r"\\u[dD][89a-fA-F]")
_MOVED: Final = "with other keys, which went into metadata"
_NAMES_TOLD: Final = 10


class NotATrainingRow(Exception):
    """A row cannot be made like the others; the text says why and what to do."""


class Told:
    """What was done to the rows of one file, to be told once."""

    def __init__(self) -> None:
        self.rows = 0
        self._counts: Counter[str] = Counter()
        self._moved: dict[str, None] = {}

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def moved(self, names: Iterable[str]) -> None:
        self.count(_MOVED)
        for name in names:
            if len(self._moved) <= _NAMES_TOLD:
                self._moved[name] = None

    def __str__(self) -> str:
        names = ", ".join([*self._moved][:_NAMES_TOLD] + ["…"] * (len(self._moved) > _NAMES_TOLD))
        return "; ".join(f"{n} {what}" + (f" ({names})" if what == _MOVED else "") for what, n in self._counts.items())


def parsed(line: bytes) -> Row:
    """Return a row as it is written. Raises NotATrainingRow."""
    try:
        text = line.decode()
        if text.startswith("\ufeff"):
            raise NotATrainingRow("a byte order mark (BOM) in the middle of a file: remove it")
        row = _STRICT.decode(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise NotATrainingRow(f"{half} is half a character and cannot be text: write the whole of it") from error
    except RecursionError as error:
        raise NotATrainingRow("nested too deeply: write the inner part as text") from error
    except ValueError as error:
        raise NotATrainingRow(f"not JSON: {error}; each line is to be one JSON object in UTF-8") from error
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list):
        raise NotATrainingRow("a training row is an object with a list of messages")
    return row


def made_alike(row: Row, told: Told) -> Row:
    """Return a row with the keys and types of all others. Raises NotATrainingRow."""
    try:
        told.rows += 1
        more = {name: value for name, value in row.items() if name not in SHAPE}
        messages = _messages(row["messages"], more)
        unmask = _unmask(row.get("unmask"), told)
        name = _id(row.get("id"), more, told)
        if more:
            told.moved(more)
        metadata = _metadata(row.get("metadata"), more, told)
        if name is None:
            content = json.dumps([messages, unmask, metadata], separators=(",", ":")).encode()
            name = str(uuid.UUID(bytes=sha256(content).digest()[:16], version=5))
    except RecursionError as error:
        raise NotATrainingRow("nested too deeply: write the inner part as text") from error
    return {"id": name, "messages": messages, "unmask": unmask, "metadata": metadata}


def tokens_of(row: Row) -> int:
    """Return about how many tokens the contents of a row's messages have; a chat template adds a few for each."""
    return sum(estimated(message["content"]) for message in row["messages"] if message["content"])


def spelled(row: Row) -> bytes:
    """Return a row as pandas writes it, in whose words the other rows are: ASCII but for DEL, slashes escaped."""
    text = json.dumps(row, separators=(",", ":")).replace("/", "\\/")
    if "\\u007f" in text:
        text = re.sub(r"(?<!\\)((?:\\\\)*)\\u007f", "\\1\x7f", text)
    return text.encode()


def shape_of(row: Row) -> Row:
    """Return the order of a row's keys, if they are those of all rows; else that of upstream's rows for skills."""
    first = row["messages"][0] if row["messages"] else None
    if row.keys() != SHAPE.keys() or not isinstance(first, dict) or first.keys() != _MESSAGE:
        return SHAPE
    return dict.fromkeys(row) | {"messages": [dict.fromkeys(first)]}


def in_order(row: Row, shape: Row) -> Row:
    """Return a row with its keys, and its messages' keys, in the order of another."""
    if list(row) != list(shape):
        row = {name: row[name] for name in shape}
    keys = list(shape["messages"][0])
    if any(list(message) != keys for message in row["messages"]):
        row = row | {"messages": [{key: message[key] for key in keys} for message in row["messages"]]}
    return row


def _messages(given: list[Any], more: Row) -> list[Row]:
    if not given:
        raise NotATrainingRow("the list of messages is empty: remove the row, or give it messages")
    messages, others = [], []
    for number, message in enumerate(given):
        if not isinstance(message, dict):
            raise NotATrainingRow("a training row is an object with a list of messages, each with content and role")
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise NotATrainingRow(
                    f"messages[{number}].{key} is {_kind(message, key)}, not text: write it as text, or remove the row"
                )
        if not message["role"].strip():
            raise NotATrainingRow(f"messages[{number}].role is empty: say who speaks (system, user or assistant)")
        messages.append({"content": message["content"], "role": message["role"]})
        others.append({key: value for key, value in message.items() if key not in _MESSAGE and value is not None})
    if any(others):
        more["messages"] = others
    return messages


def _kind(message: Row, key: str) -> str:
    value = message.get(key)
    if value is None:
        return "null" if key in message else "missing"
    return {bool: "a boolean", list: "a list", dict: "an object"}.get(type(value), "a number")


def _unmask(value: Any, told: Told) -> bool:
    if isinstance(value, bool):
        return value
    if value is None:
        told.count("without unmask, which is false now")
        return False
    found = _TRUTH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise NotATrainingRow(f"unmask is {json.dumps(value)[:60]}: write true or false")
    told.count("whose unmask is a boolean now")
    return found


def _id(value: Any, more: Row, told: Told) -> str | None:
    """Return a row's id as text; None if it is to be made of the content."""
    if isinstance(value, str):
        if not _TIME.fullmatch(value):
            return value
        more["id"] = value
        told.count("whose id could be read as a time; it has another one now")
        return None
    if value is None:
        told.count("without id, which is made of the content now")
        return None
    told.count("whose id is text now")
    return json.dumps(value)


def _metadata(value: Any, more: Row, told: Told) -> str:
    fields, text = _fields(value, told)
    if not more:
        return json.dumps(fields) if text is None else text
    for name, moved in more.items():
        if name in fields and fields[name] != moved:
            raise NotATrainingRow(f"{name!r} would go into metadata, which has another {name!r}: rename one of them")
    return json.dumps(fields | more)


def metadata_text(value: Any) -> str:
    """Return what a sample has as metadata as the text of an object, as rows of merged files have it."""
    return _metadata(value, {}, Told())


def _fields(value: Any, told: Told) -> tuple[Row, str | None]:
    """Return metadata as an object, and its text where it came as such."""
    match value:
        case None:
            told.count("without metadata, which is {} now")
            return {}, None
        case dict():
            told.count("whose metadata is JSON text now")
            return value, None
        case str():
            try:
                found = _STRICT.decode(value)
            except (ValueError, RecursionError):
                found = value
            if isinstance(found, dict):
                return found, value
            told.count("whose metadata was no object; it is one now, with the key metadata")
            return {"metadata": found}, None
        case _:
            told.count("whose metadata was no object; it is one now, with the key metadata")
            return {"metadata": value}, None


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of more than {_MAX_DIGITS:,} digits; write it as text")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:20]} is too large a number; write it as text")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_no_constant
)
