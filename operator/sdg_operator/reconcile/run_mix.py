"""Mixing: one Job after another until the manifest is there and can be believed."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sdg_operator.api.datageneration import (
    DataGenerationStatus,
    DataMetrics,
    Failure,
    SampleMetrics,
    TokenMetrics,
)
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.build import mix_job
from sdg_operator.reconcile.cluster import JobView, PodView
from sdg_operator.reconcile.conditions import bounded, find
from sdg_operator.reconcile.ending import Ending, Meaning, ending
from sdg_operator.reconcile.keepers import all_kept_up
from sdg_operator.reconcile.plan import CreateJob, DeleteJob, PutObject
from sdg_operator.reconcile.reasons import OBSTACLES, Reason, reason_of
from sdg_operator.reconcile.run_close import continue_hint, cut_off, logs, unmixed
from sdg_operator.reconcile.run_guards import edited, has_started, orphans, stopping
from sdg_operator.reconcile.run_status import (
    FAILURE_LENGTH,
    USUAL,
    RunPlan,
    ended,
    failed,
    plan,
    queued,
    running,
    told,
)
from sdg_operator.reconcile.snapshot import Ledger, Problem, RunSeen
from sdg_operator.reconcile.why import given_up, silent_node, waiting
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import Manifest

_SOON: Final = 2.0
_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 300.0
_MAX_FAILURES: Final = 3
_WARNINGS: Final = 8
_WARNING_LENGTH: Final = 512
"""What the API takes of a manifest's warnings."""


_SUSPEND_LATE: Final = " Suspend comes too late: mixing is not interrupted, the GPUs are free."
_CANCEL_LATE: Final = " Cancel comes too late: every leaf is done."


def mix(seen: RunSeen, now: datetime) -> RunPlan:
    """Return the next step of a run that mixes."""
    attempt, job = seen.status.attempt, seen.job
    resolved = seen.status.resolved
    timeout = resolved.node_lost_timeout_seconds if resolved else 0
    alive = [p for p in seen.pods if p.alive and not p.lost(now, timeout)]
    if job is not None and not job.owned_by(seen.owner.uid):
        return _open_next(seen, now, Problem(Reason.RETRYING, "Its name was taken by another Job."))
    if stop := _strays(seen, now, alive):
        return stop
    if attempt.mix_job_uid is None:
        if job is not None:
            noted = attempt.model_copy(update={"mix_job_uid": job.uid})
            return plan(seen, seen.status.model_copy(update={"attempt": noted}), again=0)
        return _make(seen, now, alive)
    if job is not None and job.uid == attempt.mix_job_uid and not job.finished and not job.deleting:
        return _follow(seen, now, job)
    return _over(seen, now, alive)


def _strays(seen: RunSeen, now: datetime, alive: list[PodView]) -> RunPlan | None:
    """Stop pods at work that are not of the mix at hand, and those whose Job was deleted without them."""
    attempt, job = seen.status.attempt, seen.job
    for pod in alive:
        if pod.deletion is None and pod.job_name and pod.job_uid != (job.uid if job else attempt.mix_job_uid):
            stop = DeleteJob(pod.job_name, pod.job_uid, f"pod {pod.name} is not of the mix at hand")
            told = pod.keepers and attempt.mix_job_uid is None  # why, and that another follows
            return plan(seen, seen.status if told else _working(seen, now, stopping(stop)), stop, again=_SOON)
    if left := orphans(alive):
        return plan(seen, _working(seen, now, stopping(left[0])), *left, again=_SOON)
    return None


def _working(seen: RunSeen, now: datetime, why: Problem | None, **changes: Any) -> DataGenerationStatus:
    """The mix is on its way: what is usual about that is said by the message, what holds it back by the reason too."""
    if why is None or why.reason in USUAL:
        return running(seen, now, Reason.MIXING, _words(seen, why), **changes)
    if why.reason in OBSTACLES:
        return queued(seen, now, Problem(why.reason, _words(seen, why)), **changes)
    return running(seen, now, why.reason, _words(seen, why), moving=False, **changes)


def _words(seen: RunSeen, why: Problem | None) -> str:
    text = why.message if why else "Mixing the samples into training files."
    for wish in (_SUSPEND_LATE, _CANCEL_LATE):
        text = text.replace(wish, "")
    if seen.spec.suspend and not seen.spec.cancel:
        text += _SUSPEND_LATE
    if seen.spec.cancel and seen.status.outcome == "completed":
        text += _CANCEL_LATE
    return text


