"""The watch: kopf delivers events, the handlers only mark keys.

kopf writes nothing here: no finalizers, annotations or events. What an event says is not used, for it may be older than
what is known; a deletion may mean that an object left a selector. See docs/decisions for what was measured.
"""

import asyncio
import datetime
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import kopf
from kubernetes.aio.client import Configuration

from sdg_operator.api import GROUP, VERSION
from sdg_operator.clients.errors import KubernetesError, NotFound
from sdg_operator.clients.login import authorization, log_in
from sdg_operator.clients.protocols import Kubernetes
from sdg_operator.controller.listing import ACTIVE_RUNS, WATCHED
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.reconciler import Key
from sdg_operator.reconcile.names import Kind, key_of

_LOGIN_MINUTES: Final = 30
"""A service account's token lives for an hour at least."""
_PAUSE_SECONDS: Final = 2.0
_OWN: Final = "sdg-"

log = logging.getLogger(__name__)


def own_name(name: str) -> str:
    """Name of a task of ours, by which it is told from kopf's."""
    return f"{_OWN}{name}"


class _Ours(Collection["asyncio.Task[Any]"]):
    """Tasks that kopf must leave alone when it ends: it takes all that began after itself for its own."""

    def __init__(self, before: set["asyncio.Task[Any]"]) -> None:
        self._before = before

    def __contains__(self, task: object) -> bool:
        return task in self._before or (isinstance(task, asyncio.Task) and task.get_name().startswith(_OWN))

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        return iter(self._before)

    def __len__(self) -> int:
        return len(self._before)


class _ForEver:
    """Pauses between tries to reach the API server: short at first, and never out. With a finite list kopf gives up,
    and with it the operator."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1, 2, 3), itertools.repeat(5.0))


class _NoDiffs(kopf.DiffBaseStorage):
    """Remembers nothing: nobody asks what changed, and a copy of each object costs half the time of an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing: handlers never fail and are never retried."""

    def fetch(self, **_: Any) -> kopf.ProgressRecord | None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def settings() -> kopf.OperatorSettings:
    """What kopf may and may not do."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.process.ultimate_exiting_timeout = None  # else a watch that was begun anew kills the process minutes later
    found.scanning.disabled = True
    found.persistence.diffbase_storage = _NoDiffs()
    found.persistence.progress_storage = _NoProgress()
    found.queueing.idle_timeout = 1.0  # a stream a object is kept for so long
    found.networking.request_timeout = 60.0
    found.networking.connect_timeout = 5.0
    found.networking.error_backoffs = _ForEver()
    found.watching.chunk_size = 500
    found.watching.field_selectors[GROUP, VERSION, "datagenerations"] = ACTIVE_RUNS
    found.watching.label_selectors["batch", "v1", "jobs"] = WATCHED
    found.watching.label_selectors["", "v1", "pods"] = WATCHED
    return found


def registry(tell: Callable[[Key], None], metrics: Metrics, kubeconfig: Path | None) -> kopf.OperatorRegistry:
    """The handlers: one login, and one that tells of a key for each event."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(await log_in(kubeconfig))

    def of_own(kind: Kind, plural: str) -> None:
        @kopf.on.event(GROUP, VERSION, plural, registry=found)
        async def mark(namespace: str | None, name: str | None, **_: Any) -> None:
            metrics.events.labels(plural).inc()
            if namespace and name:
                tell(Key(kind, namespace, name))

    def of_children(group: str, plural: str) -> None:
        @kopf.on.event(group, "v1", plural, registry=found)
        async def mark(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
            metrics.events.labels(plural).inc()
            if namespace and (key := key_of(namespace, labels)):
                tell(key)

    of_own("Taxonomy", "taxonomies")
    of_own("DataGeneration", "datagenerations")
    of_children("batch", "jobs")
    of_children("", "pods")
    return found


async def watch(
    api: Kubernetes,
    tell: Callable[[Key], None],
    metrics: Metrics,
    kubeconfig: Path | None,
    *,
    namespaces: Sequence[str],
    take_signals: Callable[[], None],
) -> None:
    """Tell of each key that an event is about, until cancelled.

    What ends kopf (a stream that says ERROR, say) only costs a new beginning. A kind that discovery does not name when
    kopf begins it would leave out for ever, without a word; so that is waited for, at first and when CRDs are replaced.
    kopf takes SIGTERM and SIGINT for itself whenever it starts; `take_signals` takes them back.
    """
    while True:
        try:
            await _until_discovered(api)
            ours = _Ours(asyncio.all_tasks())
            tasks = await kopf.spawn_tasks(
                registry=registry(tell, metrics, kubeconfig),
                settings=settings(),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                # Only peering uses it, but kopf would ask for the user's name, and an arbitrary uid has none.
                identity=cast("Any", "sdg-operator"),
            )
            take_signals()
            await kopf.run_tasks(tasks, ignored=ours)
            log.error("the watch has ended; it is begun anew")
        except Exception:
            log.exception("the watch has failed; it is begun anew")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _until_discovered(api: Kubernetes) -> None:
    said = ""
    while problem := await _undiscovered(api):
        if problem != said:
            log.warning("%s; the watch waits", problem)
            said = problem
        await asyncio.sleep(_PAUSE_SECONDS)


async def _undiscovered(api: Kubernetes) -> str | None:
    try:
        served = (await api.raw(f"/apis/{GROUP}/{VERSION}")).get("resources") or ()
    except NotFound:
        served = ()
    except KubernetesError as error:
        return f"what the API server serves of {GROUP} is not known: {error.message}"
    missing = {"taxonomies", "datagenerations"} - {each.get("name") for each in served}
    return f"the API server serves no {' and no '.join(sorted(missing))} of {GROUP}" if missing else None


async def _connection(configuration: Configuration) -> kopf.ConnectionInfo:
    scheme, _, token = (await authorization(configuration) or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=str(configuration.host),
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
        trust_env=True,
        expiration=datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=_LOGIN_MINUTES),
    )
