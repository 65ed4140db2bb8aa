"""Generating: attempt after attempt until every leaf has its record. One Job at a time, and never two of one attempt.

An attempt is opened (its number is in the status), made (POST), noted (its Job's uid is in the status) and over (the
Job finished or is gone, and none of its pods is alive). Suspend, cancel, repair and deadlines all mean: delete the Job,
wait until it is over, then go on from the records.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.active import clocked
from sdg_operator.reconcile.build import generate_job
from sdg_operator.reconcile.cluster import JobView
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.cost import counted
from sdg_operator.reconcile.ending import ending
from sdg_operator.reconcile.keepers import all_kept_up
from sdg_operator.reconcile.plan import CreateJob, DeleteJob, PutObject
from sdg_operator.reconcile.reasons import OBSTACLES, Reason
from sdg_operator.reconcile.run_close import close, cut_off
from sdg_operator.reconcile.run_guards import (
    Run,
    abandoned,
    edited,
    has_started,
    has_worked,
    idle_though_made,
    kept_though_deleted,
    orphans,
    start_deadline,
    stopping,
    stray,
)
from sdg_operator.reconcile.run_next import LONGEST_PAUSE, after_attempt, failure_of, open_next
from sdg_operator.reconcile.run_pods import at_work, held_back
from sdg_operator.reconcile.run_progress import message, progress
from sdg_operator.reconcile.run_status import RunPlan, kept, look_again, plan, queued, running
from sdg_operator.reconcile.snapshot import Problem, RunSeen
from sdg_operator.reconcile.why import waiting
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.ledger import Standing, plan_attempt, standing

SOON: Final = 2.0
_FIRST_PAUSE: Final = 10.0


def generate(seen: RunSeen, now: datetime) -> RunPlan:
    """Return the next step of a run that makes samples."""
    resolved, ledger = seen.status.resolved, seen.ledger.found
    if resolved is None:
        raise ValueError("a run that generates has resolved settings")
    lost = tuple(p for p in seen.pods if p.lost(now, resolved.node_lost_timeout_seconds))
    run = Run(
        seen=seen,
        now=now,
        alive=tuple(p for p in seen.pods if p.alive and p not in lost),
        lost=lost,
        standing=standing(seen.inputs, ledger.records) if seen.inputs and ledger else None,
    )
    return _step(run)


def _step(run: Run) -> RunPlan:
    seen, attempt, job = run.seen, run.attempt, run.seen.job
    if attempt.number == 0 and run.standing is not None and run.standing.complete:
        return close(seen, run.now, run.standing)  # a merge, or every leaf was taken over: no GPU is needed
    foreign = job is not None and not job.owned_by(seen.owner.uid)
    if attempt.number == 0 and run.standing is None and (unread := _settle(run)):
        return unread  # what was taken over from another run is no progress of this one
    if attempt.number == 0 or foreign:
        return open_next(run, Problem(Reason.ACCEPTED, "Accepted; the attempt is being prepared."))
    return _advance(run)


def _advance(run: Run) -> RunPlan:
    seen, attempt, job = run.seen, run.attempt, run.seen.job
    late = stray(run)
    if left := orphans(run.alive):
        return plan(seen, kept(seen, run.now, stopping(left[0])), *left, *([late] if late else []), again=SOON)
    if late:
        told = attempt.job_uid is None and all(pod.keepers for pod in run.alive)  # why, and that another follows
        status = counted(seen, seen.status, run.now) if told else kept(seen, run.now, stopping(late))
        return plan(seen, status, late, again=SOON)
    if attempt.job_uid is None:
        if job is not None:
            return plan(seen, _with_attempt(run, job_uid=job.uid), again=0)
        return _idle(run)
    if job is not None and job.uid == attempt.job_uid and not job.finished and not job.deleting:
        return _follow(run, job)
    return _over(run)


def _with_attempt(run: Run, **changes: Any) -> DataGenerationStatus:
    return run.seen.status.model_copy(update={"attempt": run.attempt.model_copy(update=changes)})


def _idle(run: Run) -> RunPlan:
    """An attempt is open and its Job not made: may it be?"""
    seen, now, attempt = run.seen, run.now, run.attempt
    if settled := _settle(run):
        return settled
    if seen.spec.suspend:
        why = Problem(Reason.SUSPENDED, "Suspended. Finished leaves are kept; it goes on from them when resumed.")
        return plan(seen, queued(seen, now, why, progress=progress(seen, run.standing, now)))
    if (pause := clock.seconds_until(attempt.not_before, now, LONGEST_PAUSE)) > 0:
        return plan(seen, _pausing(seen, now), again=min(pause, 60.0))
    if seen.refused:
        return plan(seen, queued(seen, now, seen.refused), again=_FIRST_PAUSE)
    return _make(run)


def _pausing(seen: RunSeen, now: datetime) -> DataGenerationStatus:
    """It says why it pauses, unless it was suspended meanwhile and no longer is."""
    suspended = find(seen.status.conditions, "Suspended")
    if suspended is None or suspended.status != "True":
        return seen.status
    text = f"Resumed. The next attempt begins at {seen.status.attempt.not_before}."
    return queued(seen, now, Problem(Reason.RETRYING, text))


def _make(run: Run) -> RunPlan:
    seen, inputs, resolved = run.seen, run.seen.inputs, run.seen.status.resolved
    if inputs is None or resolved is None or run.standing is None:  # pragma: no cover - `generate` made sure
        raise AssertionError("an attempt was to be made without inputs")
    layout = RunLayout.of(resolved.prefix, seen.owner.uid)
    deal = plan_attempt(run.attempt.number, run.standing.missing, resolved.parallelism, run.standing.done)
    return plan(
        seen,
        queued(seen, run.now, Problem(Reason.STARTING, f"Attempt {run.attempt.number} is being started.")),
        PutObject(layout.inputs, inputs.to_json()),
        PutObject(layout.attempt_plan(run.attempt.number), deal.to_json()),
        CreateJob(generate_job(seen, len(deal.shards))),
        again=0,
    )


def _follow(run: Run, job: JobView) -> RunPlan:
    """The attempt's Job is there and not finished."""
    seen, now = run.seen, run.now
    made = run.standing is not None and run.standing.complete
    stop = edited(job) or abandoned(run, job) or kept_though_deleted(run, job)
    stop = stop or (idle_though_made(run, job) if made else run.wish)
    if stop:
        return plan(seen, kept(seen, now, stop), DeleteJob(job.name, job.uid, stop.message), again=SOON)
    mine = [pod for pod in run.alive if pod.job_uid == job.uid]
    if (keeper := all_kept_up(mine, now)) and run.standing is not None:
        return _kept_up(run, job, keeper, run.standing)
    started = any(has_started(pod) for pod in mine)
    held = None if job.suspended else held_back(run, job)
    obstacle = held if held and held.reason in OBSTACLES and not at_work(run, job) else None
    if job.suspended or obstacle or not (started or seen.status.state == "running"):
        why = obstacle or waiting(job, run.alive, seen.events, seen.queue_message)
        late = start_deadline(run, why)
        status = queued(seen, now, late or why, **({"failure": failure_of(late)} if late else {}))
        status = clocked(seen, status, now, active=False)
        return plan(seen, status, again=0 if late else look_again(seen, now, why))
    return _work(run, job, held, started=started)


