"""Make the leaves of one engine: many batches of many leaves in flight, each finished one safe on disk.

A batch (`batch_size` input rows of one leaf) is the unit of work. Batches depend on nothing but their rows, so they run
in any order and finish when they finish; the leaf's file is put together in order from their checkpoints.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from sdg_operator.engine import checkpoints, estimate, library, questions
from sdg_operator.engine.checkpoints import BatchHeader
from sdg_operator.engine.client import CHAT_FAMILY, BatchClient
from sdg_operator.engine.contract import EngineLeaf, EngineSettings, ExitCode, LeafResult
from sdg_operator.engine.failure import EngineFailure, LeafFailure
from sdg_operator.engine.leaves import read_seeds
from sdg_operator.engine.library import Row
from sdg_operator.engine.progress import BatchMeter, ProgressBoard
from sdg_operator.engine.teacher import Stopped, Teacher
from sdg_operator.engine.workfolder import WorkFolder
from sdg_operator.storage.records import AnswerCounts, Tokens
from sdg_operator.storage.said import MAX_LINE_BYTES

log = logging.getLogger(__name__)

LOW_YIELD_BATCHES = 3
"""A leaf whose first so many finished batches keep no sample is given up (LowYield)."""
SHOWN_ANSWERS = 3
"""So many answers that gave no sample are shown in the log for each leaf, each start of the engine."""
LOW_YIELD_LEAVES = 3
"""When so many leaves are given up and no leaf of the run has kept a sample, it ends: the teacher answers in no usable
form."""


def workers(max_concurrency: int) -> int:
    """Return how many batches to have in flight: enough to fill the bound where each asks only a few choices."""
    return min(128, max(16, max_concurrency // 4))


@dataclass(slots=True)
class _Leaf:
    """A leaf that is being made."""

    leaf: EngineLeaf
    rows: Sequence[Row]
    batches: int
    left: set[int] = field(default_factory=set)
    """Batches that are not finished."""
    samples: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    given_up: int = 0
    """Prompts that the teacher would not answer."""
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    shown: int = 0
    """Answers without a sample that the log shows."""
    empty_batches: int = 0
    over: bool = False

    def spend(self, tokens: Tokens, answers: AnswerCounts, given_up: int) -> None:
        self.tokens = self.tokens.plus(tokens)
        self.answers = self.answers.plus(answers)
        self.given_up += given_up


class Generation:
    """Makes all leaves of `settings`. One object, one run."""

    def __init__(self, work: WorkFolder, engine: EngineSettings, teacher: Teacher, board: ProgressBoard) -> None:
        self._work = work
        self._engine = engine
        self._settings = engine.settings
        self._teacher = teacher
        self._board = board
        self._lock = threading.Lock()
        self._room = threading.Semaphore(2 * workers(engine.max_concurrency))
        self._crash: BaseException | None = None
        self._connected = False
        self._family = engine.settings.model_family
        self._yielding = engine.leaves_with_samples > 0
        """Some leaf of the run has kept a sample."""
        self.results: dict[str, LeafResult] = {}

    def run(self) -> None:
        """Make every leaf that has no result yet.

        Raises EngineFailure for what ends the run, Stopped after `Teacher.stop`. Either way, finished batches are on
        disk.
        """
        todo = [leaf for leaf in self._engine.leaves if not self._finished_before(leaf)]
        if not todo:
            return
        folder = library.pipeline_folder(self._settings.pipeline, self._work.pipeline)
        probe = library.context(BatchClient(self._teacher, BatchMeter()), self._settings, self._settings.model_family)
        self._pipelines = library.load_pipelines(folder, (leaf.kind for leaf in todo), probe)
        usable = [leaf for leaf in todo if self._readable(leaf)]
        if not usable:
            return
        self._board.phase = "generating"
        with ThreadPoolExecutor(workers(self._engine.max_concurrency), thread_name_prefix="batch") as pool:
            try:
                for leaf in usable:
                    if self._crash is None:
                        self._start(leaf, pool)
            except BaseException as crash:
                self._stop_for(crash)
        if self._crash is not None:
            raise self._crash

    def _finished_before(self, leaf: EngineLeaf) -> bool:
        """Take over the result that an earlier start in this work folder left."""
        result = self._work.leaf_result(leaf.id)
        if result is None or result.input_digest != leaf.input_digest:
            return False
        self.results[leaf.id] = result
        self._yielding = self._yielding or result.samples > 0
        self._board.leaf_done(leaf.id, result.samples, result.tokens, result.answers)
        return True

    def _readable(self, leaf: EngineLeaf) -> bool:
        """Refuse a leaf that cannot be made before the teacher is asked for anything."""
        try:
            read_seeds(self._work, leaf)
        except LeafFailure as failure:
            self._fail_leaf(leaf, failure)
            return False
        return True

    def _start(self, leaf: EngineLeaf, pool: ThreadPoolExecutor) -> None:
        try:
            rows = self._rows(leaf)
        except LeafFailure as failure:
            self._fail_leaf(leaf, failure)
            return
        making = _Leaf(leaf, rows, ceil(len(rows) / self._settings.batch_size))
        self._board.leaf_started(leaf.id, making.batches, self._expected(leaf, len(rows)))
        self._resume(making)
        if not making.left:
            self._finish(making)
            return
        self._connect()
        log.info("leaf %s: %d rows, %d of %d batches to make", leaf.path, len(rows), len(making.left), making.batches)
        for batch in sorted(making.left):
            self._room.acquire()
            pool.submit(self._work_on, making, batch)

    def _connect(self) -> None:
        """Ask the teacher for the first time only when there is something to ask for."""
        if not self._connected:
            self._teacher.connect()
            self._connected = True
            if self._teacher.api == "chat":
                self._family = CHAT_FAMILY
            log.info("the teacher answers %s", self._teacher.api)

    def _rows(self, leaf: EngineLeaf) -> list[Row]:
        rows = library.input_rows(read_seeds(self._work, leaf))
        if not rows:
            raise LeafFailure("NoChunks", "the leaf's documents hold no text to make chunks of")
        if self._settings.preview is not None:
            rows = rows[: estimate.preview_rows(leaf.kind, self._settings.preview, self._settings)]
        return rows

    def _expected(self, leaf: EngineLeaf, rows: int) -> int:
        """Return what the leaf should give, now that its rows are known."""
        samples = rows * estimate.row_yield(leaf.kind, self._settings).samples
        return samples if self._settings.preview is None else min(samples, self._settings.preview)

    def _resume(self, making: _Leaf) -> None:
        """Take over finished batches of earlier attempts."""
        leaf = making.leaf
        making.left = set(range(making.batches))
        for batch in range(making.batches):
            found = checkpoints.find(self._work, leaf.id, leaf.input_digest, batch, making.batches)
            if found is not None:
                self._take(making, found[0])
                self._board.batch_done(leaf.id, batch, found[0].samples, found[0].tokens, found[0].answers)

    def _take(self, making: _Leaf, header: BatchHeader) -> None:
        making.left.discard(header.batch)
        making.samples += header.samples
        making.spend(header.tokens, header.answers, header.prompts_given_up)
        making.empty_batches += header.samples == 0
        self._yielding = self._yielding or header.samples > 0

    def _work_on(self, making: _Leaf, batch: int) -> None:
        """Make one batch; runs in a thread of the pool."""
        try:
            if not making.over and self._crash is None:
                self._try(making, batch)
        except BaseException as crash:  # told to the main thread, which raises it
            self._stop_for(self._teacher.failure or crash)
        finally:
            self._room.release()

    def _try(self, making: _Leaf, batch: int) -> None:
        try:
            self._make(making, batch)
        except LeafFailure as failure:
            with self._lock:
                first, making.over = not making.over, True
            if first:
                self._fail_leaf(making.leaf, failure, making)

    def _stop_for(self, reason: BaseException) -> None:
        self._crash = self._crash or reason
        self._teacher.stop()

    def stop(self) -> None:
        """End the run soon: `run` raises Stopped. For signal handlers."""
        self._stop_for(Stopped())

    def _make(self, making: _Leaf, batch: int) -> None:
        leaf, size = making.leaf, self._settings.batch_size
        meter = self._board.batch_started(leaf.id, batch)
        client = BatchClient(self._teacher, meter)
        shared = library.context(client, self._settings, self._family)
        rows = making.rows[batch * size : (batch + 1) * size]
        try:
            made = library.run_batch(self._pipelines[leaf.kind], shared, rows, meter.passed)
        except LeafFailure:
            self._board.batch_failed(leaf.id, batch)
            with self._lock:
                making.spend(meter.tokens, meter.answers, meter.given_up)
            raise
        lines = self._lines(made, client)
        self._show(making, client.dropped)
        header = BatchHeader(
            leaf=leaf.id,
            input_digest=leaf.input_digest,
            batch=batch,
            batches=making.batches,
            samples=len(lines),
            tokens=meter.tokens,
            prompts_given_up=meter.given_up,
            answers=meter.answers,
        )
        checkpoints.write(self._work, header, lines)
        self._board.batch_done(leaf.id, batch, len(lines), meter.tokens, meter.answers)
        with self._lock:
            self._take(making, header)
            if making.over:
                return
            if making.samples == 0 and making.empty_batches >= min(LOW_YIELD_BATCHES, making.batches):
                raise self._low_yield(making)
            if making.left:
                return
            making.over = True
        self._finish(making)

    def _lines(self, made: Sequence[Row], client: BatchClient) -> list[bytes]:
        """Return the rows that are samples, as lines: with a question and an answer, in whatever script."""
        lines = []
        for row in made:
            if not all(questions.parts(row)):
                client.unparsed(str(row.get("output") or row.get("response") or ""))
            elif len(line := library.dump_row(row)) <= MAX_LINE_BYTES:
                lines.append(line)
            else:
                client.unparsed("a sample that is too long")
        return lines

    def _show(self, making: _Leaf, dropped: Sequence[str]) -> None:
        """Show a few answers that gave no sample: nothing tells sooner what is wrong with a teacher or a pipeline."""
        with self._lock:
            some = dropped[: SHOWN_ANSWERS - making.shown]
            making.shown += len(some)
        for text in some:
            log.info("leaf %s: an answer without a sample begins: %r", making.leaf.path, text)

    def _low_yield(self, making: _Leaf) -> LeafFailure:
        complaint = f"; the teacher said: {self._teacher.last_complaint}" if self._teacher.last_complaint else ""
        return LeafFailure(
            "LowYield",
            f"the first {making.empty_batches} of {making.batches} batches keep no sample of what the teacher answers"
            f" (pipeline {self._settings.pipeline}, model family {self._family}){_why(making.answers)}{complaint}",
        )

    def _finish(self, making: _Leaf) -> None:
        """Put a leaf's file together from its batches, in order."""
        leaf = making.leaf
        if making.samples == 0:
            self._fail_leaf(leaf, LeafFailure("LowYield", "no batch of earlier attempts keeps a sample"), making)
            return
        found = [
            checkpoints.find(self._work, leaf.id, leaf.input_digest, batch, making.batches)
            for batch in range(making.batches)
        ]
        samples = making.samples if self._settings.preview is None else min(making.samples, self._settings.preview)
        joined = checkpoints.joined([each[1] for each in found if each is not None])
        self._work.write(
            self._work.leaf_out(leaf.id) / "samples.jsonl",
            (line for line, _ in zip(joined, range(samples), strict=False)),
        )
        self._record(
            LeafResult(
                leaf=leaf.id,
                input_digest=leaf.input_digest,
                outcome="done",
                samples=samples,
                tokens=making.tokens,
                prompts_given_up=making.given_up,
                answers=making.answers,
            )
        )
        making.rows = ()
        log.info("leaf %s: done, %d samples", leaf.path, samples)
        if making.given_up:
            said = self._teacher.last_complaint or "by an earlier start, whose log says why"
            log.warning("leaf %s: %d prompts were given up, the last: %s", leaf.path, making.given_up, said)

    def _fail_leaf(self, leaf: EngineLeaf, failure: LeafFailure, making: _Leaf | None = None) -> None:
        log.error("leaf %s: %s: %s", leaf.path, failure.reason, failure.message)
        self._record(
            LeafResult(
                leaf=leaf.id,
                input_digest=leaf.input_digest,
                outcome="failed",
                tokens=making.tokens if making else Tokens(),
                prompts_given_up=making.given_up if making else 0,
                answers=making.answers if making else AnswerCounts(),
                reason=failure.reason,
                message=failure.message,
            )
        )
        low = [result for result in list(self.results.values()) if result.reason == "LowYield"]
        if len(low) >= LOW_YIELD_LEAVES and not self._yielding:
            raise EngineFailure(ExitCode.LOW_YIELD, "LowYield", f"no leaf keeps any sample; {failure.message}")

    def _record(self, result: LeafResult) -> None:
        self._work.write_leaf_result(result)
        self.results[result.leaf] = result
        self._board.leaf_done(result.leaf, result.samples)


_WHYS: Final = {
    "empty": "{} had no text",
    "thinking": "{} had thinking in them",
    "cut_off": "{} ended before they were whole (at the limit of tokens: turn the model's thinking off, or, for "
    "knowledge, raise maxTokens)",
    "unparsed": "{} had no sample in them (the log shows some)",
}


def _why(answers: AnswerCounts) -> str:
    """Return what was wrong with answers, in words."""
    counts = dict(answers)
    found = ", ".join(words.format(counts[name]) for name, words in _WHYS.items() if counts[name])
    return f"; of its answers {found}" if found else ""
