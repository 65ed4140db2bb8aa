"""How many choices are asked of the teacher at once: a bound that lowers itself when the teacher is overloaded."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

LOWER: Final = 0.5
RAISE: Final = 0.1
"""Part of the bound that is won back for each round of good answers."""
SLOW_FLOOR: Final = 1 / 8
"""Part of the bound that slow answers alone leave: a large model may simply be slow, and then waiting is no cure."""
RISING: Final = 2.0
"""Answers that take this many times as long, token for token, as at the best time so far tell of a teacher at its
limit."""
SMOOTHING: Final = 0.1
"""Weight of one answer in the pace: single quick ones (a cache, say) set no measure."""


class Limiter:
    """A weighted, first-come gate for one event loop: additive increase, multiplicative decrease.

    A request weighs as many as it asks choices. One heavier than the limit passes alone, so nothing waits for ever.
    """

    def __init__(self, bound: int, clock: Callable[[], float]) -> None:
        self._bound = float(bound)
        self._clock = clock
        self._limit = float(bound)
        self._in_flight = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._lowered_at = float("-inf")
        self._pace: float | None = None
        self._best_pace = float("inf")

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def acquire(self, weight: int) -> None:
        if not self._waiting and self._fits(weight):
            self._in_flight += weight
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(weight)  # the turn came in the same moment
            raise

    def release(self, weight: int) -> None:
        self._in_flight -= weight
        self._admit()

    def answered(self, weight: int) -> None:
        """Take note of a good answer."""
        self._limit = min(self._bound, self._limit + RAISE * self._bound * weight / self.limit)
        self._admit()

    def overloaded(self, asked_at: float) -> None:
        """Take note that the teacher could not keep up with a request sent at `asked_at`.

        Requests that were under way when the limit was last lowered say nothing new.
        """
        if asked_at > self._lowered_at:
            self._lowered_at = self._clock()
            self._limit = max(1.0, self._limit * LOWER)

    def paced(self, pace: float, slow: bool, asked_at: float, weight: int) -> None:
        """Take note of a good answer at `pace` (seconds a token of one choice); `slow` when it took long in all.

        Slow answers are a sign of overload only where the pace has risen: else fewer requests help nobody.
        """
        self._pace = pace if self._pace is None else self._pace + SMOOTHING * (pace - self._pace)
        self._best_pace = min(self._best_pace, self._pace)
        if not slow or self._pace <= RISING * self._best_pace:
            self.answered(weight)
        elif self._limit > self._bound * SLOW_FLOOR:
            self.overloaded(asked_at)
            self._limit = max(self._limit, self._bound * SLOW_FLOOR)

    def _fits(self, weight: int) -> bool:
        return self._in_flight == 0 or self._in_flight + weight <= self.limit

    def _admit(self) -> None:
        while self._waiting:
            weight, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
                continue
            if not self._fits(weight):
                return
            self._waiting.popleft()
            self._in_flight += weight
            turn.set_result(None)
