"""Work begins once the watch has told of all that the first list found."""

import asyncio

import pytest

from sdg_operator.controller.catching_up import QUIET_SECONDS, CatchingUp
from sdg_operator.controller.reconciler import Key
from tests.unit.controller.virtual import run

A, B, NEW = (Key("Taxonomy", "birds", name) for name in ("a", "b", "new"))


@pytest.mark.parametrize("before", [(), (A,), (A, B, NEW)], ids=["none told yet", "one told", "all told"])
async def test_it_waits_for_the_last_of_the_list(before: tuple[Key, ...]) -> None:
    catching_up = CatchingUp()
    for key in before:
        catching_up.told(key)
    waiting = asyncio.create_task(catching_up.wait([A, B], 3600))
    for key in (A, NEW, B):
        await asyncio.sleep(0)
        assert waiting.done() == ({A, B} <= set(before))
        catching_up.told(key)
    assert await waiting == 0


async def test_nothing_to_wait_for_is_no_wait() -> None:
    assert await CatchingUp().wait([], 3600) == 0


def test_an_object_that_went_between_the_two_lists_is_not_waited_for() -> None:
    async def main() -> None:
        catching_up = CatchingUp()
        waiting = asyncio.create_task(catching_up.wait([A, B], 60))
        await asyncio.sleep(1)
        catching_up.told(A)
        assert await waiting == 1
        assert asyncio.get_running_loop().time() == 1 + QUIET_SECONDS
        catching_up.told(B)

    run(main())


def test_a_watch_that_goes_on_telling_is_waited_for_as_long_as_said() -> None:
    async def main() -> None:
        catching_up = CatchingUp()
        waiting = asyncio.create_task(catching_up.wait([A, B], 60))
        while not waiting.done():
            await asyncio.sleep(1)
            catching_up.told(A)
        assert await waiting == 1
        assert asyncio.get_running_loop().time() == 60

    run(main())