def _kept_up(run: Run, job: JobView, keeper: Problem, at: Standing) -> RunPlan:
    """The attempt is over but for containers that are not ours: what ended in its pods is read while they are there,
    and put on record before they are stopped."""
    if at.complete:
        stop = DeleteJob(job.name, job.uid, keeper.message)
        return plan(run.seen, kept(run.seen, run.now, keeper), stop, again=SOON)
    end = ending(job, run.seen.pods, worked=has_worked(run))
    after = after_attempt(run, replace(end, message=f"{end.message} {keeper.message}".strip()), at)
    return replace(after, again_seconds=0)


def _work(run: Run, job: JobView, held: Problem | None, *, started: bool) -> RunPlan:
    """A pod has started, and what is `held` back of the attempt is told beside."""
    seen, now = run.seen, run.now
    limit = seen.status.resolved.active_deadline_seconds if seen.status.resolved else None
    if limit is not None and run.active_seconds > limit and not seen.status.failure:
        why = Problem(
            Reason.ACTIVE_DEADLINE_EXCEEDED,
            f"The run was active for more than activeDeadlineSeconds ({limit}) in {run.attempt.number} attempts.",
        )
        return plan(seen, running(seen, now, Reason.STOPPING, why.message, failure=failure_of(why)), again=0)
    if held and not seen.status.failure and (late := start_deadline(run, held)):
        status = running(seen, now, Reason.STOPPING, late.message, failure=failure_of(late))
        return plan(seen, clocked(seen, status, now, active=started), again=0)
    done = progress(seen, run.standing, now)
    stopped = held if held and not at_work(run, job) else seen.ledger.problem
    if stopped:
        status = running(seen, now, stopped.reason, stopped.message, moving=False, progress=done)
    else:
        status = running(seen, now, Reason.RUNNING, message(seen, run.standing), beside=held, progress=done)
    if has_worked(run):
        status = status.model_copy(update={"attempt": status.attempt.model_copy(update={"worked": True})})
    interval = seen.settings.limits.progress_interval_seconds
    again = min(interval, look_again(seen, now, held)) if held else interval
    return plan(seen, clocked(seen, status, now, active=started), again=again)