def _make(seen: RunSeen, now: datetime, alive: list[PodView]) -> RunPlan:
    attempt, resolved = seen.status.attempt, seen.status.resolved
    if alive:
        why = Problem(Reason.STOPPING, f"Waiting until pod {alive[0].name} is gone.")
        return plan(seen, _working(seen, now, why), again=_SOON)
    if seen.mix_plan is None or resolved is None:
        why = seen.ledger.problem or Problem(Reason.INPUTS_LOST, "The frozen choice of samples is not in the bucket.")
        return cut_off(seen, now, why) or plan(seen, _working(seen, now, why), again=_FIRST_PAUSE)
    if (pause := clock.seconds_until(attempt.not_before, now, _LONGEST_PAUSE)) > 0:
        said = find(seen.status.conditions, "Progressing")
        told = Problem(reason_of(said.reason), said.message) if said else None
        return plan(seen, _working(seen, now, told), again=min(pause, 60.0))
    if seen.refused:
        waits = plan(seen, _working(seen, now, seen.refused), again=_FIRST_PAUSE)
        return cut_off(seen, now, seen.refused) or waits
    layout = RunLayout.of(resolved.prefix, seen.owner.uid)
    status = _working(seen, now, None)
    return plan(seen, status, PutObject(layout.mix, seen.mix_plan), CreateJob(mix_job(seen)), again=0)


def _follow(seen: RunSeen, now: datetime, job: JobView) -> RunPlan:
    trouble = seen.ledger.problem
    # A canceled run whose bucket cannot be used ends once its pod is gone.
    hopeless = trouble if trouble and seen.spec.cancel and cut_off(seen, now, trouble) else None
    if stop := edited(job) or _abandoned(seen, now, job) or hopeless:
        return plan(seen, _working(seen, now, stop), DeleteJob(job.name, job.uid, stop.message), again=_SOON)
    mine = [p for p in seen.pods if p.job_uid == job.uid]
    if keeper := all_kept_up([p for p in mine if p.alive], now):
        return _kept_up(seen, now, job, keeper)
    idle = not mine or any(p.alive and not has_started(p) for p in mine)
    if not idle and not job.suspended:
        lost = silent_node(p for p in mine if p.alive)
        return plan(seen, _working(seen, now, lost or trouble), again=_SOON)
    why = waiting(job, seen.pods, seen.events, seen.queue_message)
    if job.suspended:
        return plan(seen, queued(seen, now, Problem(why.reason, _words(seen, why))), again=_SOON)
    return plan(seen, _working(seen, now, why), again=_SOON)


def _abandoned(seen: RunSeen, now: datetime, job: JobView) -> Problem | None:
    timeout = seen.status.resolved.node_lost_timeout_seconds if seen.status.resolved else 0
    return given_up(pod for pod in seen.pods if pod.job_uid == job.uid and pod.lost(now, timeout))


def _kept_up(seen: RunSeen, now: datetime, job: JobView, keeper: Problem) -> RunPlan:
    """The mix is over but for containers that are not ours. How it ended is put on record before they are stopped."""
    end = ending(job, seen.pods, worked=True)
    if end.meaning is Meaning.NOTHING:  # whether it did what it should, the manifest will say
        stop = DeleteJob(job.name, job.uid, keeper.message)
        return plan(seen, _working(seen, now, keeper), stop, again=_SOON)
    after = _after(seen, now, replace(end, message=f"{end.message} {keeper.message}"), None)
    return replace(after, again_seconds=0)


def _over(seen: RunSeen, now: datetime, alive: list[PodView]) -> RunPlan:
    """The mix's Job has finished or is gone: the manifest says what it did."""
    if seen.job is not None and seen.job.uid != seen.status.attempt.mix_job_uid and not seen.job.deleting:
        stop = DeleteJob(seen.job.name, seen.job.uid, "it is not the Job that was made for this mix")
        return plan(seen, _working(seen, now, None), stop, again=_SOON)
    if alive:
        said = find(seen.status.conditions, "Progressing")
        if said and said.reason == Reason.FOREIGN_CONTAINER:
            return plan(seen, seen.status, again=_SOON)  # worth more than that the pod is going
        why = Problem(Reason.STOPPING, f"Waiting until pod {alive[0].name} is gone.")
        return plan(seen, _working(seen, now, why), again=_SOON)
    ledger = seen.ledger.found
    if ledger is None:
        why = seen.ledger.problem or Problem(Reason.STORAGE_UNAVAILABLE, "The bucket cannot be read.")
        return cut_off(seen, now, why) or plan(seen, _working(seen, now, why), again=_FIRST_PAUSE)
    if ledger.manifest is not None and ledger.manifest_fault is None:
        return _finish(seen, now, ledger)
    return _after(seen, now, ending(seen.job, seen.pods, worked=True), ledger.manifest_fault)


def _after(seen: RunSeen, now: datetime, end: Ending, fault: str | None) -> RunPlan:
    """What follows from how a mix ended that left no manifest, or one with a fault."""
    if end.meaning is Meaning.NOTHING or end.meaning is Meaning.FAULT or end.meaning is Meaning.FINAL:
        return _failed(seen, now, end, fault)
    return _taken_away(seen, now, end)


