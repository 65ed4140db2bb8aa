"""Mix samples into the two training files. Works on files in a scratch folder; knows no store.

Equal samples in equal order give equal bytes: rows are those of instructlab-sdg's own mixing with its randomness fixed.
"""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdg_operator.engine import library, questions
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure, one_line
from sdg_operator.engine.library import LeafMixer, Row, TrainFile
from sdg_operator.engine.workfolder import lines

log = logging.getLogger(__name__)

SEED = 0
MAX_ROW_BYTES = 64 << 20
"""Bound on a row of a training file that is merged: it is held in memory."""


class TrainingFiles:
    """The two files, grown part by part. Both exist from the start, empty if nothing comes."""

    def __init__(self, paths: dict[TrainFile, Path]) -> None:
        self.paths = paths
        self._shapes: dict[TrainFile, Row] = {}
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def append_part(self, kind: TrainFile, part: Path) -> None:
        """Append rows of upstream's mixing, with the key order of the file's first row, as upstream would give them."""
        with self.paths[kind].open("ab") as file:
            for line in lines(part):
                row = json.loads(line)
                shape = self._shapes.setdefault(kind, row)
                file.write((line if _same_order(row, shape) else _dump(_in_order(row, shape))) + b"\n")

    def append_file(self, kind: TrainFile, name: str, source: Path) -> None:
        """Append a training file of the user's own as it is, line by line.

        Raises EngineFailure (InvalidTrainingFile) naming the line.
        """
        with self.paths[kind].open("ab") as file, source.open("rb") as rows:
            for number in itertools.count(1):
                line = rows.readline(MAX_ROW_BYTES + 1)
                if not line:
                    return
                line = line.rstrip(b"\n")
                if not line.strip():
                    continue
                if (problem := _no_training_row(line)) is not None:
                    raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidTrainingFile", f"{name}:{number}: {problem}")
                file.write(line + b"\n")


def _no_training_row(line: bytes) -> str | None:
    if len(line) > MAX_ROW_BYTES:
        return f"a row has more than {MAX_ROW_BYTES >> 20} MiB"
    try:
        row = json.loads(line.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return "a training row is an object with a list of messages"
    return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _same_order(row: Row, shape: Row) -> bool:
    return list(row) == list(shape) and all(list(each) == list(shape["messages"][0]) for each in row["messages"])


def _in_order(row: Row, shape: Row) -> Row:
    keys = list(shape["messages"][0])
    return {name: row[name] for name in shape} | {"messages": [{key: m[key] for key in keys} for m in row["messages"]]}


def _dump(row: Row) -> bytes:
    """Return a row as pandas writes it, in whose words the other rows are: ASCII, and slashes escaped."""
    return json.dumps(row, separators=(",", ":")).replace("/", "\\/").encode()


def mix_leaf(mixer: LeafMixer, files: TrainingFiles, leaf: str, knowledge: bool, samples: Path) -> None:
    """Add one leaf's samples to the training files.

    Samples of runs with different pipelines have different columns; each kind is mixed by itself. Rows that cannot be
    mixed are left out, and counted in the log. Raises EngineFailure (InvalidSamples).
    """
    try:
        for schema in library.schemas(_usable(samples, knowledge, tell=True)):
            columns = set(schema.names)
            rows = (row for row in _usable(samples, knowledge) if row.keys() == columns)
            for kind, part in mixer.parts(leaf, knowledge, schema, rows):
                files.append_part(kind, part)
    except EngineFailure:
        raise
    except Exception as error:
        message = f"samples of leaf {leaf} cannot be mixed: {type(error).__name__}: {one_line(str(error), 300)}"
        raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidSamples", message) from error


def _usable(samples: Path, knowledge: bool, *, tell: bool = False) -> Iterator[Row]:
    """Yield the rows that mixing can take; with `tell`, say once what is wrong with how many.

    Upstream draws 30 of a skill's rows and then drops those without a question or an answer, so that fewer are left.
    They are dropped before the draw.
    """
    found: Counter[str] = Counter()
    for line in lines(samples):
        row: Any = json.loads(line)
        if not library.usable(row) or (knowledge and not row.get("document")):
            found["rows without an answer or document are left out"] += 1
            continue
        question, answer = questions.parts(row)
        if not answer:
            found["rows with an empty answer are left out"] += 1
        elif not question and knowledge:
            found["rows without a question mark are mixed with their document alone as the question"] += 1
        elif not question:
            found["rows without a question mark are left out"] += 1
        if knowledge or (question and answer):
            yield row
    for what, count in found.items():
        if tell:
            log.warning("%s: %d %s", samples.name, count, what)
