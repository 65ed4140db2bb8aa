"""One pass over a Taxonomy: observe → decide → execute → report."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from sdg_operator.api.settings import Settings
from sdg_operator.clients.protocols import Kubernetes, NotFound, ObjectStores, Resource
from sdg_operator.controller.datageneration import Clock, Publish, utc_now
from sdg_operator.controller.execute import Executor, Stopped
from sdg_operator.controller.observe_taxonomy import TaxonomyObserver
from sdg_operator.controller.reconciler import Unreadable
from sdg_operator.controller.report import Reporter, unreadable
from sdg_operator.reconcile.names import Key
from sdg_operator.reconcile.plan import Again
from sdg_operator.reconcile.taxonomy import answers, decide


class WantedChecks:
    """Which Taxonomies runs are waiting for, and since when. Only in memory: a waiting run asks again and again."""

    def __init__(self, mark: Callable[[Key], None]) -> None:
        self._mark = mark
        self._wanted: dict[Key, tuple[datetime, datetime]] = {}

    def want(self, taxonomy: Key, created: datetime) -> None:
        """A run created then waits for a look at this Taxonomy's source."""
        first, latest = self._wanted.get(taxonomy, (created, created))
        self._wanted[taxonomy] = min(first, created), max(latest, created)
        self._mark(taxonomy)

    def of(self, taxonomy: Key) -> tuple[datetime, datetime] | None:
        """Give when the first and the latest of the runs that wait were created."""
        return self._wanted.get(taxonomy)

    def met(self, taxonomy: Key) -> None:
        """Its latest check is young enough."""
        self._wanted.pop(taxonomy, None)


class TaxonomyReconciler:
    """Brings a Taxonomy a step further."""

    def __init__(
        self,
        api: Kubernetes,
        stores: ObjectStores,
        settings: Settings,
        *,
        publish: Publish,
        wanted: WantedChecks,
        now: Clock = utc_now,
    ) -> None:
        self._api = api
        self._observer = TaxonomyObserver(api, stores, settings)
        self._executor = Executor(api, stores)
        self._reporter = Reporter(api)
        self._publish = publish
        self._wanted = wanted
        self._now = now

    async def reconcile(self, key: Key) -> Again | None:
        """One pass."""
        try:
            body = await self._api.get(Resource.TAXONOMIES, key.namespace, key.name)
        except NotFound:
            self._wanted.met(key)
            return None
        try:
            seen = await self._observer.look(body, self._wanted.of(key))
        except ValidationError as error:
            event = unreadable(error)
            await self._publish(body, event)
            raise Unreadable(event.message) from error
        now = self._now()
        plan = decide(seen, now)
        try:
            await self._executor.execute(seen.owner, None, plan.actions)
        except Stopped as stopped:
            plan = decide(replace(seen, refused=stopped.problem), self._now())
        if not await self._reporter.report(Resource.TAXONOMIES, body, seen.status, plan.status):
            return Again(0)
        for event in plan.events:
            await self._publish(body, event)
        if answers(seen, plan, now):
            self._wanted.met(key)
        return None if plan.again_seconds is None else Again(plan.again_seconds)
