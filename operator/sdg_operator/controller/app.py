"""The operator as a whole: what is started in which order, and what is stopped in which."""

import asyncio
import logging
import os
import signal
import socket
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest

from sdg_operator.api.settings import Settings
from sdg_operator.clients.errors import KubernetesError
from sdg_operator.clients.kubernetes import KubernetesApi
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller import health, preflight
from sdg_operator.controller.catching_up import CatchingUp
from sdg_operator.controller.datageneration import DataGenerationReconciler
from sdg_operator.controller.election import Election, Lease
from sdg_operator.controller.events import Publisher
from sdg_operator.controller.listing import Listing
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.queue import WorkQueue
from sdg_operator.controller.reconciler import Key
from sdg_operator.controller.taxonomy import TaxonomyReconciler, WantedChecks
from sdg_operator.controller.watch import watch
from sdg_operator.controller.workers import Workers

_PROBE_SECONDS: Final = 5.0
_LIST_PAUSE_SECONDS: Final = 2.0
_CATCH_UP_SECONDS: Final = 60.0
"""Some 30,000 resources; where the watch is away for longer, the resync finds what is new."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    settings: Settings
    kubeconfig: Path | None
    namespaces: tuple[str, ...]
    """Empty for all."""
    leader_elect: bool
    lease: Lease
    health_bind: str
    metrics_bind: str


class Operator:
    """One process."""

    def __init__(self, api: KubernetesApi, options: Options) -> None:
        limits = options.settings.limits
        self._api = api
        self._options = options
        self._metrics = Metrics()
        self._identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}_{os.getpid()}"
        self._queue = WorkQueue(limits.workers)
        self._stores = SecretStores(
            api,
            call_seconds=limits.s3_timeout_seconds,
            denied_ranges=[ip_network(text) for text in limits.denied_ranges],
            measure=self._metrics.store_call,
        )
        self._publisher = Publisher(api, self._metrics, self._identity)
        wanted = WantedChecks(self._queue.mark)
        self._runs = DataGenerationReconciler(
            api,
            self._stores,
            options.settings,
            publish=self._publisher.publish,
            want_check=wanted.want,
            ended=self._metrics.run_ended,
        )
        self._workers = Workers(
            self._queue,
            {
                "Taxonomy": TaxonomyReconciler(
                    api, self._stores, options.settings, publish=self._publisher.publish, wanted=wanted
                ),
                "DataGeneration": self._runs,
            },
            self._metrics,
            limits.workers,
        )
        self._listing = Listing(api, self._queue, self._metrics, options.namespaces)
        self._waiting = "starting"
        """Why it is not ready; empty once it works, or stands by."""
        self._unreachable: str | None = None
        self._probed_at = -_PROBE_SECONDS
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT. Ends the process at once where another replica has taken over."""
        self._take_signals()
        options = self._options
        async with health.serve(self._live, self._ready, self._scrape, options.health_bind, options.metrics_bind):
            work = asyncio.create_task(self._work(), name="operator")
            asked = asyncio.create_task(self._stop.wait(), name="stop")
            await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not work.done():
                log.info("stopping")
                work.cancel()
            try:
                await work
            except asyncio.CancelledError:
                log.info("stopped")
            finally:
                self._stores.close()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _work(self) -> None:
        options = self._options
        if not options.leader_elect:
            await self._preflight(None)
            await self._lead()
            return
        lease = options.lease
        await self._preflight(lease)
        # An owner counts only in its own namespace.
        pod_uid = os.environ.get("POD_UID") if lease.namespace == os.environ.get("POD_NAMESPACE") else None
        election = Election(self._api, lease, self._identity, pod_uid=pod_uid)
        await election.acquire()
        leading = asyncio.create_task(self._lead(), name="leading")
        holding = asyncio.create_task(election.hold(), name="lease")
        try:
            await _while_held(holding, leading)
        finally:
            leading.cancel()
            await _while_held(holding, leading)
            holding.cancel()
            await election.release()
        leading.result()

    async def _preflight(self, lease: Lease | None) -> None:
        options = self._options
        policies = options.settings.network_policy.create
        await preflight.ready(
            self._api, self._api.server, options.namespaces, lease, self._say, network_policies=policies
        )

    async def _lead(self) -> None:
        options = self._options
        self._metrics.leader.set(1)
        self._say("listing what there is to work on")
        catching_up = CatchingUp()

        def tell(key: Key) -> None:
            self._queue.mark(key)
            catching_up.told(key)

        watching = asyncio.create_task(
            watch(
                self._api,
                tell,
                self._metrics,
                options.kubeconfig,
                namespaces=options.namespaces,
                take_signals=self._take_signals,
            ),
            name="watch",
        )
        try:
            keys = await self._first_list()
            if missing := await catching_up.wait(keys, _CATCH_UP_SECONDS):
                log.info("the watch has not told of %d of %d resources; work begins without", missing, len(keys))
            self._say("")
            self._publisher.start()
            self._workers.start()
            await self._listing.resync(options.settings.limits.resync_seconds)
        finally:
            self._metrics.leader.set(0)
            await self._workers.stop()
            await self._runs.stop()
            await self._publisher.stop()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _first_list(self) -> set[Key]:
        while True:
            try:
                return await self._listing.first()
            except KubernetesError as error:
                self._say(f"the first list did not succeed: {error.message}")
                log.warning("%s", self._waiting)
                await asyncio.sleep(_LIST_PAUSE_SECONDS)

    def _say(self, problem: str) -> None:
        self._waiting = problem

    async def _scrape(self) -> bytes:
        queue = self._queue
        self._metrics.show_queue(ready=queue.ready, oldest_seconds=queue.oldest(), working=queue.working)
        # A scrape of many series takes milliseconds of CPU: not on the loop that works.
        return await asyncio.to_thread(generate_latest, self._metrics.registry)

    async def _live(self) -> str | None:
        """The loop turns, or this would not be answered; the workers do theirs."""
        return self._workers.fault()

    async def _ready(self) -> str | None:
        """Everything needed was found once, and the API server answers now."""
        if self._waiting:
            return self._waiting
        now = asyncio.get_running_loop().time()
        if now - self._probed_at > _PROBE_SECONDS:
            try:
                async with asyncio.timeout(2.0):
                    await self._api.raw("/version")
                self._unreachable = None
            except KubernetesError as error:
                self._unreachable = error.message
            except TimeoutError:
                self._unreachable = f"no answer from {self._api.server} within 2 s"
            self._probed_at = now
        return self._unreachable


async def _while_held(holding: asyncio.Task[None], leading: asyncio.Task[None]) -> None:
    """Wait until there is no more work. Ends the process where the Lease is lost before: another may be at work
    already, so nothing that we have begun may go on."""
    await asyncio.wait((holding, leading), return_when=asyncio.FIRST_COMPLETED)
    if holding.done() and not leading.done():
        log.error("%s; this replica ends at once", holding.exception())
        os._exit(1)
