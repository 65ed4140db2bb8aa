"""Looking at the records of a run in a bucket in which others have meddled: what is no record stops nothing else."""

import itertools
from functools import partial
from pathlib import Path

import pytest

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.controller.observe_ledger import LOST_SECONDS, Memory, look_at_ledger, look_at_work
from sdg_operator.engine.contract import LeafResult
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.said import leaf_record
from sdg_operator.storage.store import StorageUnavailable
from tests.unit.controller.onebucket import LAYOUT, CountingStore, OneBucket
from tests.unit.storage.test_ledger import DIGEST, leaf, record

LEAVES = ("a", "b", "c", "leaf")
HUGE = 65 * 1024


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_objects_too_large_for_a_record_or_progress_count_as_absent(store: FolderStore) -> None:
    store.put_bytes(LAYOUT.leaf_record("leaf", 1, "pod"), b" " * HUGE)
    store.put_bytes(LAYOUT.progress(1, 0), b" " * HUGE)
    look = look_at_ledger(store, LAYOUT, Memory(), 1, LEAVES, deciding=True)
    assert look.problem is None
    assert look.found is not None
    assert (look.found.records, look.found.progress) == ((), ())


def test_what_is_no_record_is_read_once_until_it_changes(tmp_path: Path) -> None:
    store, memory = CountingStore(tmp_path), Memory()
    key = LAYOUT.leaf_record("leaf", 1, "pod")
    store.put_bytes(key, b"no record")
    for _ in range(3):
        look_at_ledger(store, LAYOUT, memory, 1, LEAVES, deciding=False)
    assert store.asked["read"] == 1
    memory.faulty[key] = "another etag"
    store.put_bytes(key, record("leaf").to_json())
    assert look_at_ledger(store, LAYOUT, memory, 1, LEAVES, deciding=False).found is not None
    assert list(memory.records) == [key]


def many_records(store: FolderStore, count: int) -> set[str]:
    names = {f"leaf{number}" for number in range(count)}
    for name in names:
        store.put_bytes(LAYOUT.leaf_record(name, 1, "pod"), record(name).to_json())
    return names


async def look_at_all(stores: OneBucket[CountingStore], memory: Memory, leaves: set[str]) -> Look[Ledger]:
    look = partial(look_at_ledger, layout=LAYOUT, memory=memory, attempt=1, leaves=leaves, deciding=False)
    return await look_at_work(stores, SecretRef("n", "sdg-storage"), memory, look, "The folder")


async def test_many_new_records_are_read_several_at_a_time(tmp_path: Path) -> None:
    stores, memory = OneBucket(CountingStore(tmp_path)), Memory()
    leaves = many_records(stores.store, 300)
    look = await look_at_all(stores, memory, leaves)
    assert look.problem is None
    assert {record.leaf for record in memory.records.values()} == leaves
    assert 1 < stores.most_at_work < 4, "others of the namespace have a place meanwhile"


async def test_records_of_a_distant_store_are_read_over_several_looks_and_are_no_trouble_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, memory = OneBucket(CountingStore(tmp_path)), Memory()
    leaves = many_records(stores.store, 80)
    clock = itertools.count(step=11)
    monkeypatch.setattr("sdg_operator.controller.observe_ledger.time.monotonic", lambda: float(next(clock)))
    looks = [await look_at_all(stores, memory, leaves)]
    while looks[-1].problem and len(looks) < 80:
        looks.append(await look_at_all(stores, memory, leaves))
    reasons = {look.problem.reason for look in looks if look.problem}
    assert reasons == {Reason.FETCHING}
    assert looks[0].problem is not None
    assert "of 80" in looks[0].problem.message
    assert len(memory.records) == 80


class Failing(CountingStore):
    """A store that reads so many objects and no more."""

    def __init__(self, root: Path, reads: int) -> None:
        super().__init__(root)
        self.left = reads

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise StorageUnavailable("Unreachable", "no answer")
        return super().get_bytes(key, max_bytes)


@pytest.mark.parametrize(("reads", "reason"), [(0, Reason.STORAGE_UNAVAILABLE), (20, Reason.FETCHING)])
async def test_a_store_that_falls_silent_is_in_trouble_where_nothing_new_was_read(
    tmp_path: Path, reads: int, reason: Reason
) -> None:
    stores, memory = OneBucket[CountingStore](Failing(tmp_path, reads)), Memory()
    look = await look_at_all(stores, memory, many_records(stores.store, 300))
    assert look.problem is not None
    assert look.problem.reason is reason


async def test_only_records_of_the_runs_leaves_are_read_and_no_more_than_a_run_has(tmp_path: Path) -> None:
    stores, memory = OneBucket(CountingStore(tmp_path)), Memory()
    names = [LAYOUT.leaf_record("b", number, "pod") for number in range(300)]
    for key in names:
        stores.store.put_bytes(key, b"no record")
    for number in range(20):
        stores.store.put_bytes(LAYOUT.leaf_record("a", number, "pod"), record("a", number).to_json())
        stores.store.put_bytes(LAYOUT.leaf_record(f"unknown{number}", 1, "pod"), record("unknown").to_json())
    assert (await look_at_all(stores, memory, {"a", "b"})).problem is None
    assert [record.leaf for record in memory.records.values()] == ["a"] * 20
    assert 0 < len(memory.faulty) < 100
    for key in names:
        stores.store.delete(key)
    await look_at_all(stores, memory, {"a", "b"})
    assert memory.faulty == {}


@pytest.mark.parametrize("field", ["pod", "reason", "message"])
def test_a_record_with_a_text_longer_than_any_that_is_written_is_none(store: FolderStore, field: str) -> None:
    whole = record("a").model_copy(update={field: "x" * 3000})
    store.put_bytes(LAYOUT.leaf_record("a", 1, "pod"), whole.to_json())
    look = look_at_ledger(store, LAYOUT, Memory(), 1, LEAVES, deciding=True)
    assert look.found is not None
    assert look.found.records == ()


def test_the_longest_record_that_is_written_is_read(store: FolderStore) -> None:
    said = LeafResult(leaf="a", input_digest=DIGEST, outcome="failed", reason="r" * 900, message='"\U0001f426' * 9000)
    longest = leaf_record(leaf("a"), said, None, 1, "p" * 253)
    store.put_bytes(LAYOUT.leaf_record("a", 1, "pod"), longest.to_json())
    look = look_at_ledger(store, LAYOUT, Memory(), 1, LEAVES, deciding=True)
    assert look.found is not None
    assert look.found.records == (longest,)


def test_what_is_lost_is_waited_for_but_not_for_ever() -> None:
    lost = Problem(Reason.INPUTS_LOST, "x is gone from the bucket.")
    away = Problem(Reason.STORAGE_UNAVAILABLE, "no answer")
    memory = Memory()
    seen = [(100.0, lost), (100.0 + LOST_SECONDS - 1, lost), (100.0 + LOST_SECONDS, lost)]
    assert [judged.final for at, what in seen if (judged := memory.judge(what, at))] == [False, False, True]
    assert memory.judge(away, 2000.0) == away
    assert memory.judge(None, 2001.0) is None
    again = memory.judge(lost, 2002.0)
    assert again is not None
    assert not again.final, "it was put back, and is lost anew"
