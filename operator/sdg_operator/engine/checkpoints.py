"""Checkpoint files: one for each finished batch of a leaf, written whole, never changed.

The first line says what the file is, the others are the batch's rows. A batch is named by its number, so a resumed run
neither loses nor doubles one; a file of other inputs, or one that is not whole, is as good as none.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdg_operator.engine.workfolder import NotPlain, WorkFolder, lines
from sdg_operator.storage.records import AnswerCounts, Digest, Tokens, Versioned


class BatchHeader(Versioned):
    """First line of a checkpoint file."""

    leaf: str
    input_digest: Digest
    batch: int
    batches: int
    """Of the whole leaf."""
    samples: int
    """Rows that follow."""
    tokens: Tokens = Tokens()
    prompts_given_up: int = 0
    answers: AnswerCounts = AnswerCounts()


def file_name(batch: int) -> str:
    return f"batch-{batch:06d}.jsonl"


def write(work: WorkFolder, header: BatchHeader, rows: Sequence[bytes]) -> Path:
    """Put a batch's checkpoint in its place; `rows` are JSON lines with their ends."""
    path = work.checkpoints_out(header.leaf) / file_name(header.batch)
    first = header.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
    work.write(path, [first, *rows])
    return path


def find(work: WorkFolder, leaf: str, digest: Digest, batch: int, batches: int) -> tuple[BatchHeader, Path] | None:
    """Return the checkpoint of a batch if there is a whole one that was made of the same inputs."""
    for path in work.checkpoint_files(leaf, file_name(batch)):
        header = _whole(path)
        if header and (header.input_digest, header.batch, header.batches) == (digest, batch, batches):
            return header, path
    return None


def _whole(path: Path) -> BatchHeader | None:
    try:
        file = lines(path)
        header = BatchHeader.model_validate_json(next(file))
        found = sum(isinstance(json.loads(line), dict) for line in file)
    except (OSError, NotPlain, StopIteration, ValidationError, ValueError):
        return None
    return header if found == header.samples else None


def rows(path: Path) -> Iterator[bytes]:
    """Yield a checkpoint's rows as they were written, without line ends."""
    file = lines(path)
    next(file)
    yield from file


def joined(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield the rows of a leaf's batches in order, as upstream would write the whole leaf.

    Upstream gives every row of a leaf the same columns; batches whose columns differ are filled with null as it does.
    """
    columns: dict[str, None] = {}
    layouts = set()
    for path in paths:
        if (first := next(rows(path), None)) is not None:
            names = tuple(json.loads(first))
            layouts.add(names)
            columns |= dict.fromkeys(names)
    for path in paths:
        for row in rows(path):
            yield (row if len(layouts) == 1 else _filled(json.loads(row), columns)) + b"\n"


def _filled(row: dict[str, Any], columns: dict[str, None]) -> bytes:
    return json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False).encode()
