"""What the API server says of Jobs, pods and events, as far as a decision needs it.

Reads the JSON with care: a field that is absent or of another type counts as absent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sdg_operator.reconcile import clock
from sdg_operator.reconcile.names import ATTEMPT_LABEL, MAIN_CONTAINERS, QUEUE_LABEL, ROLE_LABEL, UID_LABEL, WATCH_LABEL

Json = Mapping[str, Any]
ContainerRole = Literal["init", "sidecar", "main", "foreign"]

_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_JOB_LABEL: Final = "batch.kubernetes.io/job-name"
"""What the Job controller gives a pod besides the owner reference, which may be taken away."""
_USUAL_TOLERATION_SECONDS: Final = 300
"""How long Kubernetes leaves pods that say nothing else on a node that does not answer."""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def condition(status: Json, kind: str) -> dict[str, Any]:
    """The condition of this type, or an empty one."""
    return next((c for c in _dicts(status.get("conditions")) if c.get("type") == kind), {})


@dataclass(frozen=True, slots=True)
class JobView:
    name: str
    uid: str
    owner_uids: tuple[str, ...]
    created: datetime | None
    """By the API server's clock."""
    deleting: bool = False
    watched: bool = True
    labelled_uid: str = ""
    """The uid in its label: a Job of ours keeps this or its owner reference, whichever of them a hand takes away."""
    role: str = ""
    attempt: str = ""
    queue: str = ""
    suspended: bool = False
    suspended_since: datetime | None = None
    parallelism: int = 1
    completions: int = 1
    active: int = 0
    finished: Literal["Complete", "Failed"] | None = None
    finished_at: datetime | None = None
    reason: str = ""
    message: str = ""

    def owned_by(self, uid: str) -> bool:
        return uid in self.owner_uids

    def says_it_is_of(self, uid: str) -> bool:
        return self.owned_by(uid) or self.labelled_uid == uid


def job_view(job: Json) -> JobView:
    meta, spec, status = _dict(job.get("metadata")), _dict(job.get("spec")), _dict(job.get("status"))
    labels = _dict(meta.get("labels"))
    finished: Literal["Complete", "Failed"] | None = None
    end: dict[str, Any] = {}
    kinds: tuple[Literal["Complete", "Failed"], ...] = ("Complete", "Failed")
    for kind in kinds:
        found = condition(status, kind)
        if found.get("status") == "True":
            finished, end = kind, found
    return JobView(
        name=_text(meta.get("name")),
        uid=_text(meta.get("uid")),
        owner_uids=tuple(_text(owner.get("uid")) for owner in _dicts(meta.get("ownerReferences"))),
        created=clock.from_text(_text(meta.get("creationTimestamp"))),
        deleting=bool(meta.get("deletionTimestamp")),
        watched=labels.get(WATCH_LABEL) == "true",
        labelled_uid=_text(labels.get(UID_LABEL)),
        role=_text(labels.get(ROLE_LABEL)),
        attempt=_text(labels.get(ATTEMPT_LABEL)),
        queue=_text(labels.get(QUEUE_LABEL)),
        suspended=spec.get("suspend") is True,
        suspended_since=_since(condition(status, "Suspended")),
        parallelism=_number(spec.get("parallelism", 1)),
        completions=_number(spec.get("completions", 1)),
        active=_number(status.get("active")),
        finished=finished,
        finished_at=_since(end),
        reason=_text(end.get("reason")),
        message=_text(end.get("message")),
    )


def _since(condition: Json) -> datetime | None:
    """When a condition became true."""
    return clock.from_text(_text(condition.get("lastTransitionTime"))) if condition.get("status") == "True" else None


@dataclass(frozen=True, slots=True)
class ContainerView:
    name: str
    role: ContainerRole
    """A webhook or policy may add containers: those that keep the pod going are foreign."""
    state: Literal["waiting", "running", "terminated"] = "waiting"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    """Of this end, or of the last one where it waits to be started again."""
    last_message: str = ""
    """Termination message of the last end."""
    restarts: int = 0
    started: bool = False
    """Whether its start-up probe (where it has one) has succeeded."""
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    name: str
    uid: str
    job_name: str = ""
    job_uid: str = ""
    role: str = ""
    attempt: str = ""
    index: int = 0
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    node: str = ""
    created: datetime | None = None
    deletion: datetime | None = None
    """When its grace ends, if it is being deleted."""
    scheduled_since: datetime | None = None
    unscheduled: str = ""
    """The scheduler's message while it finds no node."""
    disruption: str = ""
    """Reason of the DisruptionTarget condition."""
    disruption_message: str = ""
    silent_since: datetime | None = None
    """Since when its node does not answer: marked not ready by the node controller, which gives no reason; a kubelet
    always does."""
    orphaned: bool = False
    """Whether a Job made it that is gone: it was deleted without its pods."""
    stays_on_lost_node: bool = False
    """Whether it tolerates for ever that its node does not answer: then Kubernetes never deletes it."""
    containers: tuple[ContainerView, ...] = ()

    @property
    def alive(self) -> bool:
        return self.phase not in ("Succeeded", "Failed")

    def lost(self, now: datetime, timeout_seconds: float) -> bool:
        """Whether its kubelet is gone: still there `timeout_seconds` after the grace of its deletion ended; or after
        Kubernetes would have deleted it from its silent node, but for its toleration."""
        ends = [self.deletion] if self.deletion else []
        if self.stays_on_lost_node and self.silent_since is not None:
            ends.append(self.silent_since + timedelta(seconds=_USUAL_TOLERATION_SECONDS))
        return self.alive and any(now > end + timedelta(seconds=timeout_seconds) for end in ends)

    def container(self, name: str) -> ContainerView | None:
        return next((c for c in self.containers if c.name == name), None)

    @property
    def main(self) -> ContainerView | None:
        return next((c for c in self.containers if c.role == "main"), None)

    @property
    def keepers(self) -> tuple[ContainerView, ...]:
        """Foreign containers that keep the pod though its own work has ended: Kubernetes waits for each of them."""
        if not self.alive or self.main is None or self.main.state != "terminated":
            return ()
        return tuple(c for c in self.containers if c.role == "foreign" and c.state != "terminated")


