"""How an attempt ended and what that means: read from pods by reason and message first, exit codes last."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineResult, ExitCode
from sdg_operator.reconcile.cluster import ContainerView, JobView, PodView
from sdg_operator.reconcile.reasons import Reason


class Meaning(IntEnum):
    """What follows from an ending; the higher one wins where pods of one Job ended differently."""

    NOTHING = 0
    """Nothing went wrong."""
    DISRUPTION = 1
    """Not the run's fault: tried again, at no cost to its budget."""
    FAULT = 2
    """Tried again while the budget lasts."""
    OUTAGE = 3
    """Teacher or store are away: tried again after a pause, as often as it takes."""
    FINAL = 4
    """No retry can cure it."""


@dataclass(frozen=True, slots=True)
class Ending:
    meaning: Meaning
    reason: Reason
    message: str
    leaf: str | None = None
    """Path of the leaf that it was about."""


_EXITS: Final[dict[int, tuple[Meaning, Reason, str]]] = {
    ExitCode.INVALID_INPUT: (Meaning.FINAL, Reason.INVALID_INPUT, "cannot use its input"),
    ExitCode.TEACHER_REFUSED: (Meaning.FINAL, Reason.TEACHER_REFUSED, "was refused by the teacher"),
    ExitCode.LOW_YIELD: (Meaning.FINAL, Reason.LOW_YIELD, "could keep no sample of what the teacher answers"),
    ExitCode.STORAGE_REFUSED: (Meaning.FINAL, Reason.STORAGE_REFUSED, "was refused by the store"),
    ExitCode.INPUTS_LOST: (Meaning.FAULT, Reason.INPUTS_LOST, "did not find in the bucket what the run stands on"),
    ExitCode.EMPTY_RESULT: (Meaning.FINAL, Reason.EMPTY_RESULT, "found nothing to mix"),
    ExitCode.TEACHER_UNAVAILABLE: (Meaning.OUTAGE, Reason.TEACHER_UNAVAILABLE, "could not reach the teacher"),
    ExitCode.STORAGE_UNAVAILABLE: (Meaning.OUTAGE, Reason.STORAGE_UNAVAILABLE, "could not reach the store"),
    ExitCode.INTERRUPTED: (Meaning.FAULT, Reason.INTERRUPTED, "was stopped"),
}
_TURNED_AWAY: Final = frozenset({"UnexpectedAdmissionError", "NodeAffinity", "NodeShutdown"})
"""Reasons of the kubelet for a pod that it does not let in, because a GPU's plugin is being restarted, say; `OutOf` and
a resource's name are others. Nothing of the pod has run then."""
_CURABLE_ONCE_WORKED: Final = frozenset({Reason.TEACHER_REFUSED, Reason.STORAGE_REFUSED})
_SIGTERM: Final = 143
_SIGKILL: Final = 137
_STOPPED: Final = frozenset({_SIGTERM, _SIGKILL, int(ExitCode.INTERRUPTED)})
"""How a container ends that is told to. Without anybody who told it to, it ended by a fault of its own."""


def ending(job: JobView | None, pods: Iterable[PodView], *, worked: bool) -> Ending:
    """Return why an attempt that is over ended.

    `job` is None when it was deleted. `worked`: teacher and store have served this run before, so that their refusal
    is an outage (a key being rotated, say), not a mistake.
    """
    if job is None or job.deleting:
        return Ending(Meaning.DISRUPTION, Reason.JOB_DELETED, "The Job of this attempt was deleted.")
    found = [_pod(pod) for pod in pods if pod.job_uid == job.uid]
    worst = max(found, key=_weight, default=Ending(Meaning.NOTHING, Reason.RUNNING, ""))
    if worst.meaning is Meaning.NOTHING and job.finished == "Failed":
        said = f"{job.reason}: {job.message}" if job.message else job.reason
        worst = Ending(Meaning.FAULT, Reason.ENGINE_FAILED, f"Job {job.name} failed. {said}".strip())
    if worked and worst.reason in _CURABLE_ONCE_WORKED:
        return Ending(Meaning.OUTAGE, worst.reason, worst.message, worst.leaf)
    return worst


