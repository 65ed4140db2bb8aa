"""The clauses of the engine contract, and the trials that show whether they hold."""

import signal
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sdg_operator.engine.conformance.evidence import TOKEN, Seen
from sdg_operator.engine.conformance.teacher import ConformanceTeacher
from sdg_operator.engine.conformance.trials import MAX_CONCURRENCY, Engine, leaves, trial
from sdg_operator.engine.contract import ExitCode

STOP_SECONDS = 25
"""A pod has 30 seconds between SIGTERM and SIGKILL by default."""


@dataclass(frozen=True, slots=True)
class Verdict:
    clause: str
    text: str
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    """What its author may want to know, though it breaks nothing."""

    @property
    def holds(self) -> bool:
        return not self.problems


CLAUSES = {
    "leaves": "every leaf gets leaf.json, whole and after samples.jsonl, which has so many samples, fit to be mixed",
    "result": "result.json agrees with the exit code and the leaves; exit code 0 when every leaf has its result; "
    "no process of it goes on",
    "progress": "progress.json is whole whenever it is read, and its sequence never goes back",
    "checkpoints": "a checkpoint appears whole, holds JSON lines, has a name that is kept, and never changes",
    "resume": "killed, and started elsewhere with its checkpoints, it finishes, and does not begin anew",
    "bound": "no more choices at once than maxConcurrency, but for a single request that goes alone",
    "token": "the token file's token is sent with every request",
    "secrets": "the token is in no file, no file's name, no output and no process's arguments",
    "refused": "a teacher that refuses the first request ends it at once with 20, which no retry can cure",
    "unavailable": "a teacher that goes away for good ends it with a code from 30 on, which a retry can cure",
    "invalid": "settings it cannot read end it with 10, without a request",
    "stop": f"SIGTERM ends it within {STOP_SECONDS} seconds with 31",
    "files": "plain files only, all inside its work folder, where in/ stays as it was",
    "network": "it connects to the teacher alone, as far as was seen (datagrams and connections of an instant are not)",
}
"""Clause → what must hold. `docs/engine-contract.md` says why."""


def check(engine: Engine, clauses: Collection[str] = tuple(CLAUSES)) -> Iterator[Verdict]:
    """Run the trials that these clauses need and yield a verdict on each of them."""
    trials = _Trials(engine)
    trials.whole()
    for clause, examine in trials.others().items():
        if clause in clauses:
            examine()
    for clause, text in CLAUSES.items():
        if clause in clauses:
            yield Verdict(clause, text, tuple(trials.problems[clause]), tuple(trials.remarks[clause]))


