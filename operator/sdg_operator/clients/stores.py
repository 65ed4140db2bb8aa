"""Users' buckets, kept from slowing or misusing the operator.

An endpoint is chosen by a user, so nothing that it does may cost others: its calls run in threads of which it (and each
namespace) may hold only a few, for a bounded time; after some silence in a row it is left alone for a while; and it
may not be an address that only the operator can reach.
"""

import asyncio
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from sdg_operator.clients.circuit import Circuit, SharedCircuit
from sdg_operator.clients.errors import Forbidden, KubernetesError, NotFound
from sdg_operator.clients.guard import Call, Range, denied, guard
from sdg_operator.clients.protocols import Kubernetes, SecretRef
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_errors import host
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import StorageError, StorageRefused, StorageUnavailable, Store

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
Measure = Callable[[str, float], None]
"""Takes the outcome of a call (``ok`` or a reason) and its seconds."""

_THREADS: Final = 48
_PER_ENDPOINT: Final = 16
_PER_NAMESPACE: Final = 4
_STORES_KEPT: Final = 64
_CIRCUITS_KEPT: Final = 1000
_UNASKED: Final = frozenset({"AddressDenied", "InvalidKey", "InvalidSettings"})
"""Refusals that are found before the endpoint is asked, or without its answer being understood."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A store that is kept for its connections."""

    settings: S3Settings
    store: S3Store
    folder: Path | None
    """Holds the Secret's own authorities."""