def _weight(ending: Ending) -> tuple[Meaning, bool]:
    """Of several endings the gravest is told, and of equals one whose cause is known: the kubelet does not see each
    container that the kernel kills, but where one pod of an attempt ran out of memory, so did its like."""
    return ending.meaning, ending.reason is not Reason.ENGINE_FAILED


def _pod(pod: PodView) -> Ending:
    where = f"Pod {pod.name}{f' on node {pod.node}' if pod.node else ''}"
    if away := _taken_away(pod, where):
        return away
    for container in pod.containers:
        if container.state == "terminated" and container.reason == "OOMKilled":
            return Ending(
                Meaning.FAULT,
                Reason.OUT_OF_MEMORY,
                f"Container {container.name} of pod {pod.name} needed more memory than its limit.",
            )
    if pod.phase != "Failed" and not pod.keepers:
        return Ending(Meaning.NOTHING, Reason.RUNNING, "")
    ends = [_container(pod, c) for c in pod.containers if c.state == "terminated" and c.exit_code]
    told = [[e for e, c in ends if c.role in roles] for roles in (("init", "main"), ("foreign",), ("sidecar",))]
    said = f": {pod.message}" if pod.message else ""
    failed = Ending(Meaning.FAULT, Reason.ENGINE_FAILED, f"{where} failed{said}")
    if pod.phase != "Failed":
        failed = Ending(Meaning.NOTHING, Reason.RUNNING, "")
    return max(next(filter(None, told), []), key=_weight, default=failed)


def _taken_away(pod: PodView, where: str) -> Ending | None:
    """Scheduler, an eviction or the kubelet took the pod from its node, or did not let it in."""
    if pod.disruption:
        preempted = pod.disruption == "PreemptionByScheduler"
        reason = Reason.PREEMPTED if preempted else Reason.EVICTED
        return Ending(Meaning.DISRUPTION, reason, f"{where} was taken away: {pod.disruption_message or pod.disruption}")
    if pod.reason == "Evicted":
        if "exceed" in pod.message:  # its own limit, in each of the kubelet's three sentences; else the node ran short
            return Ending(Meaning.FAULT, Reason.WORK_FOLDER_FULL, f"{where} was evicted: {pod.message}")
        return Ending(Meaning.DISRUPTION, Reason.EVICTED, f"{where} was evicted: {pod.message}")
    refused = pod.reason in _TURNED_AWAY or pod.reason.startswith("OutOf")
    if pod.phase == "Failed" and refused and not any(c.state == "terminated" for c in pod.containers):
        text = f"{where} was turned away by its node ({pod.reason}): {pod.message}"
        return Ending(Meaning.DISRUPTION, Reason.EVICTED, text)
    return None


def _container(pod: PodView, container: ContainerView) -> tuple[Ending, ContainerView]:
    code = container.exit_code or 0
    words, leaf = _last_words(container.message)
    said = f": {words}" if words else "."
    if pod.deletion is not None and code in _STOPPED:
        return Ending(Meaning.DISRUPTION, Reason.INTERRUPTED, f"Pod {pod.name} was deleted."), container
    if code in _EXITS and container.role != "foreign":
        meaning, reason, what = _EXITS[code]
        text = f"Container {container.name} of pod {pod.name} {what}{said}"
        return Ending(meaning, reason, text, leaf), container
    if code == _SIGTERM:
        text = f"Container {container.name} of pod {pod.name} was stopped."
        return Ending(Meaning.FAULT, Reason.INTERRUPTED, text), container
    hint = " (killed, most often because memory ran out)" if code == _SIGKILL else ""
    text = f"Container {container.name} of pod {pod.name} ended with exit code {code}{hint}{said}"
    return Ending(Meaning.FAULT, Reason.ENGINE_FAILED, text, leaf), container


def _last_words(text: str) -> tuple[str, str | None]:
    """What a container said at its end, and the leaf it was about. Ours leave an EngineResult, others text."""
    try:
        error = EngineResult.model_validate_json(text).error
    except ValidationError:
        return last_lines(text), None
    return (last_lines(error.message), error.leaf) if error else ("", None)


def last_lines(text: str, length: int = 800) -> str:
    """The end of a termination message: the last error stands there."""
    text = text.strip()
    return text if len(text) <= length else f"…{text[-length:]}"
