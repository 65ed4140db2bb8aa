"""What must be true before work begins, in words: the server answers, is new enough, has our kinds and our rights."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from sdg_operator.clients.errors import Forbidden, KubernetesError, NotFound, Refused
from sdg_operator.clients.protocols import Kubernetes, Resource
from sdg_operator.controller.election import Lease
from sdg_operator.controller.listing import ACTIVE_RUNS
from sdg_operator.controller.rights import RIGHTS, Right

_OLDEST: Final = (1, 32)
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


async def ready(
    api: Kubernetes,
    server: str,
    namespaces: Sequence[str],
    lease: Lease | None,
    say: Callable[[str], None],
    *,
    network_policies: bool = False,
) -> None:
    """Return when all is as it must be; until then tell `say` (and the log) what is not, and look again.

    `lease` is None without an election. `network_policies`: runs get NetworkPolicies.
    """
    pause, said = _FIRST_PAUSE_SECONDS, ""
    rights = [
        right
        for right in RIGHTS
        if not right.named  # for names that only users give; a run whose Secret may not be read says so
        and (lease is not None or not right.leader_only)
        and (network_policies or not right.network_policies)
    ]
    while True:
        problem = await _problem(api, server, namespaces, lease, rights)
        if problem is None:
            say("")
            return
        say(problem)
        if problem != said:
            log.error("waiting: %s", problem)
            said = problem
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _problem(
    api: Kubernetes, server: str, namespaces: Sequence[str], lease: Lease | None, rights: Sequence[Right]
) -> str | None:
    try:
        return (
            await _version_problem(api)
            or await _kinds_problem(api, namespaces)
            or await _rights_problem(api, namespaces, lease, rights)
        )
    except KubernetesError as error:
        return f"the API server {server} does not answer as it should: {error.message}"


async def _version_problem(api: Kubernetes) -> str | None:
    version = await api.raw("/version")
    digits = ["".join(c for c in str(version.get(part, "")) if c.isdigit()) for part in ("major", "minor")]
    if all(digits) and (int(digits[0]), int(digits[1])) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        return (
            f"this is Kubernetes {version.get('gitVersion')}; the operator needs {wanted} or newer (selectable fields)"
        )
    return None


async def _kinds_problem(api: Kubernetes, namespaces: Sequence[str]) -> str | None:
    """Lists as the watch will: that needs the CRD, the right, and a server that knows selectable fields."""
    namespace = namespaces[0] if namespaces else None
    for resource, selector in ((Resource.TAXONOMIES, ""), (Resource.DATA_GENERATIONS, ACTIVE_RUNS)):
        try:
            async for _ in api.pages(resource, namespace, field_selector=selector, limit=1):
                break
        except NotFound:
            return (
                f"there is no {resource} (version {resource.version}) here: install the CRDs (kubectl apply -f crds/)"
            )
        except Refused as error:
            return (
                f"the CRD of {resource} has no selectable field .status.state: apply the CRDs of this version of the "
                f"operator, and run Kubernetes 1.32 or newer ({error.message})"
            )
        except Forbidden:
            continue  # the rights below say it in full
    return None


async def _rights_problem(
    api: Kubernetes, namespaces: Sequence[str], lease: Lease | None, rights: Sequence[Right]
) -> str | None:
    missing: list[str] = []
    for right in rights:
        places: Sequence[str | None] = namespaces or [None]
        if lease and right.leader_only:
            places = [lease.namespace]
        name = lease.name if lease and right.one else ""
        for place in places:
            verbs = [verb for verb in right.verbs if not await _may(api, right, verb, place, name)]
            if not verbs:
                continue
            where = f" in namespace {place}" if place else ""
            what = f"{'/'.join(filter(None, (right.resource.plural, right.subresource)))} ({', '.join(verbs)}){where}"
            if right.optional:
                log.warning("no right to %s; the operator does without: %s", what, right.reason)
            else:
                missing.append(f"{what}, {right.reason}")
    return f"the operator's service account lacks rights: {'; '.join(missing)}" if missing else None


async def _may(api: Kubernetes, right: Right, verb: str, namespace: str | None, name: str) -> bool:
    attributes = {
        "group": right.resource.group,
        "resource": right.resource.plural,
        "subresource": right.subresource,
        "verb": verb,
        "namespace": namespace or "",
        "name": name,
    }
    review = {
        "apiVersion": Resource.ACCESS_REVIEWS.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.create(Resource.ACCESS_REVIEWS, None, review)
    return bool(answer["status"]["allowed"])
