"""Why pods of a run that has once started are not at work: one was taken away and its like finds no node, say."""

from sdg_operator.reconcile.cluster import JobView, PodView
from sdg_operator.reconcile.ending import Meaning, ending
from sdg_operator.reconcile.keepers import kept_up
from sdg_operator.reconcile.run_guards import Run, has_started
from sdg_operator.reconcile.run_status import USUAL
from sdg_operator.reconcile.snapshot import Problem
from sdg_operator.reconcile.why import refused_pods, silent_node, waiting


def at_work(run: Run, job: JobView) -> bool:
    """Whether a pod of the Job is."""
    return any(has_started(pod) and pod.silent_since is None for pod in _alive(run, job))


def held_back(run: Run, job: JobView) -> Problem | None:
    """Why a pod of the Job is not at work, be it one of several; None where all are, or have done their part."""
    alive = _alive(run, job)
    if lost := silent_node(alive):
        return lost
    why = _waiting(run, job, [pod for pod in alive if not has_started(pod)])
    again = None if at_work(run, job) else _started_again(run, job)
    if again is None or why is None or why.reason in USUAL:
        return again or why or kept_up(alive, run.now)
    return Problem(why.reason, f"{again.message} {why.message}")


def _alive(run: Run, job: JobView) -> list[PodView]:
    return [pod for pod in run.alive if pod.job_uid == job.uid]


def _waiting(run: Run, job: JobView, idle: list[PodView]) -> Problem | None:
    if idle or not any(pod.job_uid == job.uid for pod in run.seen.pods):
        return waiting(job, idle, run.seen.events, "")
    return refused_pods(job, run.seen.events)


def _started_again(run: Run, job: JobView) -> Problem | None:
    """What to say while Kubernetes starts a failed pod of the Job anew."""
    mine = [pod for pod in run.seen.pods if pod.job_uid == job.uid]
    done = {pod.index for pod in mine if pod.phase == "Succeeded"}
    end = ending(job, [pod for pod in mine if pod.index not in done], worked=True)
    if end.meaning is Meaning.NOTHING:
        return None
    return Problem(end.reason, f"{end.message} Kubernetes starts it again.")
