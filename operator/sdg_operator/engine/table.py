"""Rows as Arrow's tables, in files: what has no type in common is text, and memory is bounded by bytes, not by rows."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

Row = dict[str, Any]

ROWS_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 16 << 20


def write(file: Path, rows: Callable[[], Iterable[Row]]) -> int:
    """Write rows as an Arrow stream; return how many such rows may be in memory at once."""
    columns = schema(rows())
    fewest = ROWS_AT_ONCE
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, columns) as stream:
        for some in _batches(rows()):
            fewest = min(fewest, _BYTES_AT_ONCE // max(map(_characters, some)) or 1)
            made = [pa.array([_fitting(row.get(each.name), each.type) for row in some], each.type) for each in columns]
            stream.write_table(pa.Table.from_arrays(made, schema=columns))
    return fewest


def schema(rows: Iterable[Row]) -> pa.Schema:
    """Return the columns of rows, in the order in which they appear, and their types.

    A column whose values have no type in common is text.
    """
    found: dict[str, pa.DataType] = {}
    for some in _batches(rows):
        for name in dict.fromkeys(itertools.chain.from_iterable(some)):
            here = _type([row.get(name) for row in some])
            found[name] = _common(found.get(name, here), here)
    return pa.schema(list(found.items()))


def _type(values: list[Any]) -> pa.DataType:
    try:
        found = pa.array(values).type
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return pa.string()
    return pa.string() if _has_large_integers(found) else found


def _has_large_integers(kind: pa.DataType) -> bool:
    """Whether integers are beyond what others of the same column may be held in."""
    inner = (kind.field(index).type for index in range(kind.num_fields))
    return pa.types.is_uint64(kind) or any(map(_has_large_integers, inner))


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    both = [pa.schema([("column", each)]) for each in (one, other)]
    try:
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()


def _fitting(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind) and not isinstance(value, str | None):
        return json.dumps(value, ensure_ascii=False)
    return float(value) if isinstance(value, int) and pa.types.is_floating(kind) else value


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Put together as many rows as may be held in memory."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += _characters(row)
        if len(some) == ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return 8 + sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 8