def _complete(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield what is missing from a run that should have finished."""
    if seen.code != 0:
        yield "result", f"ended with {_code(seen)}, not 0: {_last_words(seen)}"
    for leaf in leaves():
        found = seen.leaves.get(leaf.id)
        if found is None:
            yield "leaves", f"{leaf.id} has no leaf.json"
        elif (found.leaf, found.input_digest) != (leaf.id, leaf.input_digest):
            yield "leaves", f"{leaf.id}/leaf.json is about another leaf or other inputs"
        elif found.outcome == "done":
            lines = seen.samples.get(leaf.id, 0)
            if lines != found.samples or not lines:
                yield "leaves", f"{leaf.id}/samples.jsonl has {lines} lines, leaf.json says {found.samples}"
    if seen.code == 0 and seen.leaves and all(leaf.outcome == "failed" for leaf in seen.leaves.values()):
        yield "result", "every leaf failed and none is elsewhere, and it ended with 0, not with 10 or 21"
    if not seen.has_progress:
        yield "progress", "there is no progress.json"
    yield from _result(seen)
    if seen.result is not None:
        done = sum(leaf.outcome == "done" for leaf in seen.leaves.values())
        samples = sum(leaf.samples for leaf in seen.leaves.values())
        said = (seen.result.leaves_done, seen.result.leaves_failed, seen.result.samples)
        if said != (done, len(seen.leaves) - done, samples):
            yield "result", f"result.json counts {said}, the leaves give {(done, len(seen.leaves) - done, samples)}"


def _result(seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.result is None:
        yield "result", "there is no result.json"
    elif seen.result.exit_code != seen.code:
        yield "result", f"result.json says exit code {seen.result.exit_code}, the process {_code(seen)}"


class _Trials:
    """The trials of one engine and what they showed. The whole one runs first: it shows how often the engine asks."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.problems: dict[str, list[str]] = {clause: [] for clause in CLAUSES}
        self.remarks: dict[str, list[str]] = {clause: [] for clause in CLAUSES}
        self.asked = 0

    def others(self) -> dict[str, Callable[[], None]]:
        """Each clause that has a trial of its own, with it."""
        return {
            "refused": self.refused,
            "unavailable": self.unavailable,
            "invalid": self.invalid,
            "stop": self.stopped,
            "resume": self.killed,
        }

    @property
    def half(self) -> int:
        return max(1, self.asked // 2)

    def take(self, seen: Seen, *found: tuple[str, str]) -> None:
        for clause, problem in (*((c, p) for c, ps in seen.problems.items() for p in ps), *found):
            if problem not in self.problems[clause]:
                self.problems[clause].append(problem)

    def whole(self) -> None:
        seen = trial(self.engine, ConformanceTeacher(TOKEN, delay=0.1))
        self.asked = seen.asked
        self.take(seen, *_complete(seen))
        if seen.most_in_flight > MAX_CONCURRENCY:
            self.take(seen, ("bound", f"{seen.most_in_flight} choices at once, {MAX_CONCURRENCY} are allowed"))
        if seen.wrong_tokens:
            self.take(seen, ("token", f"{seen.wrong_tokens} of {seen.asked} requests came without the token"))

    def refused(self) -> None:
        seen = trial(self.engine, ConformanceTeacher(TOKEN, mode="refuses"))
        if seen.code != ExitCode.TEACHER_REFUSED:
            self.take(seen, ("refused", f"ended with {_code(seen)}, not 20"))
        if seen.asked > MAX_CONCURRENCY:  # so many may be under way when the first is refused
            self.take(seen, ("refused", f"asked {seen.asked} times, though it was refused from the first"))
        self.take(seen, *_result(seen))

    def unavailable(self) -> None:
        if self.asked == 1:
            self.remarks["unavailable"].append("not tried: it asks once, so the teacher cannot go away in between")
            return
        seen = trial(self.engine, ConformanceTeacher(TOKEN, away_after=self.half))
        if seen.code is None or not ExitCode.TEACHER_UNAVAILABLE <= seen.code < 128:
            self.take(seen, ("unavailable", f"ended with {_code(seen)}, not with a code from 30 on"))
        self.take(seen, *_result(seen))

    def invalid(self) -> None:
        def spoil(work: Path) -> None:
            (work / "in" / "settings.json").write_text("{")

        seen = trial(self.engine, ConformanceTeacher(TOKEN), spoil)
        if seen.code != ExitCode.INVALID_INPUT or seen.asked:
            self.take(seen, ("invalid", f"ended with {_code(seen)} after {seen.asked} requests"))
        self.take(seen)

    def stopped(self) -> None:
        seen = trial(self.engine, ConformanceTeacher(TOKEN, delay=1.0), send=signal.SIGTERM, after=self.half)
        if seen.code != ExitCode.INTERRUPTED:
            self.take(seen, ("stop", f"ended with {_code(seen)}, not 31"))
        elif seen.result is None:
            self.take(seen, ("stop", "there is no result.json"))
        if seen.seconds_to_end > STOP_SECONDS:
            self.take(seen, ("stop", f"took {seen.seconds_to_end:.0f} s"))
        self.take(seen)

    def killed(self) -> None:
        """Kill it while it works; start it on another work folder with what a bucket would hold."""
        first = trial(self.engine, ConformanceTeacher(TOKEN, delay=0.2), send=signal.SIGKILL, after=self.half)
        self.take(first)

        def resume(work: Path) -> None:
            for name, content in first.checkpoints.items():
                path = work / "in" / "checkpoints" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

        seen = trial(self.engine, ConformanceTeacher(TOKEN), resume)
        self.take(seen, *(("resume", problem) for _, problem in _complete(seen)))
        if first.checkpoints and seen.asked >= self.asked:
            text = f"asks {seen.asked} times with checkpoints, {self.asked} times without any"
            self.take(seen, ("resume", text))
        if not first.checkpoints:
            text = f"no checkpoint was there when it was killed, {len(first.answered)} answers were lost"
            self.remarks["resume"].append(text)
        elif again := len(set(first.answered) & set(seen.answered)):
            text = f"{again} of {len(set(first.answered))} prompts that were answered before the kill are asked again"
            self.remarks["resume"].append(text)


def _code(seen: Seen) -> str:
    return "no exit within the limit" if seen.code is None else str(seen.code)


def _last_words(seen: Seen) -> str:
    lines = seen.output.strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
