"""What looks at both kinds have in common: which Secrets are there, what Kueue and the events say."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sdg_operator.clients.protocols import Forbidden, Kubernetes, NotFound, Resource
from sdg_operator.reconcile.cluster import EventView, JobView, PodView, condition, event_view, job_view, pod_view
from sdg_operator.reconcile.names import Owner, pods_of
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Problem

_EVENTS_ABOUT_JOB: Final = "involvedObject.kind=Job,involvedObject.uid={uid}"
_EVENTS_ABOUT_POD: Final = "involvedObject.kind=Pod,involvedObject.uid={uid}"
_MAX_PODS_ASKED: Final = 3


async def job_named(api: Kubernetes, namespace: str, name: str) -> JobView | None:
    try:
        return job_view(await api.get(Resource.JOBS, namespace, name))
    except NotFound:
        return None


async def jobs_of(api: Kubernetes, owner: Owner) -> tuple[JobView, ...]:
    found = await api.list(Resource.JOBS, owner.namespace, label_selector=pods_of(owner))
    return tuple(job_view(job) for job in found)


async def pods(api: Kubernetes, owner: Owner) -> tuple[list[dict[str, Any]], tuple[PodView, ...]]:
    """All pods of a resource, over all its attempts: as they are, and as decisions see them."""
    found = await api.list(Resource.PODS, owner.namespace, label_selector=pods_of(owner))
    return found, tuple(pod_view(pod) for pod in found)


async def explanations(
    api: Kubernetes, namespace: str, job: JobView, its_pods: Iterable[PodView]
) -> tuple[tuple[EventView, ...], str]:
    """Events about a Job that does not move, or about its pods; and what Kueue says of it."""
    if job.suspended:
        return (), await _queue_message(api, namespace, job)
    known = [pod for pod in its_pods if pod.job_uid == job.uid]
    mine = [pod for pod in known if pod.alive]
    found: list[EventView] = []
    if not mine or len({pod.index for pod in known}) < job.completions:
        found += await _events(api, namespace, _EVENTS_ABOUT_JOB.format(uid=job.uid))
    stuck = [p for p in mine if p.node and all(c.state == "waiting" for c in p.containers)][:_MAX_PODS_ASKED]
    for pod in stuck:
        found += await _events(api, namespace, _EVENTS_ABOUT_POD.format(uid=pod.uid))
    return tuple(found), ""


async def _events(api: Kubernetes, namespace: str, selector: str) -> tuple[EventView, ...]:
    return tuple(event_view(e) for e in await api.list(Resource.EVENTS, namespace, field_selector=selector))


async def _queue_message(api: Kubernetes, namespace: str, job: JobView) -> str:
    """Kueue's own words about a Job's Workload; empty where there is no Kueue or it may not be read."""
    if not job.queue:
        return ""
    try:
        found = await api.list(Resource.WORKLOADS, namespace, label_selector=f"kueue.x-k8s.io/job-uid={job.uid}")
    except (NotFound, Forbidden):
        return ""
    for workload in found:
        status: Mapping[str, Any] = workload.get("status") or {}
        for kind in ("Evicted", "QuotaReserved", "Admitted"):
            said = condition(status, kind)
            text = said.get("message")
            unmet = said.get("status") == "False" or kind == "Evicted"
            if unmet and isinstance(text, str) and text:
                return text
    return ""


async def secret(api: Kubernetes, namespace: str, name: str, keys: Iterable[str]) -> Look[Mapping[str, str]]:
    """Read a Secret by name and see that it has these keys."""
    try:
        data = await api.secret(namespace, name)
    except NotFound:
        text = f"Secret {name} does not exist in namespace {namespace}."
        return Look(problem=Problem(Reason.SECRET_NOT_FOUND, text))
    except Forbidden:
        text = f"The operator may not read Secret {name} in namespace {namespace}; the administrator must list it."
        return Look(problem=Problem(Reason.NOT_ALLOWED, text))
    if missing := [key for key in keys if not data.get(key)]:
        text = f"Secret {name} has no {' and no '.join(missing)}."
        return Look(problem=Problem(Reason.SECRET_INCOMPLETE, text))
    return Look(data)
