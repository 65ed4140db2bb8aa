"""What follows an attempt: a failure, or the next attempt, at once or after a pause."""

from dataclasses import replace
from typing import Final

from sdg_operator.api.datageneration import Failure
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cost import judged, useful
from sdg_operator.reconcile.ending import Ending, Meaning
from sdg_operator.reconcile.plan import ReleaseJob
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_guards import Run, has_worked
from sdg_operator.reconcile.run_progress import fruitful, samples
from sdg_operator.reconcile.run_status import FAILURE_LENGTH, RunPlan, kept, plan, queued
from sdg_operator.reconcile.snapshot import Problem
from sdg_operator.storage.ledger import Standing

_FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 600.0
_SHORTEST_TTL: Final = 600
_OF_TEACHER: Final = frozenset({Reason.TEACHER_UNAVAILABLE, Reason.TEACHER_REFUSED})


def failure_of(why: Problem, leaf: str | None = None) -> Failure:
    """The failure that a run ends with for this reason, as long as the API takes it."""
    return Failure(reason=why.reason, message=why.message[:FAILURE_LENGTH], leaf=leaf[:1024] if leaf else None)


def after_attempt(run: Run, end: Ending, at: Standing) -> RunPlan:
    """What follows from how the attempt ended, while leaves are missing."""
    attempt, resolved = run.attempt, run.seen.status.resolved
    left = f"{len(at.missing)} of {len(at.missing) + len(at.chosen)} leaves are still to be made."
    if end.reason is Reason.LOW_YIELD and at.done:
        end = replace(end, meaning=Meaning.FAULT)  # one shard's view: of another shard's leaves there are samples
    if end.meaning is Meaning.OUTAGE and end.reason in _OF_TEACHER and _serves_its_own(run):
        end = replace(end, meaning=Meaning.FAULT)  # frozen with the run: nobody else can mend it
    if end.meaning is Meaning.FINAL:
        return _fail(run, Problem(end.reason, end.message), end.leaf)
    progressed = len(at.chosen) > attempt.leaves_before
    if end.meaning is Meaning.DISRUPTION:
        before = 0 if progressed else attempt.disruptions
        pause = _pause(_FIRST_PAUSE, before - 1) if before else 0.0
        text = f"{end.message} It goes on in {pause:.0f} s. {left}" if pause else f"{end.message} {left}"
        return open_next(run, Problem(end.reason, text), pause=pause, disruptions=before + 1)
    if end.meaning is Meaning.OUTAGE:
        before = 0 if progressed else attempt.outages
        pause = _pause(30.0, before)
        text = f"{end.message} The GPU is free; it goes on from the finished leaves in {pause:.0f} s. {left}"
        return open_next(run, Problem(end.reason, text), pause=pause, outages=before + 1)
    if progressed:
        return open_next(run, Problem(Reason.RETRYING, f"{end.message} {left}".strip()))
    fruitless = attempt.fruitless + 1
    if resolved is not None and fruitless > resolved.max_fruitless_attempts:
        text = f"{fruitless} attempts in a row finished no leaf. The last one: {end.message or 'no pod said why.'}"
        reason = end.reason if end.meaning is Meaning.FAULT else Reason.NO_PROGRESS
        return _fail(run, Problem(reason, text), end.leaf)
    why = Problem(Reason.RETRYING, f"{end.message or 'The attempt finished no leaf.'} {left}")
    return open_next(run, why, pause=_pause(_FIRST_PAUSE, attempt.fruitless), fruitless=fruitless)


def _serves_its_own(run: Run) -> bool:
    resolved = run.seen.status.resolved
    return bool(resolved and resolved.teacher and resolved.teacher.server)


def _pause(first: float, times: int) -> float:
    return min(first * 2.0 ** min(times, 16), LONGEST_PAUSE)


def _fail(run: Run, why: Problem, leaf: str | None) -> RunPlan:
    """Fail, but mix what there is first."""
    status = kept(run.seen, run.now, why, failure=failure_of(why, leaf))
    return plan(run.seen, status, again=0)


def open_next(run: Run, why: Problem, pause: float = 0.0, **changes: int) -> RunPlan:
    """Open the next attempt: its number goes on record before anything of it exists."""
    at = len(run.standing.chosen) if run.standing else run.attempt.leaves_before
    counts = {"fruitless": 0, "outages": 0, "disruptions": 0} if at > run.attempt.leaves_before else {}
    spent = int(run.active_seconds)
    status = judged(queued(run.seen, run.now, why), fruitful=fruitful(run.seen, run.standing, run.now))
    attempt = status.attempt.model_copy(
        update={
            "number": run.attempt.number + 1,
            "job_uid": None,
            "leaves_before": at,
            "samples_before": samples(run.seen, run.standing, run.now),
            "useful_gpu_seconds_before": useful(status),
            "active_since": None,
            "active_seconds": spent,
            "not_before": clock.after(run.now, pause) if pause else None,
            "worked": has_worked(run),
            **counts,
            **changes,
        }
    )
    job = run.seen.job
    done = job is not None and job.uid == run.attempt.job_uid and job.finished and job.watched and not job.deleting
    ttl = run.seen.status.resolved.job_ttl_seconds if run.seen.status.resolved else None
    # Its ending is told, so it may go; but not before that is on record.
    if job is None or not done or ttl is None:
        release = []
    else:  # from now on: one that went at once would be missed if this plan is replayed
        age = (run.now - job.finished_at).total_seconds() if job.finished_at else 0.0
        release = [ReleaseJob(job.name, job.uid, max(ttl, _SHORTEST_TTL) + max(0, int(age)))]
    return plan(run.seen, status.model_copy(update={"attempt": attempt}), *release, again=pause)
