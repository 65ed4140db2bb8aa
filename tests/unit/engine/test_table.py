"""Rows become tables of one type a column, in batches of a bounded size."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sdg_operator.engine import table

TYPES: dict[str, tuple[list[Any], list[Any]]] = {
    "text": (["2024-01-01", None], ["2024-01-01", None]),
    "whole numbers": ([1, None, -5], [1, None, -5]),
    "numbers": ([1, 1.5], [1.0, 1.5]),
    "numbers and text": ([1, "1", 1.5, None], ["1", "1", "1.5", None]),
    "truth and numbers": ([True, 1], ["true", "1"]),
    "an integer that no column holds": ([1, 10**30], ["1", str(10**30)]),
    "an integer that few columns hold": ([1, 2**64 - 1], ["1", str(2**64 - 1)]),
    "objects": ([{"a": 1}, {"b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
    "objects and lists": ([{"é": 1}, [1]], ['{"é": 1}', "[1]"]),
    "objects whose values differ": ([{"a": 1}, {"a": "x"}], ['{"a": 1}', '{"a": "x"}']),
    "nothing": ([None, None], [None, None]),
}


def read(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as source:
        return pa.ipc.open_stream(source).read_all()


@pytest.mark.parametrize("apart", [0, 1000, 2500], ids="{} rows apart".format)
@pytest.mark.parametrize(("values", "written"), TYPES.values(), ids=TYPES)
def test_values_without_a_common_type_are_text(
    values: list[Any], written: list[Any], apart: int, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"a": values[0]}, *[{}] * apart, *({"a": value} for value in values[1:])]
    table.write(tmp_path / "rows", lambda: rows)
    assert read(tmp_path / "rows").column("a").to_pylist() == [written[0], *[None] * apart, *written[1:]]


def test_columns_stand_in_the_order_in_which_they_appear_and_what_a_row_lacks_is_null(tmp_path: Path) -> None:
    table.write(tmp_path / "rows", lambda: [{"b": 1}, {"c": "x", "a": 2}])
    assert json.dumps(read(tmp_path / "rows").to_pylist()) == json.dumps(
        [{"b": 1, "c": None, "a": None}, {"b": None, "c": "x", "a": 2}]
    )


@pytest.mark.parametrize(("size", "batches", "at_once"), [(10, 1, 1000), (2**20, 2, 15), (2**23, 10, 1)])
def test_batches_are_bounded_by_bytes(size: int, batches: int, at_once: int, tmp_path: Path) -> None:
    row = {"messages": [{"content": "x" * size}]}
    assert table.write(tmp_path / "rows", lambda: [row] * 20) in {at_once, at_once + 1}
    assert read(tmp_path / "rows").column("messages").num_chunks == batches
