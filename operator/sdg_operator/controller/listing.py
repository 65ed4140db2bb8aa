"""Our own lists: what there is to work on, when the operator starts and now and then afterwards.

Watch events are hints: they do not say when a list is through, get lost in gaps, and come late. So work begins after a
list of our own, and every active resource is looked at again within the resync interval, whatever was missed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sdg_operator.clients.errors import KubernetesError
from sdg_operator.clients.protocols import Json, Kubernetes, Resource
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.queue import WorkQueue
from sdg_operator.controller.reconciler import Key
from sdg_operator.reconcile.names import WATCH_LABEL, Kind, key_of

ACTIVE_RUNS: Final = "status.state!=completed,status.state!=failed,status.state!=canceled"
"""Field selector of runs that have not ended; also matches those without a status."""
WATCHED: Final = f"{WATCH_LABEL}=true"
_KINDS: Final[tuple[tuple[Resource, Kind, str], ...]] = (
    (Resource.TAXONOMIES, "Taxonomy", ""),
    (Resource.DATA_GENERATIONS, "DataGeneration", ACTIVE_RUNS),
)

log = logging.getLogger(__name__)


class Listing:
    """Finds every key that may need work."""

    def __init__(self, api: Kubernetes, queue: WorkQueue, metrics: Metrics, namespaces: Sequence[str]) -> None:
        self._api = api
        self._queue = queue
        self._metrics = metrics
        self._namespaces: Sequence[str | None] = namespaces or [None]

    async def first(self) -> set[Key]:
        """Mark all: active resources, and the owners of Jobs that are still followed. Raises `KubernetesError`."""
        keys = await self._resources()
        for namespace in self._namespaces:
            async for page in self._api.pages(Resource.JOBS, namespace, label_selector=WATCHED):
                keys |= {key for job in page if (key := owner_of(job))}
        for key in sorted(keys):
            self._queue.mark(key)
        log.info("%d resources are looked at", len(keys))
        return keys

    async def resync(self, interval_seconds: float) -> None:
        """List again and again, for ever; each resource is marked at its own time within the interval."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                keys = sorted(await self._resources())
            except KubernetesError as error:
                log.warning("the resync is put off: %s", error.message)
                continue
            for position, key in enumerate(keys):
                self._queue.mark_after(key, interval_seconds * position / len(keys))

    async def _resources(self) -> set[Key]:
        keys: set[Key] = set()
        states: Counter[tuple[str, str]] = Counter()
        for resource, kind, selector in _KINDS:
            for namespace in self._namespaces:
                async for page in self._api.pages(resource, namespace, field_selector=selector):
                    for body in page:
                        keys.add(Key(kind, body["metadata"]["namespace"], body["metadata"]["name"]))
                        states[kind, (body.get("status") or {}).get("state") or "new"] += 1
        self._metrics.show_objects(states)
        return keys


def owner_of(child: Json) -> Key | None:
    """Key of the resource that a Job or pod belongs to by its labels."""
    meta = child["metadata"]
    return key_of(meta["namespace"], meta.get("labels") or {})
