"""The workers in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sdg_operator.clients.errors import Conflict, Unavailable
from sdg_operator.controller.metrics import Metrics
from sdg_operator.controller.queue import WorkQueue
from sdg_operator.controller.reconciler import Again, Key, Unreadable
from sdg_operator.controller.workers import PASS_SECONDS, Workers
from tests.unit.controller.virtual import run

X = Key("DataGeneration", "a", "x")
Y = Key("DataGeneration", "b", "y")


class Scripted:
    """A reconciler that does what the test says and notes when it was asked."""

    def __init__(self, do: Callable[[Key, int], Awaitable[Again | None]]) -> None:
        self._do = do
        self.passes: list[tuple[str, float]] = []

    async def reconcile(self, key: Key) -> Again | None:
        self.passes.append((key.name, asyncio.get_running_loop().time()))
        return await self._do(key, sum(name == key.name for name, _ in self.passes))


def at_work(reconciler: Scripted, count: int = 2) -> tuple[WorkQueue, Workers, Metrics]:
    queue, metrics = WorkQueue(workers=12), Metrics()
    workers = Workers(queue, {"DataGeneration": reconciler}, metrics, count)
    workers.start()
    return queue, workers, metrics


def passes(metrics: Metrics, result: str) -> float:
    labels = {"kind": "DataGeneration", "result": result}
    return metrics.registry.get_sample_value("sdg_operator_reconcile_seconds_count", labels) or 0.0


def test_a_defect_in_one_pass_stops_no_other_and_is_tried_again() -> None:
    async def do(key: Key, number: int) -> Again | None:
        if key == X and number <= 2:
            raise ZeroDivisionError
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, metrics = at_work(reconciler, count=1)
        queue.mark(X)
        queue.mark(Y)
        await asyncio.sleep(10)
        await workers.stop()
        assert reconciler.passes == [("x", 0), ("y", 0), ("x", 0.5), ("x", 1.5)]
        assert (passes(metrics, "error"), passes(metrics, "ok")) == (2, 2)

    run(main())


def test_a_resource_of_another_version_is_said_and_tried_again_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def do(key: Key, number: int) -> Again | None:
        raise Unreadable("spec.taxonomyRef: no such thing")

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, metrics = at_work(reconciler, count=1)
        queue.mark(X)
        await asyncio.sleep(1)
        await workers.stop()
        assert [when for _, when in reconciler.passes] == [0, 0.5]
        assert passes(metrics, "error") == 2

    run(main())
    assert str(X) in caplog.text
    assert "spec.taxonomyRef: no such thing" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_write_that_someone_else_overtook_is_looked_at_again_without_a_growing_pause() -> None:
    async def do(key: Key, number: int) -> Again | None:
        if number <= 3:
            raise Conflict("the object has been modified")
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, _ = at_work(reconciler)
        queue.mark(X)
        await asyncio.sleep(10)
        await workers.stop()
        assert [round(when, 3) for _, when in reconciler.passes] == [0, 0.1, 0.2, 0.3]

    run(main())


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    async def do(key: Key, number: int) -> Again | None:
        if number == 1:
            raise Unavailable("too many requests", retry_after=8)
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, metrics = at_work(reconciler)
        queue.mark(X)
        await asyncio.sleep(10)
        await workers.stop()
        assert [when for _, when in reconciler.passes] == [0, 8]
        assert passes(metrics, "retry") == 1

    run(main())


def test_a_pass_that_never_ends_is_cut_off_and_repeated() -> None:
    async def do(key: Key, number: int) -> Again | None:
        if number == 1:
            await asyncio.sleep(10_000)
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, _ = at_work(reconciler, count=1)
        queue.mark(X)
        await asyncio.sleep(PASS_SECONDS + 10)
        assert [when for _, when in reconciler.passes] == [0, PASS_SECONDS + 0.5]
        assert workers.fault() is None
        await workers.stop()

    run(main())


def test_stopping_lets_a_pass_end_but_takes_no_more_and_does_not_wait_for_ever() -> None:
    async def do(key: Key, number: int) -> Again | None:
        await asyncio.sleep(5 if key == X else 10_000)
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue, workers, metrics = at_work(reconciler)
        queue.mark(X)
        queue.mark(Y)
        await asyncio.sleep(1)
        queue.mark(X)
        await workers.stop()
        assert asyncio.get_running_loop().time() == 21
        assert [name for name, _ in reconciler.passes] == ["x", "y"]
        assert passes(metrics, "ok") == 1

    run(main())


def test_ten_thousand_slow_passes_of_some_namespaces_do_not_delay_a_new_run_of_another() -> None:
    async def do(key: Key, number: int) -> Again | None:
        await asyncio.sleep(0.05 if key.namespace == "quiet" else 10)
        return Again(0) if key.namespace == "quiet" and number < 4 else None

    async def main() -> None:
        reconciler = Scripted(do)
        queue = WorkQueue(workers=64)
        workers = Workers(queue, {"DataGeneration": reconciler}, Metrics(), 64)
        workers.start()
        for number in range(10_000):
            queue.mark(Key("DataGeneration", f"crowd-{number % 3}", str(number)))
        await asyncio.sleep(15)
        queue.mark(Key("DataGeneration", "quiet", "new"))
        await asyncio.sleep(2)
        assert [when for name, when in reconciler.passes if name == "new"] == pytest.approx([15, 15.05, 15.1, 15.15])
        await workers.stop()

    run(main())


def test_workers_that_take_nothing_for_minutes_are_a_fault() -> None:
    async def do(key: Key, number: int) -> Again | None:
        return None

    async def main() -> None:
        reconciler = Scripted(do)
        queue = WorkQueue(workers=0)  # nothing may be taken: the workers are stuck
        workers = Workers(queue, {"DataGeneration": reconciler}, Metrics(), 1)
        workers.start()
        queue.mark(X)
        await asyncio.sleep(300)
        assert workers.fault() is None
        await asyncio.sleep(100)
        assert "none was taken" in str(workers.fault())
        await workers.stop()
        assert "has ended" in str(workers.fault())

    run(main())
