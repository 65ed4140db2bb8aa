"""The workers: each takes a key, has its reconciler look at it, and tells the queue how that went."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from sdg_operator.clients.errors import Conflict, KubernetesError, Unavailable
from sdg_operator.controller import logs
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.queue import Closed, WorkQueue
from sdg_operator.controller.reconciler import Again, Key, Reconciler, Unreadable
from sdg_operator.controller.watch import own_name

PASS_SECONDS: Final = 180.0
"""Bound on one pass. Its look has a bound of its own (`datageneration.LOOK_SECONDS`) and says so in the status; this is
for the actions after it, which a next pass begins anew, and for defects."""
_STUCK_SECONDS: Final = 2 * PASS_SECONDS
_GRACE_SECONDS: Final = 20.0

log = logging.getLogger(__name__)


class Workers:
    """A fixed number of tasks that work the queue off."""

    def __init__(self, queue: WorkQueue, reconcilers: Mapping[str, Reconciler], metrics: Metrics, count: int) -> None:
        self._queue = queue
        self._reconcilers = reconcilers
        self._metrics = metrics
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self._started = 0.0

    def start(self) -> None:
        self._started = asyncio.get_running_loop().time()
        self._tasks = [asyncio.create_task(self._work(), name=own_name(f"worker-{n}")) for n in range(self._count)]

    async def stop(self) -> None:
        """Let the passes in work end, but not for longer than the grace of our own pod allows."""
        self._queue.close()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=_GRACE_SECONDS)
        for task in late:
            log.warning(
                "%s did not end in %g s and is cut off; the next start looks again", task.get_name(), _GRACE_SECONDS
            )
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fault(self) -> str | None:
        """What is wrong with the workers; None if nothing is."""
        if dead := [task.get_name() for task in self._tasks if task.done()]:
            return f"{dead[0]} has ended"
        silent = asyncio.get_running_loop().time() - max(self._queue.last_taken, self._started)
        if self._tasks and self._queue.ready and silent > _STUCK_SECONDS:
            return f"{self._queue.ready} resources are due and none was taken for {silent:.0f} s"
        return None

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.take()
            except Closed:
                return
            logs.current.set(key)
            await self._pass(key)
            logs.current.set(None)

    async def _pass(self, key: Key) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PASS_SECONDS):
                again = await self._reconcilers[key.kind].reconcile(key)
        except (KubernetesError, TimeoutError) as error:
            self._failed(key, error)
            result = "retry"
        except Unreadable as error:
            log.error("%s cannot be read, and is looked at again in %.1f s: %s", key, self._queue.failed(key), error)
            result = "error"
        except Exception:
            # A defect in the pass over one resource must not stop the passes over all others.
            log.exception("the pass over %s failed; it is repeated in %.1f s", key, self._queue.failed(key))
            result = "error"
        except asyncio.CancelledError:
            self._queue.failed(key)
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            result = "retry"  # not this worker was meant, but a task of a library that the pass was waiting for
        else:
            self._queue.succeeded(key, again)
            result = "ok"
        self._metrics.passes.labels(key.kind, result).observe(asyncio.get_running_loop().time() - began)

    def _failed(self, key: Key, error: Exception) -> None:
        if isinstance(error, Conflict):
            # Someone else wrote first: the event of that write is on its way, if it is not here already.
            self._queue.succeeded(key, Again(0.1))
            return
        least = (error.retry_after or 0.0) if isinstance(error, Unavailable) else 0.0
        pause = self._queue.failed(key, min(least, 60.0))
        log.warning(
            "the pass over %s could not be ended, and is repeated in %.1f s: %s", key, pause, error or "too slow"
        )
