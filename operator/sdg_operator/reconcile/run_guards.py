"""A look at a generating run, and what in it calls for stopping the attempt at hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sdg_operator.api.datageneration import Attempt
from sdg_operator.reconcile.active import active_seconds
from sdg_operator.reconcile.cluster import JobView, PodView
from sdg_operator.reconcile.plan import DeleteJob, DeletePod
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_progress import latest
from sdg_operator.reconcile.snapshot import Problem, RunSeen
from sdg_operator.reconcile.why import given_up
from sdg_operator.storage.ledger import Standing

_LINGER_SECONDS: Final = 120.0
"""How long a pod may flush its logs and end by itself once every leaf has its record."""

_KEPT_SECONDS: Final = 60.0
"""How long a Job may keep a pod that was deleted and has ended; the next one mostly comes within seconds."""


@dataclass(frozen=True, slots=True)
class Run:
    """A look at a generating run with what follows from it at once."""

    seen: RunSeen
    now: datetime
    alive: tuple[PodView, ...]
    """Pods of any attempt that may still work; those on lost nodes are given up."""
    lost: tuple[PodView, ...]
    standing: Standing | None
    """None while the bucket cannot be read."""

    @property
    def attempt(self) -> Attempt:
        return self.seen.status.attempt

    @property
    def active_seconds(self) -> float:
        """For how long pods of the run were at work, in all attempts."""
        return active_seconds(self.seen, self.now)

    @property
    def wish(self) -> Problem | None:
        """Why the run shall stop: cancel wins over a failure on its way, and that over suspend."""
        spec, status = self.seen.spec, self.seen.status
        if spec.cancel:
            return Problem(Reason.CANCELED, "Canceling: waiting until the pods are gone.")
        if status.failure:
            return Problem(Reason.STOPPING, f"Failing: {status.failure.message}")
        if spec.suspend:
            return Problem(Reason.SUSPENDED, "Suspending: waiting until the pods are gone.")
        return None


def stray(run: Run) -> DeleteJob | None:
    """A Job of ours that is not the attempt at hand but has a pod at work: made by an operator that came too late."""
    current = {run.attempt.job_uid} if run.attempt.job_uid else {run.seen.job.uid if run.seen.job else ""}
    for pod in run.alive:
        if pod.job_uid not in current and pod.deletion is None and pod.job_name:
            return DeleteJob(pod.job_name, pod.job_uid, f"pod {pod.name} is not of the attempt at hand")
    return None


def orphans(alive: Iterable[PodView]) -> tuple[DeletePod, ...]:
    """Pods that may still work and whose Job was deleted without them, which is what a plain DELETE of the API does:
    they would heed neither cancel nor deadline, nor end with the run. They have their time to flush."""
    return tuple(
        DeletePod(pod.name, pod.uid, "its Job was deleted without it")
        for pod in alive
        if pod.orphaned and pod.deletion is None
    )


def stopping(stop: DeleteJob | DeletePod) -> Problem:
    """What is said while a Job or pod that is not of the attempt at hand goes."""
    kind = "Job" if isinstance(stop, DeleteJob) else "Pod"
    return Problem(Reason.STOPPING, f"{kind} {stop.name} is stopped: {stop.reason}.")


def has_started(pod: PodView) -> bool:
    return pod.main is not None and pod.main.state != "waiting"


def has_worked(run: Run) -> bool:
    """Whether teacher and store have served this run. Leaves that were taken over from another (attempt 0) say nothing
    of this one's key."""
    chosen = run.standing.chosen.values() if run.standing else ()
    ledger = run.seen.ledger.found
    shards = latest(ledger.progress, run.attempt.number) if ledger else ()
    made = any(record.attempt > 0 for record in chosen) or any(s.samples or s.leaves_done for s in shards)
    return run.attempt.worked or made


def edited(job: JobView) -> Problem | None:
    """Whether somebody changed how many pods the Job runs: then it cannot make all of its leaves."""
    if job.parallelism < 1 or job.parallelism != job.completions:
        text = f"Job {job.name} was edited ({job.parallelism} pods at once for {job.completions} shards)."
        return Problem(Reason.JOB_EDITED, f"{text} It is replaced by the next attempt.")
    return None


def abandoned(run: Run, job: JobView) -> Problem | None:
    """Whether a pod of the Job is lost with its node."""
    return given_up(pod for pod in run.lost if pod.job_uid == job.uid)


def kept_though_deleted(run: Run, job: JobView) -> Problem | None:
    """Whether nothing of the Job is at work, and it keeps a pod that was deleted and has ended.

    A Job with a limit of retries for each index does so until the next pod is made; in a namespace that is being
    deleted none is ever made, and the namespace waits for its pods. A suspended Job is left to whom suspended it.
    """
    if job.suspended:
        return None
    mine = [pod for pod in run.seen.pods if pod.job_uid == job.uid]
    if any(pod.alive for pod in mine):
        return None
    for pod in mine:
        if pod.deletion is not None and (run.now - pod.deletion).total_seconds() > _KEPT_SECONDS:
            text = f"Pod {pod.name} was deleted and has ended, and its Job keeps it and makes no other."
            return Problem(Reason.STOPPING, f"{text} The Job is replaced by the next attempt.")
    return None


def idle_though_made(run: Run, job: JobView) -> Problem | None:
    """Every leaf has its record, and the Job is left to end by itself, unless it will not."""
    silent = run.seen.signal and (run.now - run.seen.signal.last).total_seconds() > _LINGER_SECONDS
    if silent or job.suspended:
        return Problem(Reason.STOPPING, "Every leaf is done; the pods are stopped.")
    return None


def start_deadline(run: Run, why: Problem) -> Problem | None:
    """Whether a pod has held a node for too long without having started. Waiting for a node or quota never counts."""
    resolved = run.seen.status.resolved
    limit = resolved.start_deadline_seconds if resolved else None
    if limit is None:
        return None
    for pod in run.alive:
        held = (run.now - pod.scheduled_since).total_seconds() if pod.scheduled_since else 0.0
        if pod.node and not has_started(pod) and held > limit:
            text = f"Pod {pod.name} held node {pod.node} for more than startDeadlineSeconds ({limit}): {why.message}"
            return Problem(Reason.START_DEADLINE_EXCEEDED, text)
    return None
