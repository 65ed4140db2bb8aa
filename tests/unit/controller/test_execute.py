"""Writing many objects: several at a time, over as many passes as a distant store needs."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.controller.execute import Executor, Stopped
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.plan import Action, PutObject, PutObjects
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.store import StorageUnavailable
from tests.unit.controller.onebucket import OneBucket

OWNER = Owner("DataGeneration", "team-a", "birds-1", "uid")
OBJECTS = PutObjects(tuple(PutObject(f"{number}.json", b"%d" % number) for number in range(1000)))
NO_API: Any = None
"""Objects are no matter of the API server."""


class Counting(FolderStore):
    """Counts what is written; may fall silent."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: Counter[str] = Counter()
        self.away_after: int | None = None

    def put_bytes(self, key: str, body: bytes) -> None:
        if self.away_after is not None and self.written.total() >= self.away_after:
            raise StorageUnavailable("Unreachable", "no answer")
        super().put_bytes(key, body)
        self.written[key] += 1


@pytest.fixture
def stores(tmp_path: Path) -> OneBucket[Counting]:
    return OneBucket(Counting(tmp_path))


async def passes(executor: Executor, secret: str = "sdg-storage") -> list[Stopped]:
    """Repeat the plan as passes do; what stopped it."""
    stopped: list[Stopped] = []
    while len(stopped) < 100:
        try:
            await executor.execute(OWNER, secret, [OBJECTS, PutObject("after", b"")])
        except Stopped as why:
            stopped.append(why)
        else:
            break
    return stopped


async def test_others_of_the_namespace_have_a_place_meanwhile(stores: OneBucket[Counting]) -> None:
    assert await passes(Executor(NO_API, stores)) == []
    assert stores.store.written == Counter({f"{number}.json": 1 for number in range(1000)} | {"after": 1})
    assert 1 < stores.most_at_work < 4


async def test_what_a_pass_has_no_time_for_is_written_by_the_next(
    stores: OneBucket[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=4)
    monkeypatch.setattr("sdg_operator.controller.execute.time.monotonic", lambda: float(next(clock)))
    stopped = await passes(Executor(NO_API, stores))
    assert {why.problem.reason for why in stopped} == {Reason.FETCHING}
    assert "of 1000 records are written" in stopped[0].problem.message
    assert set(stores.store.written.values()) == {1}
    assert stores.store.written.total() == 1001


async def test_what_was_written_before_the_store_fell_silent_is_not_written_again(stores: OneBucket[Counting]) -> None:
    executor = Executor(NO_API, stores)
    stores.store.away_after = 400
    with pytest.raises(Stopped) as silent:
        await executor.execute(OWNER, "sdg-storage", [OBJECTS])
    assert silent.value.problem.reason is Reason.STORAGE_UNAVAILABLE
    stores.store.away_after = None
    assert await passes(executor) == []
    assert set(stores.store.written.values()) == {1}


async def test_what_was_written_counts_for_its_bucket_and_its_plan_alone(stores: OneBucket[Counting]) -> None:
    executor = Executor(NO_API, stores)
    stores.store.away_after = 400
    with pytest.raises(Stopped):
        await executor.execute(OWNER, "another", [OBJECTS])
    stores.store.away_after = None
    await passes(executor)
    await passes(executor)
    assert min(stores.store.written[each.key] for each in OBJECTS.objects) == 2


async def test_a_single_object_is_written_in_each_pass_of_its_plan(stores: OneBucket[Counting]) -> None:
    executor = Executor(NO_API, stores)
    plan: list[Action] = [PutObject("plan", b"{}"), OBJECTS]
    stores.store.away_after = 400
    with pytest.raises(Stopped):
        await executor.execute(OWNER, "sdg-storage", plan)
    stores.store.away_after = None
    await executor.execute(OWNER, "sdg-storage", plan)
    assert stores.store.written["plan"] == 2
