"""A user's training file in another form is told which one, and what to do."""

import gzip
import json

import pytest

from sdg_operator.engine.training_form import recognised

ROW = {"messages": [{"role": "user", "content": "Hi"}]}
LINE = json.dumps(ROW).encode() + b"\n"
FILES: dict[str, tuple[bytes, str]] = {
    "gzip": (gzip.compress(LINE), "the file is packed with gzip: unpack it"),
    "UTF-16": (LINE.decode().encode("utf-16"), "the file is in UTF-16: write it in UTF-8"),
    "UTF-16 from the right": (b"\xfe\xff" + LINE.decode().encode("utf-16-be"), "the file is in UTF-16"),
    "UTF-16 without its mark": (LINE.decode().encode("utf-16-le"), "the file is in UTF-16"),
    "Parquet": (b"PAR1\x15\x04", "the file is a Parquet file: write its rows as JSON lines"),
    "an array on one line": (json.dumps([ROW, ROW]).encode(), "the file is one JSON array: write each of its rows"),
    "a long array": (b"[" + LINE * 10_000, "the file is one JSON array"),
    "an array over several lines": (b"[\n", "the file is one JSON array"),
    "an object over several lines": (b"{\n", "the file is JSON over several lines: write each row on one line"),
    "CSV": (b"instruction,output\n", "the file is CSV, not JSON"),
    "tabs": (b"user\tassistant\n", "the file is CSV, not JSON"),
}
ROWS: dict[str, tuple[object, str]] = {
    "ShareGPT": ({"conversations": [{"from": "human", "value": "x"}], "id": 1}, "the row is in the form of ShareGPT"),
    "Alpaca": ({"instruction": "x", "input": "", "output": "y"}, "the row is in the form of Alpaca"),
    "older": ({"system": "s", "user": "u", "assistant": "a"}, "the row is in InstructLab's older form"),
    "prompts": ({"prompt": "p", "completion": "c"}, "the row is in the form of prompts and completions"),
    "samples": ({"question": "q", "response": "r"}, "the row is of samples, not of training rows"),
}


@pytest.mark.parametrize(("begin", "words"), FILES.values(), ids=FILES)
def test_a_file_in_another_form_is_recognised_by_its_first_line(begin: bytes, words: str) -> None:
    assert (recognised(begin, first=True) or "").startswith(words)


@pytest.mark.parametrize(("row", "words"), ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("first", [True, False])
def test_a_row_in_another_form_is_recognised_by_its_keys(row: object, words: str, first: bool) -> None:
    assert (recognised(json.dumps(row).encode(), first=first) or "").startswith(words)


@pytest.mark.parametrize(
    "line",
    [b"{'a': 1}", b'{"messages": []}', b'{"messages": "", "user": 1, "assistant": 2}', b"[" * 9, b"1", b"", b"so"],
)
def test_other_lines_have_no_known_form(line: bytes) -> None:
    assert recognised(line, first=False) is None
    assert line.startswith(b"[") or recognised(line, first=True) is None
