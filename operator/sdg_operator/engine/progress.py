"""How far the run is: counted by batches and by answers within them, told once a second."""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce

from sdg_operator.engine.contract import EngineLeaf, Progress, status_text
from sdg_operator.engine.workfolder import WorkFolder
from sdg_operator.storage.records import AnswerCounts, Tokens

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0


@dataclass(slots=True)
class BatchMeter:
    """One batch on its way through a pipeline: which part of the way, and tokens spent."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    given_up: int = 0
    """Prompts that the teacher would not answer."""
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    _blocks_done: int = 0
    _blocks: int = 1
    _asked: int = 0
    _answered: int = 0

    def passed(self, done: int, of: int) -> None:
        self._blocks_done, self._blocks = done, of
        self._asked = self._answered = 0

    def asking(self, prompts: int) -> None:
        self._asked, self._answered = prompts, 0

    def answered(self) -> None:
        self._answered += 1

    def spent(self, prompt_tokens: int, completion_tokens: int, given_up: bool, counts: AnswerCounts) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.given_up += given_up
        self.answers = self.answers.plus(counts)

    def count_unparsed(self) -> None:
        self.answers = self.answers.plus(AnswerCounts(unparsed=1))

    @property
    def tokens(self) -> Tokens:
        return Tokens(prompt=self.prompt_tokens, completion=self.completion_tokens)

    @property
    def part(self) -> float:
        within = self._answered / self._asked if self._asked else 0.0
        return min(1.0, (self._blocks_done + within) / self._blocks)


@dataclass(slots=True)
class _LeafCount:
    path: str
    expected: int
    batches: int = 1
    samples: int = 0
    done: bool = False
    running: dict[int, BatchMeter] = field(default_factory=dict)

    @property
    def shown(self) -> int:
        """Samples kept, and what running batches have come to so far; less than expected until the leaf is done."""
        if self.done:
            return self.samples
        coming = sum(meter.part for meter in list(self.running.values())) * self.expected / self.batches
        return min(self.samples + int(coming), self.expected)


class ProgressBoard:
    """Counts for all leaves of this engine; every method may be called from any thread."""

    def __init__(self, leaves: Iterable[EngineLeaf], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._leaves = {leaf.id: _LeafCount(leaf.path, leaf.expected_samples) for leaf in leaves}
        self._tokens = Tokens()
        self._answers = AnswerCounts()
        self._latest: str | None = None
        self._sequence = 0
        self._began: tuple[float, int] | None = None
        self._shown = Progress(phase="starting", leaves_total=len(self._leaves))
        self.trouble: Callable[[], str | None] = lambda: None
        """What the teacher says while it gives no good answer."""
        self.phase = "starting"

    def leaf_started(self, leaf: str, batches: int, expected: int) -> None:
        with self._lock:
            count = self._leaves[leaf]
            count.batches, count.expected = max(1, batches), expected
            self._latest = self._latest or leaf

    def batch_started(self, leaf: str, batch: int) -> BatchMeter:
        with self._lock:
            meter = self._leaves[leaf].running[batch] = BatchMeter()
            return meter

    def batch_done(self, leaf: str, batch: int, samples: int, tokens: Tokens, answers: AnswerCounts) -> None:
        with self._lock:
            count = self._leaves[leaf]
            count.running.pop(batch, None)
            if not count.done:  # else its leaf has failed meanwhile
                count.samples += samples
            self._spend(tokens, answers)
            self._latest = leaf

    def batch_failed(self, leaf: str, batch: int) -> None:
        """A batch gives nothing; what it has cost stays counted."""
        with self._lock:
            meter = self._leaves[leaf].running.pop(batch)
            self._spend(meter.tokens, meter.answers)

    def leaf_done(
        self, leaf: str, samples: int, tokens: Tokens | None = None, answers: AnswerCounts | None = None
    ) -> None:
        """A leaf has its result; `tokens` and `answers` are those that no batch of this run has counted."""
        with self._lock:
            count = self._leaves[leaf]
            count.done, count.samples = True, samples
            self._spend(tokens or Tokens(), answers or AnswerCounts())
            self._latest = leaf

    def _spend(self, tokens: Tokens, answers: AnswerCounts) -> None:
        self._answers = self._answers.plus(answers)
        self._tokens = self._tokens.plus(tokens)

    @property
    def tokens(self) -> Tokens:
        return self._tokens

    @property
    def answers(self) -> AnswerCounts:
        """What was wrong with answers so far, also with those of batches that are not finished."""
        with self._lock:
            running = [meter for count in self._leaves.values() for meter in count.running.values()]
            return reduce(AnswerCounts.plus, (meter.answers for meter in running), self._answers)

    def look(self) -> Progress:
        """Return how things stand; the sequence number grows when anything did."""
        with self._lock:
            now = self._progress()
            if now != self._shown:
                self._sequence += 1
                self._shown = now
            return now.model_copy(update={"sequence": self._sequence})

    def _progress(self) -> Progress:
        counts = self._leaves.values()
        samples = sum(count.shown for count in counts)
        expected = sum(count.samples if count.done else count.expected for count in counts)
        done = sum(count.done for count in counts)
        latest = self._leaves[self._latest] if self._latest else None
        leaf_samples = latest.shown if latest else 0
        leaf_expected = (latest.samples if latest.done else latest.expected) if latest else 0
        return Progress(
            phase=self.phase,
            leaf=latest.path if latest else None,
            leaf_samples=leaf_samples,
            leaf_expected=leaf_expected,
            samples=samples,
            expected=expected,
            leaves_done=done,
            leaves_total=len(self._leaves),
            tokens=self._tokens,
            tokens_expected=self._tokens_expected(expected),
            seconds_left=self._seconds_left(samples, expected),
            waiting=self.trouble(),
            text=status_text(latest.path, leaf_samples, leaf_expected, done, len(self._leaves)) if latest else "",
        )

    def _tokens_expected(self, expected: int) -> Tokens | None:
        """Return what all samples will cost, at what those of finished batches did."""
        made = sum(count.samples for count in self._leaves.values())
        if not made:
            return None
        part = max(1.0, expected / made)
        return Tokens(prompt=round(self._tokens.prompt * part), completion=round(self._tokens.completion * part))

    def _seconds_left(self, samples: int, expected: int) -> int | None:
        """Return seconds to go at this engine's own pace so far; what earlier attempts made does not count to it."""
        now = self._clock()
        if self._began is None:
            if self.phase == "generating":
                self._began = (now, samples)
            return None
        began, before = self._began
        if samples <= before:
            return None
        return round((now - began) * max(0, expected - samples) / (samples - before))