class _Places:
    """How many threads each of something may hold at once; what is not in use is not remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_use: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Semaphore:
        place = self._in_use.get(name)
        if place is None:
            place = self._in_use[name] = asyncio.Semaphore(self._limit)
        return place


class _Kept(Generic[K, V]):
    """The latest of what users name: as many as are worth remembering."""

    def __init__(self, new: Callable[[], V]) -> None:
        self._new = new
        self._known: OrderedDict[K, V] = OrderedDict()

    def of(self, name: K) -> V:
        if name not in self._known:
            self._known[name] = self._new()
        self._known.move_to_end(name)
        while len(self._known) > _CIRCUITS_KEPT:
            self._known.popitem(last=False)
        return self._known[name]


class SecretStores:
    """The gateway `protocols.ObjectStores`."""

    def __init__(
        self,
        api: Kubernetes,
        *,
        call_seconds: float = 10.0,
        total_seconds: float = 60.0,
        denied_ranges: Sequence[Range] = (),
        measure: Measure = lambda _outcome, _seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._call_seconds = call_seconds
        self._total_seconds = total_seconds
        self._denied = tuple(denied_ranges)
        self._measure = measure
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._running: set[Call] = set()
        self._open: OrderedDict[SecretRef, _Open] = OrderedDict()
        self._open_lock = threading.Lock()
        # Per namespace: one user cannot shut another's endpoint.
        self._circuits: _Kept[tuple[str, str], Circuit] = _Kept(Circuit)
        self._shared: _Kept[str, SharedCircuit] = _Kept(SharedCircuit)
        self._endpoints = _Places(_PER_ENDPOINT)
        self._namespaces = _Places(_PER_NAMESPACE)

    def close(self) -> None:
        """Cut off what is under way and forget all stores."""
        for call in list(self._running):
            call.cut_off()
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._open:
            _drop(self._open.popitem()[1])

    @property
    def running(self) -> int:
        """How many threads are at work."""
        return len(self._running)

    async def bucket(self, secret: SecretRef) -> str:
        return (await self._settings(secret)).bucket

    async def run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        began = self._clock()
        outcome = "ok"
        try:
            return await self._run(secret, work)
        except StorageError as error:
            outcome = error.reason
            raise
        finally:
            self._measure(outcome, self._clock() - began)

    async def _run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        settings = await self._settings(secret)
        endpoint = _endpoint(settings)
        held = await self._places(secret.namespace, endpoint)
        # Only now: whoever waited behind calls that met silence need not meet it too.
        if wait := self._pause(secret.namespace, endpoint):
            _give_back(held)
            raise StorageUnavailable("CircuitOpen", f"{endpoint} does not answer; it is tried again in {wait:.0f} s")
        try:
            found = await self._in_thread(held, endpoint, lambda: work(self._store(secret, settings)))
        except StorageError as error:
            self._note(secret.namespace, endpoint, error)
            raise
        self._note(secret.namespace, endpoint, None)
        return found

    def _pause(self, namespace: str, endpoint: str) -> float:
        """Seconds for which the endpoint is left alone; 0 where it may be called."""
        now = self._clock()
        return self._circuits.of((namespace, endpoint)).check(now) or self._shared.of(endpoint).check(now)

    def _note(self, namespace: str, endpoint: str, error: StorageError | None) -> None:
        if error is not None and error.reason in _UNASKED:
            return  # it says nothing of the endpoint
        now, own, shared = self._clock(), self._circuits.of((namespace, endpoint)), self._shared.of(endpoint)
        if not isinstance(error, StorageUnavailable):
            own.succeeded()
            shared.answered()
            return
        own.failed(now)
        if error.reason == "Unreachable":
            shared.was_silent(namespace, now)

    async def _settings(self, secret: SecretRef) -> S3Settings:
        """Read the Secret anew each time: that is how rotated credentials are taken up."""
        where = f"Secret {secret.name} in namespace {secret.namespace}"
        try:
            data = await self._api.secret(secret.namespace, secret.name)
        except NotFound as error:
            raise StorageRefused("SecretNotFound", f"there is no {where}") from error
        except Forbidden as error:
            raise StorageRefused(
                "SecretNotAllowed",
                f"the operator may not read {where}; the administrator can add it to the allowed ones",
            ) from error
        except KubernetesError as error:
            raise StorageUnavailable("ApiServerUnavailable", f"cannot read {where}: {error.message}") from error
        return S3Settings.from_secret(data)

    async def _places(self, namespace: str, endpoint: str) -> list[asyncio.Semaphore]:
        """Wait until the namespace and the endpoint have a thread to give."""
        held: list[asyncio.Semaphore] = []
        try:
            async with asyncio.timeout(max(self._call_seconds, self._total_seconds / 2)):
                for place in (self._namespaces.of(namespace), self._endpoints.of(endpoint)):
                    await place.acquire()
                    held.append(place)
        except TimeoutError as error:
            _give_back(held)
            raise StorageUnavailable(
                "Busy", f"too many calls to {endpoint} are waiting for an answer already; it is slow"
            ) from error
        except asyncio.CancelledError:
            _give_back(held)
            raise
        return held

    async def _in_thread(self, held: list[asyncio.Semaphore], endpoint: str, call: Callable[[], T]) -> T:
        """Run `call` in a thread, which keeps its places until it has really ended."""
        loop = asyncio.get_running_loop()
        connections = Call()
        self._running.add(connections)

        def guarded() -> T:
            with connections:
                return call()

        def ended(_: object) -> None:
            self._running.discard(connections)
            if not loop.is_closed():
                loop.call_soon_threadsafe(_give_back, held)

        running: Future[T] = self._threads.submit(guarded)
        running.add_done_callback(ended)
        try:
            async with asyncio.timeout(self._total_seconds):
                return await asyncio.wrap_future(running)
        except TimeoutError as error:
            connections.cut_off()
            raise StorageUnavailable("Timeout", f"{endpoint} took longer than {self._total_seconds:g} s") from error
        except asyncio.CancelledError:
            connections.cut_off()  # nobody waits for it any more
            raise

    def _store(self, secret: SecretRef, settings: S3Settings) -> Store:
        """The Secret's store, kept while its settings are the same. Runs in a thread: making one takes a while."""
        self._admit(settings)
        with self._open_lock:
            kept = self._open.get(secret)
            if kept and kept.settings == settings:
                self._open.move_to_end(secret)
                return kept.store
            folder = Path(tempfile.mkdtemp(prefix="sdg-store-")) if settings.ca_bundle else None
            store = S3Store(
                settings,
                timeout_seconds=self._call_seconds,
                attempts=2,
                ca_folder=folder,
                prepare=lambda client: guard(client, self._denied),
            )
            self._open[secret] = _Open(settings, store, folder)
            if kept:
                _drop(kept)
            while len(self._open) > _STORES_KEPT:
                _drop(self._open.popitem(last=False)[1])
            return store

    def _admit(self, settings: S3Settings) -> None:
        """Refuse an endpoint whose name or number leads to a denied address."""
        if settings.endpoint is None:
            return
        parts = urlsplit(settings.endpoint)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except OSError:
            return  # behind a proxy names need not resolve here; without one the call itself says so
        for *_, address in found:
            if denied(str(address[0]), self._denied):
                raise StorageRefused(
                    "AddressDenied",
                    f"AWS_S3_ENDPOINT leads to {address[0]}, which the administrator does not allow "
                    "(limits.deniedRanges of the settings)",
                )


def _drop(kept: _Open) -> None:
    kept.store.close()
    if kept.folder is not None:
        shutil.rmtree(kept.folder, ignore_errors=True)


def _endpoint(settings: S3Settings) -> str:
    return host(settings.endpoint) if settings.endpoint else f"AWS {settings.region or 'us-east-1'}"


def _give_back(held: list[asyncio.Semaphore]) -> None:
    while held:
        held.pop().release()