def pod_view(pod: Json) -> PodView:
    meta, spec, status = _dict(pod.get("metadata")), _dict(pod.get("spec")), _dict(pod.get("status"))
    labels, annotations = _dict(meta.get("labels")), _dict(meta.get("annotations"))
    owners = _dicts(meta.get("ownerReferences"))
    owner = next((o for o in owners if o.get("kind") == "Job"), {})
    scheduled = condition(status, "PodScheduled")
    disruption = condition(status, "DisruptionTarget")
    index = _text(annotations.get("batch.kubernetes.io/job-completion-index"))
    return PodView(
        name=_text(meta.get("name")),
        uid=_text(meta.get("uid")),
        job_name=_text(owner.get("name")),
        job_uid=_text(owner.get("uid")),
        role=_text(labels.get(ROLE_LABEL)),
        attempt=_text(labels.get(ATTEMPT_LABEL)),
        index=int(index) if index.isdecimal() else 0,
        phase=_text(status.get("phase")) or "Pending",
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        node=_text(spec.get("nodeName")),
        created=clock.from_text(_text(meta.get("creationTimestamp"))),
        deletion=clock.from_text(_text(meta.get("deletionTimestamp"))),
        scheduled_since=_since(scheduled),
        unscheduled=_text(scheduled.get("message")) if scheduled.get("status") == "False" else "",
        disruption=_text(disruption.get("reason")) if disruption.get("status") == "True" else "",
        disruption_message=_text(disruption.get("message")),
        silent_since=_silent_since(condition(status, "Ready")),
        orphaned=not owners and bool(labels.get(_JOB_LABEL)),
        stays_on_lost_node=any(_tolerates_loss_for_ever(t) for t in _dicts(spec.get("tolerations"))),
        containers=tuple(_containers(spec, status)),
    )


def _silent_since(ready: Json) -> datetime | None:
    marked = ready.get("status") == "False" and not ready.get("reason")
    return clock.from_text(_text(ready.get("lastTransitionTime"))) if marked else None


def _tolerates_loss_for_ever(toleration: Json) -> bool:
    """Whether it is one of the taint of a node that does not answer, without a time. An empty key means all taints."""
    return (
        toleration.get("tolerationSeconds") is None
        and toleration.get("key") in (None, "", _UNREACHABLE)
        and toleration.get("effect") in (None, "", "NoExecute")
    )


def _containers(spec: Json, status: Json) -> Iterator[ContainerView]:
    found = {
        _text(c.get("name")): c
        for c in (*_dicts(status.get("initContainerStatuses")), *_dicts(status.get("containerStatuses")))
    }
    for container in _dicts(spec.get("initContainers")):
        name = _text(container.get("name"))
        yield _container(name, "sidecar" if container.get("restartPolicy") == "Always" else "init", found.get(name, {}))
    for container in _dicts(spec.get("containers")):
        name = _text(container.get("name"))
        yield _container(name, "main" if name in MAIN_CONTAINERS else "foreign", found.get(name, {}))


def _container(name: str, role: ContainerRole, status: Json) -> ContainerView:
    states, last = _dict(status.get("state")), _dict(_dict(status.get("lastState")).get("terminated"))
    restarts, started = _number(status.get("restartCount")), status.get("started") is True
    last_message = _text(last.get("message")).strip()
    if running := states.get("running"):
        began = clock.from_text(_text(_dict(running).get("startedAt")))
        return ContainerView(
            name, role, "running", last_message=last_message, restarts=restarts, started=started, began=began
        )
    if terminated := _dict(states.get("terminated")):
        text = _text(terminated.get("message")).strip()
        return ContainerView(
            name,
            role,
            "terminated",
            _text(terminated.get("reason")),
            text,
            _number(terminated.get("exitCode")),
            text,
            restarts,
            started,
            clock.from_text(_text(terminated.get("startedAt"))),
            clock.from_text(_text(terminated.get("finishedAt"))),
        )
    waiting = _dict(states.get("waiting"))
    exit_code = _number(last.get("exitCode")) if last else None
    return ContainerView(
        name,
        role,
        "waiting",
        _text(waiting.get("reason")),
        _text(waiting.get("message")),
        exit_code,
        last_message,
        restarts,
        started,
    )


@dataclass(frozen=True, slots=True)
class EventView:
    """An event about a Job or pod of ours."""

    reason: str
    message: str
    object_uid: str
    last_seen: datetime | None


def event_view(event: Json) -> EventView:
    involved = _dict(event.get("involvedObject"))
    when = (
        _text(_dict(event.get("series")).get("lastObservedTime"))
        or _text(event.get("lastTimestamp"))
        or _text(event.get("eventTime"))
    )
    return EventView(
        _text(event.get("reason")), _text(event.get("message")), _text(involved.get("uid")), clock.from_text(when)
    )
