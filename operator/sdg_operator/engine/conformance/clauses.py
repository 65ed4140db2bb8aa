"""The clauses of the engine contract, and the trials that show whether they hold."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sdg_operator.engine.conformance.evidence import TOKEN, Seen, are_json_lines
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

    @property
    def holds(self) -> bool:
        return not self.problems


CLAUSES = {
    "leaves": "every leaf gets leaf.json, with its input digest, and as many samples in samples.jsonl as it says",
    "result": "result.json agrees with the exit code and the leaves; exit code 0 when every leaf has its result",
    "progress": "progress.json is whole whenever it is read, and its sequence never goes back",
    "checkpoints": "a checkpoint appears whole, holds JSON lines, and never changes",
    "resume": "killed, and started elsewhere with its checkpoints, it finishes, and does not begin anew",
    "bound": "no more choices at once than maxConcurrency",
    "token": "the token file's token is sent with every request",
    "secrets": "the token is in no file, no output and no process's arguments",
    "refused": "a teacher that refuses the first request ends it with 20, which no retry can cure",
    "unavailable": "a teacher that goes away for good ends it with a code from 30 on, which a retry can cure",
    "invalid": "settings it cannot read end it with 10, without a request",
    "stop": f"SIGTERM ends it within {STOP_SECONDS} seconds with 31",
    "files": "plain files only, all inside its work folder",
    "network": "it connects to the teacher alone",
}
"""Clause → what must hold. `docs/engine-contract.md` says why."""


def check(engine: Engine, clauses: Collection[str] = tuple(CLAUSES)) -> Iterator[Verdict]:
    """Run the trials that these clauses need and yield a verdict on each of them."""
    problems: dict[str, list[str]] = {clause: [] for clause in CLAUSES}

    def take(seen: Seen, *found: tuple[str, str]) -> None:
        for clause, problem in (*((c, p) for c, ps in seen.problems.items() for p in ps), *found):
            if problem not in problems[clause]:
                problems[clause].append(problem)

    for examine, shows in _TRIALS:
        if not shows.isdisjoint(clauses):
            examine(engine, take)
    for clause, text in CLAUSES.items():
        if clause in clauses:
            yield Verdict(clause, text, tuple(problems[clause]))


Take = Callable[..., None]


def _whole(engine: Engine, take: Take) -> None:
    seen = trial(engine, ConformanceTeacher(TOKEN))
    take(seen, *_complete(seen))
    if seen.most_in_flight > MAX_CONCURRENCY:
        take(seen, ("bound", f"{seen.most_in_flight} choices at once, {MAX_CONCURRENCY} are allowed"))
    if seen.wrong_tokens:
        take(seen, ("token", f"{seen.wrong_tokens} of {seen.asked} requests came without the token"))


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
            lines = [line for line in seen.samples.get(leaf.id, b"").split(b"\n") if line]
            if len(lines) != found.samples or not lines:
                yield "leaves", f"{leaf.id}/samples.jsonl has {len(lines)} lines, leaf.json says {found.samples}"
            if not are_json_lines(seen.samples.get(leaf.id, b"")):
                yield "leaves", f"{leaf.id}/samples.jsonl does not hold JSON objects, one a line"
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


def _refused(engine: Engine, take: Take) -> None:
    seen = trial(engine, ConformanceTeacher(TOKEN, mode="refuses"))
    if seen.code != ExitCode.TEACHER_REFUSED:
        take(seen, ("refused", f"ended with {_code(seen)}, not 20"))
    take(seen, *_result(seen))


def _unavailable(engine: Engine, take: Take) -> None:
    seen = trial(engine, ConformanceTeacher(TOKEN, away_after=4))
    if seen.code is None or not ExitCode.TEACHER_UNAVAILABLE <= seen.code < 128:
        take(seen, ("unavailable", f"ended with {_code(seen)}, not with a code from 30 on"))
    take(seen, *_result(seen))


def _invalid(engine: Engine, take: Take) -> None:
    def spoil(work: Path) -> None:
        (work / "in" / "settings.json").write_text("{")

    seen = trial(engine, ConformanceTeacher(TOKEN), spoil)
    if seen.code != ExitCode.INVALID_INPUT or seen.asked:
        take(seen, ("invalid", f"ended with {_code(seen)} after {seen.asked} requests"))
    take(seen)


def _stopped(engine: Engine, take: Take) -> None:
    seen = trial(engine, ConformanceTeacher(TOKEN, delay=1.0), send=signal.SIGTERM)
    if seen.code != ExitCode.INTERRUPTED:
        take(seen, ("stop", f"ended with {_code(seen)}, not 31"))
    if seen.seconds_to_end > STOP_SECONDS:
        take(seen, ("stop", f"took {seen.seconds_to_end:.0f} s"))
    take(seen)


def _killed(engine: Engine, take: Take) -> None:
    """Kill it while it works; start it on another work folder with what a bucket would hold."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept")
        take(trial(engine, ConformanceTeacher(TOKEN, delay=0.2), send=signal.SIGKILL, keep=kept))

        left = [file for file in (kept / "out" / "checkpoints").rglob("*") if file.is_file()]

        def resume(work: Path) -> None:
            if left:
                shutil.copytree(kept / "out" / "checkpoints", work / "in" / "checkpoints")

        seen = trial(engine, ConformanceTeacher(TOKEN), resume)
    take(seen, *(("resume", problem) for _, problem in _complete(seen)))
    if left:
        afresh = trial(engine, ConformanceTeacher(TOKEN)).asked
        if seen.asked >= afresh:
            take(seen, ("resume", f"asks {seen.asked} times with checkpoints, {afresh} times without any"))


_TRIALS: tuple[tuple[Callable[[Engine, Take], None], frozenset[str]], ...] = (
    (_whole, frozenset(CLAUSES) - {"refused", "unavailable", "invalid", "stop", "resume"}),
    (_refused, frozenset({"refused"})),
    (_unavailable, frozenset({"unavailable"})),
    (_invalid, frozenset({"invalid"})),
    (_stopped, frozenset({"stop"})),
    (_killed, frozenset({"resume"})),
)
"""Each trial with the clauses that cannot be judged without it."""


def _code(seen: Seen) -> str:
    return "no exit within the limit" if seen.code is None else str(seen.code)


def _last_words(seen: Seen) -> str:
    lines = seen.output.strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
