"""Why a Job is not running, in the cluster's own words: Kueue, quota, admission, scheduler, kubelet, teacher."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sdg_operator.reconcile.cluster import ContainerView, EventView, JobView, PodView
from sdg_operator.reconcile.ending import last_lines
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Problem

_IMAGE_REASONS: Final = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_CONFIG_REASONS: Final = frozenset({"CreateContainerConfigError"})
_START_REASONS: Final = frozenset(
    {"CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError"}
)
_TEACHER: Final = "teacher"
_IMAGE_EVENTS: Final = frozenset({"Pulling", "Pulled"})
_MOUNT_EVENTS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})


def waiting(job: JobView, pods: Sequence[PodView], events: Iterable[EventView], queue_message: str) -> Problem:
    """Return the most telling cause; there always is one, at least that the pods are being started."""
    known = tuple(events)
    if job.suspended:
        return _suspended(job, queue_message)
    ours = [pod for pod in pods if pod.job_uid == job.uid and pod.alive]
    if not ours:
        return _no_pods(job, known)
    for problem in _found(ours, known):
        return problem
    return Problem(Reason.STARTING, f"Pod {ours[0].name} is being started{_on(ours[0])}.")


def _suspended(job: JobView, queue_message: str) -> Problem:
    if job.queue:
        said = f": {queue_message}" if queue_message else "."
        return Problem(Reason.WAITING_IN_QUEUE, f"Job {job.name} waits in queue {job.queue}{said}")
    return Problem(
        Reason.JOB_SUSPENDED,
        f"Job {job.name} was suspended, not by this operator; resume it, or delete it for a new attempt.",
    )


def _no_pods(job: JobView, events: Iterable[EventView]) -> Problem:
    return refused_pods(job, events) or Problem(Reason.STARTING, f"Job {job.name} was made; its pods are awaited.")


def silent_node(pods: Iterable[PodView]) -> Problem | None:
    """Whether the node of one of these pods does not answer: what it is about is then not known."""
    for pod in pods:
        if pod.silent_since is not None:
            return Problem(Reason.NODE_LOST, f"Node {pod.node} does not answer; nothing is heard of pod {pod.name}.")
    return None


def given_up(lost: Iterable[PodView]) -> Problem | None:
    """Name the node of the first of these pods, which are lost with theirs: Kubernetes would wait for them for ever."""
    for pod in lost:
        text = f"Node {pod.node or 'unknown'} does not answer; its pod {pod.name} is given up."
        return Problem(Reason.NODE_LOST, text)
    return None


def refused_pods(job: JobView, events: Iterable[EventView]) -> Problem | None:
    """Why the cluster does not take a pod of the Job; None where it has since taken one."""
    about = _about(job.uid, events)
    taken = max((_when(event) for event in about if event.reason == "SuccessfulCreate"), default=0.0)
    for event in sorted(about, key=_when, reverse=True):
        if event.reason == "FailedCreate" and _when(event) >= taken:
            reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in event.message else Reason.ADMISSION_REFUSED
            return Problem(reason, f"The cluster does not take the pods of Job {job.name}: {event.message}")
    return None


def _found(pods: Iterable[PodView], events: tuple[EventView, ...]) -> Iterator[Problem]:
    pending = list(pods)
    for pod in pending:
        if pod.deletion is not None:
            yield Problem(Reason.STOPPING, f"Pod {pod.name} is being stopped{_on(pod)}.")
    for pod in pending:
        if pod.unscheduled:
            yield Problem(Reason.UNSCHEDULABLE, f"Pod {pod.name} finds no node: {pod.unscheduled}")
    for pod in pending:
        for container in pod.containers:
            yield from _container(pod, container)
    for pod in pending:
        if pod.node and all(c.state == "waiting" for c in pod.containers):
            yield from _before_containers(pod, events)
    for pod in pending:
        yield from _progressing(pod)


def _container(pod: PodView, container: ContainerView) -> Iterator[Problem]:
    where = f"container {container.name} of pod {pod.name}"
    if container.state != "waiting":
        return
    said = container.message or container.reason
    if container.reason in _IMAGE_REASONS:
        yield Problem(Reason.IMAGE_PULL, f"The image of {where} cannot be had: {said}")
    elif container.reason in _CONFIG_REASONS:
        yield Problem(Reason.CONTAINER_CONFIG, f"The settings of {where} cannot be used: {said}")
    elif container.reason in _START_REASONS:
        yield Problem(Reason.CONTAINER_START, f"{where[0].upper()}{where[1:]} cannot be started: {said}")
    elif container.restarts > 0 and container.role == "sidecar" and container.name == _TEACHER:
        yield _crash_loop(container, pod)
    elif container.reason == "CrashLoopBackOff":
        yield Problem(
            Reason.CONTAINER_START,
            f"{where[0].upper()}{where[1:]} ended {container.restarts} times"
            f"{_code(container)}: {container.last_message or said}",
        )


def _crash_loop(container: ContainerView, pod: PodView) -> Problem:
    last = f": {last_lines(container.last_message)}" if container.last_message else "."
    return Problem(
        Reason.TEACHER_CRASH_LOOPING,
        f"The teacher server in pod {pod.name} ended {container.restarts} times{_code(container)}{last}",
    )


def _before_containers(pod: PodView, events: Iterable[EventView]) -> Iterator[Problem]:
    """What holds a pod up on its node before its first container, told by events alone; once images are asked for,
    volumes and network are there."""
    about = _about(pod.uid, events)
    images = max((_when(event) for event in about if event.reason in _IMAGE_EVENTS), default=-1.0)
    for event in sorted((event for event in about if _when(event) > images), key=_when, reverse=True):
        if event.reason == "FailedCreatePodSandBox":
            yield Problem(Reason.CONTAINER_START, f"Pod {pod.name} cannot be started{_on(pod)}: {event.message}")
        if event.reason in _MOUNT_EVENTS:
            yield Problem(Reason.VOLUME_MOUNT, f"A volume of pod {pod.name} cannot be mounted: {event.message}")


def _progressing(pod: PodView) -> Iterator[Problem]:
    teacher = pod.container(_TEACHER)
    if teacher and teacher.state != "waiting" and not teacher.started:
        if teacher.restarts > 0:
            yield _crash_loop(teacher, pod)
        else:
            yield Problem(Reason.TEACHER_LOADING, f"The teacher server in pod {pod.name} is loading its model.")
    for container in pod.containers:
        if container.role == "init" and container.state == "running":
            yield Problem(Reason.FETCHING, f"Pod {pod.name} is fetching its leaves and documents.")


def _about(uid: str, events: Iterable[EventView]) -> list[EventView]:
    return [event for event in events if event.object_uid == uid]


def _when(event: EventView) -> float:
    return event.last_seen.timestamp() if event.last_seen else 0.0


def _on(pod: PodView) -> str:
    return f" on node {pod.node}" if pod.node else ""


def _code(container: ContainerView) -> str:
    return f" (exit code {container.exit_code})" if container.exit_code is not None else ""
