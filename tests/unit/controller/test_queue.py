"""The work queue in virtual time."""

import asyncio

import pytest

from sdg_operator.controller.queue import Closed, WorkQueue
from sdg_operator.controller.reconciler import Again, Key
from tests.unit.controller.virtual import run

X = Key("DataGeneration", "a", "x")
Y = Key("DataGeneration", "a", "y")


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_worker_that_waits_gets_a_key_as_soon_as_it_is_marked() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(7)
        queue.mark(X)
        assert await waiting == X
        assert now() == 7

    run(main())


def test_a_key_is_looked_at_again_when_its_pass_asked_for_it() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        queue.mark(X)
        queue.succeeded(await queue.take(), Again(30))
        assert await queue.take() == X
        assert now() == 30

    run(main())


def test_the_pause_after_failures_doubles_up_to_a_minute_and_begins_anew_after_success() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        queue.mark(X)
        pauses = [queue.failed(await queue.take()) for _ in range(10)]
        assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        queue.succeeded(await queue.take(), Again(0))
        assert now() == sum(pauses)
        assert queue.failed(await queue.take()) == 0.5

    run(main())


def test_a_server_that_names_a_pause_is_given_it() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        queue.mark(X)
        assert queue.failed(await queue.take(), at_least=17) == 17
        await queue.take()
        assert now() == 17

    run(main())


def test_a_sooner_delay_wakes_a_worker_that_waits_for_a_later_one() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        queue.mark_after(X, 100)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(1)
        queue.mark_after(Y, 5)
        assert await waiting == Y
        assert now() == 6

    run(main())


def test_two_workers_never_hold_one_key() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        held: set[Key] = set()
        passes = 0

        async def work() -> None:
            nonlocal passes
            while True:
                try:
                    key = await queue.take()
                except Closed:
                    return
                assert key not in held
                held.add(key)
                await asyncio.sleep(3)
                held.remove(key)
                passes += 1
                queue.succeeded(key, None)

        workers = [asyncio.create_task(work()) for _ in range(4)]
        for _ in range(20):
            queue.mark(X)
            queue.mark(Y)
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        queue.close()
        await asyncio.gather(*workers)
        assert passes == 16, "20 s of marks, 3 s a pass, two keys, and one last pass each for the marks during the last"

    run(main())


def test_a_closed_queue_gives_out_nothing_and_wakes_who_waits() -> None:
    async def main() -> None:
        queue = WorkQueue(4)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(1)
        queue.mark_after(X, 5)
        queue.close()
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await queue.take()

    run(main())
