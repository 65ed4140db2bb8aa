"""The bound on choices in flight: first come, never above the limit, lower when the teacher is overloaded."""

import asyncio

import pytest

from sdg_operator.engine.limiter import Limiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_requests_beyond_the_bound_wait_in_order() -> None:
    limiter = Limiter(10, Clock())
    passed: list[str] = []

    async def ask(name: str, weight: int) -> None:
        await limiter.acquire(weight)
        passed.append(name)

    asks = [asyncio.ensure_future(ask(*each)) for each in (("a", 6), ("b", 6), ("c", 1))]
    await asyncio.sleep(0)
    assert passed == ["a"]  # c would fit, but b came first
    limiter.release(6)
    await asyncio.gather(*asks)
    assert passed == ["a", "b", "c"]
    assert limiter.in_flight == 7


async def test_a_request_heavier_than_the_bound_passes_alone() -> None:
    limiter = Limiter(4, Clock())
    await asyncio.wait_for(limiter.acquire(30), 1)
    second = asyncio.ensure_future(limiter.acquire(1))
    await asyncio.sleep(0)
    assert not second.done()
    limiter.release(30)
    await second


async def test_who_stops_waiting_takes_nothing_along() -> None:
    limiter = Limiter(1, Clock())
    await limiter.acquire(1)
    waiting = asyncio.ensure_future(limiter.acquire(1))
    last = asyncio.ensure_future(limiter.acquire(1))
    await asyncio.sleep(0)
    waiting.cancel()
    limiter.release(1)
    await last
    assert limiter.in_flight == 1


async def test_a_turn_that_comes_with_the_cancellation_is_given_back() -> None:
    limiter = Limiter(1, Clock())
    await limiter.acquire(1)
    waiting = asyncio.ensure_future(limiter.acquire(1))
    await asyncio.sleep(0)
    limiter.release(1)  # its turn …
    waiting.cancel()  # … before it could run
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.in_flight == 0


def test_overload_halves_the_limit_once_for_requests_under_way_together() -> None:
    clock = Clock()
    limiter = Limiter(100, clock)
    clock.now = 5.0
    limiter.overloaded(asked_at=1.0)
    limiter.overloaded(asked_at=2.0)
    assert limiter.limit == 50
    limiter.overloaded(asked_at=6.0)
    assert limiter.limit == 25


def test_good_answers_win_the_bound_back_and_never_more() -> None:
    limiter = Limiter(100, Clock())
    limiter.overloaded(asked_at=1.0)
    for _ in range(50):
        limiter.answered(1)
    assert 55 <= limiter.limit <= 60
    for _ in range(1000):
        limiter.answered(1)
    assert limiter.limit == 100


def test_answers_that_are_slow_from_the_first_leave_the_bound_as_it_is() -> None:
    limiter = Limiter(64, Clock())
    for _ in range(20):
        limiter.paced(pace=0.2, slow=True, asked_at=1.0, weight=1)
    assert limiter.limit == 64


def test_answers_that_become_slow_lower_the_limit_to_a_floor() -> None:
    clock = Clock()
    limiter = Limiter(64, clock)
    for _ in range(10):
        limiter.paced(pace=0.05, slow=False, asked_at=0.0, weight=1)
    limits = []
    for second in range(1, 12):
        clock.now = float(second)
        limiter.paced(pace=0.2, slow=True, asked_at=second, weight=1)
        clock.now += 0.5
        limits.append(limiter.limit)
    assert limits[0] == 64
    assert 32 in limits
    assert limits[-1] == 8


def test_one_quick_answer_sets_no_measure() -> None:
    limiter = Limiter(64, Clock())
    limiter.paced(pace=0.2, slow=True, asked_at=1.0, weight=1)
    limiter.paced(pace=0.001, slow=False, asked_at=1.0, weight=1)
    for _ in range(20):
        limiter.paced(pace=0.2, slow=True, asked_at=1.0, weight=1)
    assert limiter.limit == 64