def _taken_away(seen: RunSeen, now: datetime, end: Ending) -> RunPlan:
    """It was no fault of the mix."""
    why = Problem(end.reason, end.message)
    if late := cut_off(seen, now, why):
        return late
    if end.meaning is Meaning.OUTAGE:
        outages = seen.status.attempt.outages + 1
        return _open_next(seen, now, why, pause=_pause(outages), outages=outages)
    times = seen.status.attempt.disruptions
    return _open_next(seen, now, why, pause=_pause(times) if times else 0.0, disruptions=times + 1)


def _finish(seen: RunSeen, now: datetime, ledger: Ledger) -> RunPlan:
    manifest, status = ledger.manifest, seen.status
    if manifest is None:  # pragma: no cover - `_over` made sure
        raise AssertionError("a run was finished without its manifest")
    state = status.outcome or "completed"
    samples, tokens = manifest.samples, manifest.tokens
    if state == "completed" and samples.total <= 0:
        why = Problem(Reason.EMPTY_RESULT, f"The mix gave no row. {logs(seen)}")
        return plan(seen, ended(seen, now, "failed", why))
    changes: dict[str, Any] = {
        "data_metrics": DataMetrics(
            samples=SampleMetrics(knowledge=samples.knowledge, skills=samples.skills, total=samples.total),
            tokens=TokenMetrics(
                prompt=tokens.prompt, completion=tokens.completion, total=tokens.prompt + tokens.completion
            ),
        ),
        "warnings": [bounded(text, _WARNING_LENGTH) for text in manifest.warnings[:_WARNINGS]],
    }
    if status.output:
        changes["output"] = status.output.model_copy(update={"manifest_digest": ledger.manifest_digest})
    if state == "completed" and status.progress:
        changes["progress"] = status.progress.model_copy(update={"percent": 100, "seconds_left": None})
    match state:
        case "completed":
            why = Problem(Reason.COMPLETED, _completed(seen, manifest))
        case "canceled":
            text = f"Canceled. {samples.total} rows of {len(manifest.leaves)} finished leaves were mixed."
            why = Problem(Reason.CANCELED, text)
        case "failed":
            failure = status.failure or Failure(reason=Reason.ENGINE_FAILED, message="The run failed.")
            mixed = f"{samples.total} rows of finished leaves were mixed."
            return plan(seen, failed(seen, now, failure, mixed, logs(seen), continue_hint(seen), **changes))
    return plan(seen, ended(seen, now, state, why, **changes))


def _completed(seen: RunSeen, manifest: Manifest) -> str:
    """The service's own word, and what a user would else not see."""
    said = ["completed"]
    if unmade := manifest.failed:
        first = f"{unmade[0].path}: {unmade[0].message or unmade[0].reason}".rstrip(".")
        said.append(f"Leaves that could not be made: {len(unmade)}. {first}")
    if seen.spec.cancel:
        said.append("Cancel came too late: every leaf was done.")
    return ". ".join(said)


def _failed(seen: RunSeen, now: datetime, end: Ending, fault: str | None) -> RunPlan:
    said = f"{end.message or 'The mix ended.'} {fault or 'There is no manifest.'}"
    failures = seen.status.attempt.mix_failures + 1
    if end.meaning is Meaning.FINAL or failures > _MAX_FAILURES:
        unmade = Reason.RESULT_INCOMPLETE if fault else Reason.MIX_FAILED
        reason = end.reason if end.meaning is Meaning.FINAL else unmade
        if cause := seen.status.failure:  # that nothing could be mixed either is not why the run failed
            return plan(seen, failed(seen, now, cause, unmixed(said), logs(seen), continue_hint(seen)))
        if seen.spec.cancel or seen.status.outcome == "canceled":
            text = told(f"Canceled. {unmixed(said)}", logs(seen))
            return plan(seen, ended(seen, now, "canceled", Problem(Reason.FILES_NOT_MIXED, text)))
        failure = Failure(reason=reason, message=said[:FAILURE_LENGTH])
        return plan(seen, failed(seen, now, failure, logs(seen), continue_hint(seen)))
    return _open_next(seen, now, Problem(Reason.RETRYING, said), pause=_pause(failures), mix_failures=failures)


def _pause(times: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(times, 16), _LONGEST_PAUSE)


def _open_next(seen: RunSeen, now: datetime, why: Problem, *, pause: float = 0.0, **counts: int) -> RunPlan:
    attempt = seen.status.attempt
    opened = attempt.model_copy(
        update={
            "mix_number": attempt.mix_number + 1,
            "mix_job_uid": None,
            "outages": 0,
            "disruptions": 0,
            "not_before": clock.after(now, pause) if pause else None,
            **counts,
        }
    )
    again = Problem(why.reason, f"Mixing is tried again. {why.message}")
    return plan(seen, _working(seen, now, again, attempt=opened), again=pause)
