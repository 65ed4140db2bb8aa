"""Kubernetes events about our resources: each once, and counted where it happens again."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from sdg_operator.clients.errors import AlreadyExists, KubernetesError, NotFound
from sdg_operator.clients.protocols import Json, Kubernetes, Resource
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.watch import own_name
from sdg_operator.reconcile.plan import Event

CONTROLLER: Final = "sdg-operator.io/operator"
_WAITING: Final = 500
_MAX_NOTE: Final = 1024
_LAST_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    body: Json
    """The resource that it is about."""
    event: Event
    when: datetime


class Publisher:
    """Posts events behind the passes' backs: no pass waits for it or fails by it. The status is the truth."""

    def __init__(
        self,
        api: Kubernetes,
        metrics: Metrics,
        instance: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._instance = instance
        self._now = now
        self._letters: asyncio.Queue[_Letter] = asyncio.Queue(_WAITING)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._post_all(), name=own_name("events"))

    async def stop(self) -> None:
        """Post what is waiting, for a moment."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._letters.join()
        except TimeoutError:
            log.info("%d events are not posted any more", self._letters.qsize())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def publish(self, body: Json, event: Event) -> None:
        """Have an event about a resource posted soon."""
        about = {key: body.get(key) for key in ("apiVersion", "kind")}
        meta = {key: body["metadata"][key] for key in ("namespace", "name", "uid")}
        try:
            self._letters.put_nowait(_Letter({**about, "metadata": meta}, event, self._now()))
        except asyncio.QueueFull:
            self._metrics.published.labels("dropped").inc()

    async def _post_all(self) -> None:
        while True:
            letter = await self._letters.get()
            try:
                self._metrics.published.labels(await self._post(letter)).inc()
            except KubernetesError as error:
                self._metrics.published.labels("dropped").inc()
                log.info("an event about %s was not posted: %s", letter.body["metadata"]["name"], error.message)
            finally:
                self._letters.task_done()

    async def _post(self, letter: _Letter) -> str:
        """Post it; what was said of this very object before (also by an earlier process) is counted, not said again."""
        body = event_body(letter.body, letter.event, letter.when, self._instance)
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        try:
            await self._api.create(Resource.PUBLISHED_EVENTS, namespace, body)
        except AlreadyExists:
            return await self._repeat(namespace, name, body)
        return "new"

    async def _repeat(self, namespace: str, name: str, body: Json) -> str:
        try:
            known = await self._api.get(Resource.PUBLISHED_EVENTS, namespace, name)
            count = int((known.get("series") or {}).get("count") or 1) + 1
            series = {"count": count, "lastObservedTime": body["eventTime"]}
            await self._api.patch(Resource.PUBLISHED_EVENTS, namespace, name, {"series": series})
        except NotFound:  # it ran out between the two calls
            await self._api.create(Resource.PUBLISHED_EVENTS, namespace, body)
            return "new"
        return "repeated"


def event_body(about: Json, event: Event, when: datetime, instance: str) -> Json:
    """An events.k8s.io/v1 Event. Its name comes from what it says, so that saying it twice gives one object."""
    meta = about["metadata"]
    said = sha256(f"{meta['uid']}/{event.type}/{event.reason}/{event.message}".encode()).hexdigest()[:16]
    note = event.message if len(event.message) <= _MAX_NOTE else event.message[: _MAX_NOTE - 1] + "…"
    return {
        "apiVersion": Resource.PUBLISHED_EVENTS.api_version,
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{said}", "namespace": meta["namespace"]},
        "eventTime": when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": event.type,
        "reason": event.reason,
        "action": "Reconcile",
        "note": note,
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
