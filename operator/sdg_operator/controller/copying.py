"""Brings snapshots into other buckets: part by part through bounded memory, beside the passes that ask for it."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from sdg_operator.clients.protocols import ObjectStores, SecretRef
from sdg_operator.controller.watch import own_name
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.store import (
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    Store,
)

PART_BYTES: Final = 8 << 20
"""The operator holds no more of a snapshot at once; every store takes parts of 5 MiB and more."""
MAX_BYTES: Final = 2 << 30
_AT_ONCE: Final = 4
"""Parts that are held in memory."""
_LEAST_SECONDS: Final = 120.0
_SLOWEST: Final = 1 << 20
"""Bytes a second; a copy that is slower over all, without what it waited for others, is given up."""
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 120.0
"""How long an outcome waits to be asked for."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class CopyFailed(Exception):
    """One of the two stores refused, or was silent."""

    def __init__(self, error: StorageError, secret: SecretRef) -> None:
        super().__init__(error.message)
        self.error = error
        self.secret = secret


@dataclass(frozen=True, slots=True)
class Copy:
    """What is brought from where to where."""

    digest: str
    source: SecretRef
    target: SecretRef

    @property
    def key(self) -> str:
        return snapshot_key(self.digest)


@dataclass(slots=True)
class _Work:
    size: int = 0
    copied: int = 0
    task: "asyncio.Task[None] | None" = None


class Copies:
    """All copies under way. A pass asks for one again and again until it is there; its store's pace is nobody else's
    matter: a namespace has one copy at a time, and all take turns part by part."""

    def __init__(self, stores: ObjectStores, wait_seconds: float = 5.0) -> None:
        """A pass waits so long for its copy, so that small ones need no second pass."""
        self._stores = stores
        self._wait_seconds = wait_seconds
        self._under_way: dict[Copy, _Work] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._namespaces: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, copy: Copy) -> str | None:
        """None once the snapshot is there, else how far it is. Raises `CopyFailed`."""
        work = self._under_way.get(copy)
        if work is None:
            there = await self._is_there(copy)
            work = self._under_way.get(copy)  # others may have asked meanwhile
            if work is None:
                if there:
                    return None
                work = self._begin(copy)
        if work.task is None:  # pragma: no cover - `_begin` sets it
            raise AssertionError("a copy has no task")
        await asyncio.wait((work.task,), timeout=self._wait_seconds)
        if not work.task.done():
            return f"{work.copied >> 20} of {work.size >> 20} MiB"
        self._forget(copy, work)
        work.task.result()
        return None

    async def stop(self) -> None:
        """Give up what is under way, and have the stores forget what they took of it."""
        tasks = [work.task for work in self._under_way.values() if work.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)

    def _forget(self, copy: Copy, work: _Work) -> None:
        if self._under_way.get(copy) is work:
            del self._under_way[copy]

    def _begin(self, copy: Copy) -> _Work:
        work = self._under_way[copy] = _Work()
        loop = asyncio.get_running_loop()

        def ended(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and (error := task.exception()):
                log.info("snapshot %s was not copied into the bucket of %s: %s", copy.digest, copy.target, error)
            loop.call_later(_KEPT_SECONDS, self._forget, copy, work)

        work.task = asyncio.create_task(self._bring(copy, work), name=own_name("copy"))
        work.task.add_done_callback(ended)
        return work

    async def _bring(self, copy: Copy, work: _Work) -> None:
        lock = self._namespaces.get(copy.target.namespace)
        if lock is None:
            lock = self._namespaces[copy.target.namespace] = asyncio.Lock()
        async with lock:
            if await self._is_there(copy):  # brought by the copy before, since it was looked for
                return
            found = await self._run(copy.source, lambda store: store.head(copy.key))
            if found is None:
                raise CopyFailed(ObjectNotFound(copy.key), copy.source)
            if found.size > MAX_BYTES:
                raise CopyFailed(ObjectTooLarge(copy.key, found.size, MAX_BYTES), copy.source)
            work.size = found.size
            upload = await self._run(copy.target, lambda store: store.begin_upload(copy.key))
            bound = _LEAST_SECONDS + work.size / _SLOWEST
            try:
                await self._parts(copy, work, upload, bound)
            except (CopyFailed, TimeoutError, asyncio.CancelledError) as error:
                with suppress(StorageError):
                    await self._stores.run(copy.target, lambda store: store.drop_upload(copy.key, upload))
                if not isinstance(error, TimeoutError):
                    raise
                late = StorageUnavailable("Timeout", f"{work.size >> 20} MiB took longer than {bound:.0f} s")
                raise CopyFailed(late, copy.target) from error

    async def _is_there(self, copy: Copy) -> bool:
        return await self._run(copy.target, lambda store: store.head(copy.key)) is not None

    async def _parts(self, copy: Copy, work: _Work, upload: str, left: float) -> None:
        """Bring all parts, at work for no more than `left` seconds; raises TimeoutError."""
        loop = asyncio.get_running_loop()
        parts: list[str] = []
        seen = hashlib.sha256()

        def put(store: Store, body: bytes) -> str:
            return store.put_part(copy.key, upload, len(parts) + 1, body)

        while work.copied < work.size:
            length = min(PART_BYTES, work.size - work.copied)
            async with self._places:
                began = loop.time()
                async with asyncio.timeout(left):
                    body = await self._run(copy.source, lambda store: store.get_range(copy.key, work.copied, length))  # noqa: B023 - awaited here
                    await asyncio.to_thread(seen.update, body)
                    parts.append(await self._run(copy.target, lambda store: put(store, body)))  # noqa: B023 - awaited here
                del body
                left -= loop.time() - began
            work.copied += length
        if f"sha256:{seen.hexdigest()}" != copy.digest:
            text = f"{copy.key} is not what a check wrote; ask for a new check of the Taxonomy"
            raise CopyFailed(StorageRefused("SnapshotChanged", text), copy.source)
        await self._run(copy.target, lambda store: store.finish_upload(copy.key, upload, parts))
        found = await self._run(copy.target, lambda store: store.head(copy.key))
        if found is None or found.size != work.size:
            text = f"the store said that it took {copy.key!r}, but it is not there as it should be"
            raise CopyFailed(StorageUnavailable("NotStored", text), copy.target)

    async def _run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        """A moment's silence in the middle must not cost all that was copied before."""
        tries = 0
        while True:
            tries += 1
            try:
                return await self._stores.run(secret, work)
            except StorageError as error:
                if tries == _TRIES or not isinstance(error, StorageUnavailable):
                    raise CopyFailed(error, secret) from error
            await asyncio.sleep(_PAUSE_SECONDS)
