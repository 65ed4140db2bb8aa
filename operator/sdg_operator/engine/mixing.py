"""Mix samples into the two training files. Works on files in a scratch folder; knows no store.

Equal samples in equal order give equal bytes: rows are those of instructlab-sdg's own mixing with its randomness fixed.
"""

import functools
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from sdg_operator.engine import library, questions, training_row
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure, one_line
from sdg_operator.engine.library import LeafMixer, Row, TrainFile
from sdg_operator.engine.training_row import NotATrainingRow, Told
from sdg_operator.engine.workfolder import lines

log = logging.getLogger(__name__)

SEED = 0
LONG_ROW_TOKENS: Final = 4096
"""What trainers mostly take of a row at most; longer ones they drop or cut."""
MAX_ROW_BYTES = 64 << 20
"""Bound on a row of a training file that is merged: it is held in memory."""
_BOM: Final = b"\xef\xbb\xbf"

Source = Literal["knowledge", "skills", "merged"]
"""Where a row comes from: samples of a leaf of that kind, or a training file of the user's own."""


class TrainingFile:
    """One of the two files, grown part by part. It exists from the start, empty if nothing comes.

    All its rows have the key order of its first one, as upstream would give them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: Counter[Source] = Counter()
        self.longest_row = 0
        self.longest_line = 0
        self.long_rows = 0
        self._shape: Row | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    def append_part(self, source: Source, part: Path) -> None:
        """Append rows of upstream's mixing."""
        with self.path.open("ab") as file:
            for line in lines(part):
                row = json.loads(line)
                self._shape = self._shape or training_row.shape_of(row)
                alike = training_row.in_order(row, self._shape)
                file.write((line if alike is row else training_row.spelled(alike)) + b"\n")
                self._count(source, alike)

    def append_file(self, name: str, path: Path) -> None:
        """Append a training file of the user's own, each row made like the others. The log tells once what was done.

        Raises EngineFailure (InvalidTrainingFile) naming the line.
        """
        told = Told()
        with self.path.open("ab") as file, path.open("rb") as source:
            for number in itertools.count(1):
                line = source.readline(MAX_ROW_BYTES + 1)
                if not line:
                    break
                if not (line := line.removeprefix(_BOM) if number == 1 else line).strip():
                    continue
                try:
                    if len(line) > MAX_ROW_BYTES:
                        raise NotATrainingRow(f"a row has more than {MAX_ROW_BYTES >> 20} MiB")
                    given = training_row.parsed(line)
                    row = training_row.made_alike(given, told)
                except NotATrainingRow as problem:
                    where = f"{name}:{number}: {problem}"
                    raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidTrainingFile", where) from problem
                self._shape = self._shape or training_row.shape_of(given)
                file.write(training_row.spelled(training_row.in_order(row, self._shape)) + b"\n")
                self._count("merged", row)
        done = str(told)
        log.info("%s: %d rows%s", name, told.rows, f": {one_line(done)}" if done else "")

    def _count(self, source: Source, row: Row) -> None:
        self.rows[source] += 1
        tokens = training_row.tokens_of(row)
        self.long_rows += tokens > LONG_ROW_TOKENS
        if tokens > self.longest_row:
            self.longest_row, self.longest_line = tokens, self.rows.total()

    def warnings(self) -> Iterator[str]:
        """Yield what whoever trains with the file should know."""
        if self.long_rows:
            yield (
                f"{self.path.name}: {self.long_rows} of {self.rows.total()} rows have more than {LONG_ROW_TOKENS} "
                f"tokens by our estimate, the longest about {self.longest_row} (line {self.longest_line}): "
                "trainers drop or cut what is longer than they are set to take"
            )
        kinds = {"knowledge": self.rows["knowledge"], "skills": self.rows["skills"] + self.rows["merged"]}
        small, large = sorted(kinds, key=lambda kind: kinds[kind])
        if 0 < kinds[small] < library.DROWNED_BELOW * kinds[large]:
            yield (
                f"{self.path.name}: {kinds[small]} rows of {small} are drowned by {kinds[large]} of {large} "
                f"(merged files count as skills): less than {library.DROWNED_BELOW:.0%}, below which instructlab-sdg "
                f"repeats rows; make more samples of {small}, or merge fewer rows"
            )


def mix_leaf(
    mixer: LeafMixer, files: Mapping[TrainFile, TrainingFile], leaf: str, knowledge: bool, samples: Path
) -> None:
    """Add one leaf's samples to the training files.

    Samples of runs with different pipelines have different columns; each kind is mixed by itself. Rows that cannot be
    mixed are left out, and counted in the log. Raises EngineFailure (InvalidSamples).
    """
    try:
        for columns in dict.fromkeys(frozenset(row) for row in _usable(samples, knowledge, tell=True)):
            rows = functools.partial(_rows_of, samples, knowledge, columns)
            for kind, part in mixer.parts(leaf, knowledge, rows):
                files[kind].append_part("knowledge" if knowledge else "skills", part)
    except EngineFailure:
        raise
    except Exception as error:
        message = f"samples of leaf {leaf} cannot be mixed: {type(error).__name__}: {one_line(str(error), 300)}"
        raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidSamples", message) from error


def _rows_of(samples: Path, knowledge: bool, columns: frozenset[str]) -> Iterator[Row]:
    return (row for row in _usable(samples, knowledge) if row.keys() == columns)


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