class ProgressWriter:
    """Writes ``progress.json`` once a second while the ``with`` block runs, and a line where a person looks on."""

    def __init__(self, board: ProgressBoard, work: WorkFolder) -> None:
        self._board = board
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "ProgressWriter":
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # what became of the run is told by its result
            self._write()
        if self._terminal:
            sys.stderr.write("\n")

    def _tick(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self._write()
            except OSError as error:  # a disk that is full for a moment; the work itself tells if it stays so
                log.warning("progress.json cannot be written: %s", error)

    def _write(self) -> None:
        progress = self._board.look()
        self._work.write_progress(progress)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{bar(progress)}")
            sys.stderr.flush()


def bar(progress: Progress, width: int = 24) -> str:
    """Return one line for a terminal."""
    part = min(1.0, progress.samples / progress.expected) if progress.expected else 0.0
    filled = round(width * part)
    left = f", {progress.seconds_left} s left" if progress.seconds_left is not None else ""
    if progress.waiting:
        left = f", waiting for the teacher: {progress.waiting[:60]}"
    return (
        f"[{'#' * filled}{'.' * (width - filled)}] {part:4.0%} {progress.samples}/{progress.expected} samples, "
        f"{progress.leaves_done}/{progress.leaves_total} leaves{left}"
    )
