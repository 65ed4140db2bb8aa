"""One pass over a DataGeneration: observe → decide → execute → report."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

from pydantic import ValidationError

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.api.settings import Settings
from sdg_operator.clients.protocols import Json, Kubernetes, NotFound, ObjectStores, Resource
from sdg_operator.controller.execute import Executor, Stopped
from sdg_operator.controller.observe_datageneration import RunObserver
from sdg_operator.controller.reconciler import Unreadable
from sdg_operator.controller.report import Reporter, unreadable
from sdg_operator.reconcile.datageneration import decide
from sdg_operator.reconcile.names import Key
from sdg_operator.reconcile.plan import Again, Event
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_close import cut_off
from sdg_operator.reconcile.run_status import RunPlan, kept
from sdg_operator.reconcile.snapshot import Problem, RunSeen

LOOK_SECONDS: Final = 120.0
"""Bound on all that one look asks of stores and API server, for twenty data sources of a slow store would take longer;
the status then says so."""

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Publish(Protocol):
    """Publishes an event about an object; never raises, never waits long."""

    async def __call__(self, body: Json, event: Event) -> None: ...


class WantCheck(Protocol):
    """Tells the Taxonomy's own passes that a run needs a check younger than itself."""

    def __call__(self, taxonomy: Key, created: datetime) -> None: ...


class RunEnded(Protocol):
    """Told of each run whose end has just been written."""

    def __call__(self, created: datetime, status: DataGenerationStatus) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class DataGenerationReconciler:
    """Brings a run a step further."""

    def __init__(
        self,
        api: Kubernetes,
        stores: ObjectStores,
        settings: Settings,
        *,
        publish: Publish,
        want_check: WantCheck,
        ended: RunEnded,
        now: Clock = utc_now,
    ) -> None:
        self._api = api
        self._observer = RunObserver(api, stores, settings)
        self._executor = Executor(api, stores)
        self._reporter = Reporter(api)
        self._publish = publish
        self._want_check = want_check
        self._ended = ended
        self._now = now

    async def reconcile(self, key: Key) -> Again | None:
        """One pass."""
        try:
            body = await self._api.get(Resource.DATA_GENERATIONS, key.namespace, key.name)
        except NotFound:
            self._forget(key)
            return None
        try:
            seen, plan = await self._look_and_act(self._observer.read(body, self._now()))
        except ValidationError as error:
            event = unreadable(error)
            await self._publish(body, event)
            raise Unreadable(event.message) from error
        if not await self._reporter.report(Resource.DATA_GENERATIONS, body, seen.status, plan.status):
            return Again(0)
        for event in plan.events:
            await self._publish(body, event)
        self._ask_for_check(key, seen, plan)
        if plan.status.state in TERMINAL_STATES:
            self._forget(key)
            if seen.status.state in TERMINAL_STATES:
                return None
            self._ended(seen.created, plan.status)
            return Again(0)  # the Jobs of a run that has just ended are let go in the next pass
        return None if plan.again_seconds is None else Again(plan.again_seconds)

    async def stop(self) -> None:
        """End what goes on beside the passes, once no pass is at work."""
        await self._executor.stop()

    def _forget(self, key: Key) -> None:
        self._observer.forget(key)
        self._executor.forget(key)

    async def _look_and_act(self, read: RunSeen) -> tuple[RunSeen, RunPlan]:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                seen = await self._observer.look(read, self._now())
        except TimeoutError:
            if read.deleting or read.status.state in TERMINAL_STATES:
                raise
            text = f"Looking at what the run needs took longer than {LOOK_SECONDS:.0f} s; its store is slow."
            return read, self._waiting(read, Problem(Reason.STORAGE_UNAVAILABLE, text))
        # Of thousands of leaves a decision takes a while, and all other runs' passes share the loop.
        return seen, await self._execute(seen, await asyncio.to_thread(decide, seen, self._now()))

    def _waiting(self, seen: RunSeen, why: Problem) -> RunPlan:
        late = cut_off(seen, self._now(), why)
        return late or RunPlan(kept(seen, self._now(), why), (), (), again_seconds=10.0)

    async def _execute(self, seen: RunSeen, plan: RunPlan) -> RunPlan:
        resolved = plan.status.resolved
        try:
            await self._executor.execute(seen.owner, resolved.storage_secret_name if resolved else None, plan.actions)
        except Stopped as stopped:
            log.info("%s: %s", seen.owner.key, stopped.problem.message)
            second = decide(replace(seen, refused=stopped.problem), self._now())
            if not second.actions:
                return second
            return self._waiting(seen, stopped.problem)
        return plan

    def _ask_for_check(self, key: Key, seen: RunSeen, plan: RunPlan) -> None:
        said = next((c for c in plan.status.conditions if c.type == "Progressing"), None)
        if said and said.reason == Reason.TAXONOMY_CHECKING and seen.spec.taxonomy_ref:
            self._want_check(Key("Taxonomy", key.namespace, seen.spec.taxonomy_ref.name), seen.created)
