"""The work queue: a `Schedule` that workers can wait for, with a back-off for keys whose passes fail."""

import asyncio
from typing import Final

from sdg_operator.controller.reconciler import Again, Key
from sdg_operator.controller.schedule import Schedule

_FIRST_BACKOFF_SECONDS: Final = 0.5
_LONGEST_BACKOFF_SECONDS: Final = 60.0


class Closed(Exception):
    """The queue gives out no more keys."""


class WorkQueue:
    """Belongs to the event loop it is first used in; none of its methods may be called from another thread."""

    def __init__(self, workers: int) -> None:
        self._schedule = Schedule(workers)
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.last_taken: float = 0.0
        """Loop time at which a key was last given out."""

    def mark(self, key: Key) -> None:
        """The key is worth a look now."""
        self._schedule.mark(key, self._now())
        self._changed.set()

    def mark_after(self, key: Key, seconds: float) -> None:
        """The key is worth a look in so many seconds, unless something marks it before."""
        self._schedule.delay(key, self._now() + seconds)
        self._changed.set()

    async def take(self) -> Key:
        """Wait for a key and take it into work; its pass must end in `succeeded` or `failed`. Raises `Closed`."""
        while not self._closed:
            now = self._now()
            key = self._schedule.take(now)
            if key is not None:
                self.last_taken = now
                self._changed.set()  # another worker may find one too
                return key
            self._changed.clear()
            self._set_timer()
            await self._changed.wait()
        raise Closed

    def succeeded(self, key: Key, again: Again | None) -> None:
        self._failures.pop(key, None)
        now = self._now()
        self._schedule.done(key, now, None if again is None else now + again.after_seconds)
        self._changed.set()

    def failed(self, key: Key, at_least: float = 0.0) -> float:
        """Have the key looked at again after a pause that doubles with each failure in a row; gives its seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = max(at_least, min(_FIRST_BACKOFF_SECONDS * (1 << min(count, 16)), _LONGEST_BACKOFF_SECONDS))
        now = self._now()
        self._schedule.done(key, now, now + pause, heed_marks=False)
        self._changed.set()
        return pause

    def close(self) -> None:
        """Give out no more keys; those in work may still end."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self._changed.set()

    @property
    def ready(self) -> int:
        return self._schedule.ready

    @property
    def delayed(self) -> int:
        return self._schedule.delayed

    @property
    def working(self) -> int:
        return self._schedule.working

    def oldest(self) -> float:
        """For how many seconds the longest waiting key has been due."""
        return self._schedule.oldest(self._now())

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due = self._schedule.next_time()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._changed.set)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
