"""Mix samples into the two training files. Works on files in a scratch folder; knows no store.

Equal samples in equal order give equal bytes: rows are those of instructlab-sdg's own mixing with its randomness fixed.
"""

import functools
import itertools
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from sdg_operator.engine import library, questions, training_form, training_row
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure, one_line
from sdg_operator.engine.library import LeafMixer, Row, TrainFile
from sdg_operator.engine.training_row import NotATrainingRow, Told
from sdg_operator.engine.workfolder import lines
from sdg_operator.storage import sample

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
                    form = training_form.recognised(line, first=number == 1)
                    where = f"{name}:{number}: {form or problem}"
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
) -> str | None:
    """Add one leaf's samples, all of one pipeline, to the training files; returns a warning if none can be used.

    Rows that cannot be mixed are left out, and counted in the log. Raises EngineFailure (InvalidSamples).
    """
    try:
        found: Counter[str] = Counter()
        kinds = dict.fromkeys(frozenset(row) for row in _usable(samples, knowledge, mixer.auxiliary, found))
        told = [f"{count} {what}" for what, count in found.items()]
        for what in told:
            log.warning("%s: %s", samples.name, what)
        # Of a skill a number of rows is drawn, so they are one kind: what a row lacks is null, as upstream fills it.
        for columns in kinds if knowledge else [frozenset[str]().union(*kinds)] if kinds else []:
            rows = functools.partial(_rows_of, samples, knowledge, mixer.auxiliary, columns)
            for kind, part in mixer.parts(leaf, knowledge, rows):
                files[kind].append_part("knowledge" if knowledge else "skills", part)
    except EngineFailure:
        raise
    except Exception as error:
        message = f"samples of leaf {leaf} cannot be mixed: {type(error).__name__}: {one_line(str(error), 300)}"
        raise EngineFailure(ExitCode.INVALID_INPUT, "InvalidSamples", message) from error
    return None if kinds else f"leaf {leaf}: none of its samples can be mixed: {'; '.join(told)}"


def _rows_of(
    samples: Path, knowledge: bool, auxiliary: Collection[str] | None, columns: frozenset[str]
) -> Iterator[Row]:
    for row in _usable(samples, knowledge, auxiliary, Counter()):
        if not knowledge:
            yield _filled(row, columns)
        elif row.keys() == columns:
            yield row


def _filled(row: Row, columns: Collection[str]) -> Row:
    """Return a row with question and answer by themselves, and metadata, if other rows of its leaf have them so."""
    if "metadata" in columns and "metadata" not in row:
        row = row | {"metadata": "{}"}
    lacking = [name for name in _PARTS if name in columns and name not in row]
    return row | {name: questions.parts(row)[_PARTS.index(name)] for name in lacking} if lacking else row


_PARTS: Final = ("question", "response")
_BASE: Final = "base_document"
"""The `dataset_type` of samples that were made of a document itself."""
_OF_KNOWLEDGE: Final = frozenset({"document", "domain", "output", *_PARTS})
_AUXILIARY: Final = frozenset({"raw_document", "document_outline", "dataset_type"})
_OVERWRITTEN: Final = frozenset({"id", "messages", "unmask"})
"""Columns that mixing makes, whatever a sample has there."""


def _usable(samples: Path, knowledge: bool, auxiliary: Collection[str] | None, found: Counter[str]) -> Iterator[Row]:
    """Yield the rows that mixing can take, as it can take them, and count what is wrong with others.

    Upstream draws 30 of a skill's rows and then drops those without a question or an answer, so that fewer are left.
    They are dropped before the draw.
    """
    for line in lines(samples):
        try:
            row: Any = json.loads(line)
            fault = sample.fault(row, line, knowledge=knowledge) if isinstance(row, dict) else "is no object"
        except (ValueError, RecursionError):
            fault = "is not JSON"
        if fault:
            found[f"rows are left out: each {fault}"] += 1
            continue
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
        if knowledge:
            yield _of_knowledge(row, auxiliary)
        elif question and answer:
            yield _of_skill(row)


def _of_knowledge(row: Row, auxiliary: Collection[str] | None) -> Row:
    """Return what mixing reads of a row; others may be anything."""
    kept = {"domain": None} | {name: value for name, value in row.items() if name in _OF_KNOWLEDGE | _AUXILIARY}
    if auxiliary is not None and "dataset_type" in kept:
        kind = kept["dataset_type"]
        if not (kept.keys() >= _AUXILIARY and isinstance(kind, str) and (kind == _BASE or kind in auxiliary)):
            del kept["dataset_type"]
    return kept


def _of_skill(row: Row) -> Row:
    if not _OVERWRITTEN.isdisjoint(row):
        row = {name: value for name, value in row.items() if name not in _OVERWRITTEN}
    if "metadata" in row:
        row = row | {"metadata": training_row.metadata_text(row["metadata"])}
    return row