def _over(run: Run) -> RunPlan:
    """The attempt's Job has finished or is gone. Go on once nothing of it is alive and the records are read."""
    seen, now, job = run.seen, run.now, run.seen.job
    if job is not None and job.uid != run.attempt.job_uid and not job.deleting:
        stop = DeleteJob(job.name, job.uid, "it is not the Job that was made for this attempt")
        return plan(seen, kept(seen, now, Problem(Reason.JOB_EDITED, stop.reason)), stop, again=SOON)
    if settled := _settle(run):
        return settled
    at = run.standing
    if at is None or seen.spec.suspend:
        return open_next(run, Problem(Reason.SUSPENDED, "Suspended."))
    end = ending(job, seen.pods, worked=has_worked(run))
    if end.reason is Reason.JOB_DELETED and (why := _deleted_for(run)):
        end = replace(end, reason=why.reason, message=why.message)
    return after_attempt(run, end, at)


_DELETED_FOR: Final = frozenset({Reason.NODE_LOST, Reason.JOB_EDITED, Reason.FOREIGN_CONTAINER})


def _deleted_for(run: Run) -> Problem | None:
    """Why we deleted a Job that is followed by the next attempt: worth more to a user than that its pods are going."""
    said = find(run.seen.status.conditions, "Progressing")
    return Problem(Reason(said.reason), said.message) if said and said.reason in _DELETED_FOR else None


def _settle(run: Run) -> RunPlan | None:
    """Between attempts: wait for pods and records, then close the run if no attempt shall follow."""
    seen, now = run.seen, run.now
    if run.alive:
        gone = Problem(Reason.STOPPING, f"Waiting until pod {run.alive[0].name} is gone.")
        why = run.wish or _deleted_for(run) or gone
        if why is gone and run.attempt.job_uid is None:
            return plan(seen, counted(seen, seen.status, now), again=SOON)  # it says already why another follows
        return plan(seen, kept(seen, now, why), again=SOON)
    if run.standing is None:
        why = seen.ledger.problem or Problem(Reason.STORAGE_UNAVAILABLE, "The bucket cannot be read.")
        pause = clock.seconds_until(run.attempt.not_before, now, LONGEST_PAUSE)
        if pause and not (seen.spec.cancel or seen.spec.suspend):
            return plan(seen, seen.status, again=min(pause, _FIRST_PAUSE))  # why it pauses is worth more
        # No pod is at work: what the store's absence takes is not active time.
        waits = clocked(seen, queued(seen, now, why), now, active=False)
        return cut_off(seen, now, why) or plan(seen, waits, again=_FIRST_PAUSE)
    if run.standing.complete or seen.spec.cancel or seen.status.failure:
        return close(seen, now, run.standing)
    return None
