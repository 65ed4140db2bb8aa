"""Which key is looked at next. Pure: time is an argument.

A key is in at most one place of *ready* and *delayed*, and beside that possibly in work. Ready keys are taken namespace
by namespace in turn, first come first served within one, so that a namespace with 10,000 of them delays another's new
one by no more than the passes that are in work.
"""

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field

from sdg_operator.controller.reconciler import Key


@dataclass(slots=True)
class Schedule:
    """All keys that wait or are in work."""

    workers: int
    """How many keys can be in work at once. A namespace with some in work may take another while these are less than
    half as many as are left for all but an eighth; that eighth is for namespaces with none in work. So a new one finds
    a worker at once, unless so many namespaces with slow stores came before it that they hold that eighth too."""
    _ready: OrderedDict[str, OrderedDict[Key, float]] = field(default_factory=OrderedDict)
    """Namespace → key → since when it is due. The first namespace is the next one served."""
    _delayed: dict[Key, float] = field(default_factory=dict)
    _heap: list[tuple[float, Key]] = field(default_factory=list)
    """Times of `_delayed`, soonest first; an entry that does not match `_delayed` is out of date."""
    _working: dict[Key, bool] = field(default_factory=dict)
    """Key in work → whether it was marked meanwhile."""
    _busy: dict[str, int] = field(default_factory=dict)
    """Namespace → how many of its keys are in work."""

    def mark(self, key: Key, now: float) -> None:
        """The key is worth a look now. Marking it again before it is taken changes nothing."""
        self._delayed.pop(key, None)
        if key in self._working:
            self._working[key] = True
            return
        self._ready.setdefault(key.namespace, OrderedDict()).setdefault(key, now)

    def delay(self, key: Key, until: float) -> None:
        """The key is worth a look then, unless something marks it before. The sooner of two times holds."""
        if key in self._ready.get(key.namespace, ()) or self._delayed.get(key, until + 1) <= until:
            return
        self._delayed[key] = until
        heapq.heappush(self._heap, (until, key))

    def take(self, now: float) -> Key | None:
        """The next key to work on; None if none is due or may be taken."""
        self._wake(now)
        left = self.workers - len(self._working)
        for namespace in self._ready if left > 0 else ():
            busy = self._busy.get(namespace, 0)
            if not busy or 2 * busy < left - self.workers // 8:
                break
        else:
            return None
        keys = self._ready[namespace]
        key, _ = keys.popitem(last=False)
        if keys:
            self._ready.move_to_end(namespace)
        else:
            del self._ready[namespace]
        self._working[key] = False
        self._busy[namespace] = self._busy.get(namespace, 0) + 1
        return key

    def done(self, key: Key, now: float, again_at: float | None, *, heed_marks: bool = True) -> None:
        """The pass over a taken key has ended.

        A key that was marked meanwhile is due at once, for what the pass saw may be old; with `heed_marks` False (a
        pass that failed) it still waits until `again_at`, so that a pass cannot drive itself by the events it causes.
        """
        marked = self._working.pop(key)
        left = self._busy.pop(key.namespace) - 1
        if left:
            self._busy[key.namespace] = left
        if marked and (heed_marks or again_at is None):
            self.mark(key, now)
        elif again_at is not None:
            self.delay(key, again_at)

    def next_time(self) -> float | None:
        """When the next delayed key is due."""
        while self._heap and self._delayed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def ready(self) -> int:
        return sum(len(keys) for keys in self._ready.values())

    @property
    def delayed(self) -> int:
        return len(self._delayed)

    @property
    def working(self) -> int:
        return len(self._working)

    def oldest(self, now: float) -> float:
        """For how many seconds the longest waiting ready key has been due."""
        return max((now - next(iter(keys.values())) for keys in self._ready.values()), default=0.0)

    def _wake(self, now: float) -> None:
        while (due := self.next_time()) is not None and due <= now:
            _, key = heapq.heappop(self._heap)
            self.mark(key, due)
