"""Checkpoint files: whole or as good as none; together they are the leaf."""

import json
from pathlib import Path

import pytest

from sdg_operator.engine import checkpoints
from sdg_operator.engine.checkpoints import BatchHeader
from sdg_operator.engine.workfolder import WorkFolder

DIGEST = "sha256:" + "1" * 64


def write(work: WorkFolder, batch: int, rows: list[bytes], digest: str = DIGEST) -> Path:
    header = BatchHeader(leaf="leaf", input_digest=digest, batch=batch, batches=3, samples=len(rows))
    return checkpoints.write(work, header, rows)


def find(work: WorkFolder, batch: int) -> tuple[BatchHeader, Path] | None:
    return checkpoints.find(work, "leaf", DIGEST, batch, 3)


def test_a_batch_is_found_again_also_one_without_rows(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    first = write(work, 0, [b'{"a": "\xe2\x80\xa8"}\n', b'{"a": 2}\n'])
    empty = write(work, 1, [])
    assert find(work, 0) == (BatchHeader(leaf="leaf", input_digest=DIGEST, batch=0, batches=3, samples=2), first)
    assert find(work, 1) is not None
    assert find(work, 2) is None
    assert list(checkpoints.joined([first, empty])) == [b'{"a": "\xe2\x80\xa8"}\n', b'{"a": 2}\n']


def test_no_prefix_of_a_file_passes_for_the_whole(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    path = write(work, 0, [b'{"a": 1}\n', b'{"a": 2}\n'])
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # without its last line end it is still whole
        path.write_bytes(whole[:length])
        assert find(work, 0) is None, length


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"[]\n", b"not json\n", b'{"formatVersion": 2}\n', b"\xff\xfe\n"], ids=repr
)
def test_what_is_no_checkpoint_is_none(tmp_path: Path, content: bytes) -> None:
    work = WorkFolder(tmp_path)
    write(work, 0, []).write_bytes(content)
    assert find(work, 0) is None


def test_a_batch_of_other_inputs_is_not_taken(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    write(work, 0, [b'{"a": 1}\n'], digest="sha256:" + "2" * 64)
    assert find(work, 0) is None
    assert checkpoints.find(work, "leaf", "sha256:" + "2" * 64, 0, 4) is None


def test_one_of_an_earlier_attempt_serves_where_ours_is_broken(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    ours = write(work, 0, [b'{"a": 1}\n'])
    earlier = tmp_path / "in" / "checkpoints" / "leaf" / ours.name
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(ours.read_bytes())
    ours.write_bytes(b"{")
    found = find(work, 0)
    assert found is not None
    assert found[1] == earlier


def test_columns_that_differ_between_batches_are_filled_with_null(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    paths = [write(work, 0, [b'{"a": 1, "b": 2}\n']), write(work, 1, [b'{"c": 3, "a": 4}\n'])]
    rows = [json.loads(line) for line in checkpoints.joined(paths)]
    assert rows == [{"a": 1, "b": 2, "c": None}, {"a": 4, "b": None, "c": 3}]
    assert [list(row) for row in rows] == [["a", "b", "c"]] * 2
