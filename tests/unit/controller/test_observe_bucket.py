"""Looking at a bucket in which others have meddled: what is too large or gone is said, and stops nothing else."""

import itertools
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.controller.observe_bucket import (
    LOST_SECONDS,
    FrozenCache,
    Memory,
    look_at_frozen,
    look_at_ledger,
    look_at_result,
    look_at_work,
)
from sdg_operator.engine.contract import LeafResult
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import Manifest, ManifestFile, RunIdentity, SampleCounts, SampleSettings, Tokens
from sdg_operator.storage.said import leaf_record
from sdg_operator.storage.store import ObjectInfo, StorageUnavailable
from tests.unit.controller.onebucket import OneBucket
from tests.unit.storage.test_ledger import DIGEST, inputs, leaf, record

LAYOUT = RunLayout("synthetic_data/0a1b2c3d-0000-4000-8000-000000000001")
LEAVES = ("a", "b", "c", "leaf")
HUGE = 65 * 1024
NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


def test_a_manifest_too_large_is_no_manifest(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(LAYOUT.manifest, b"")
    with (tmp_path / LAYOUT.manifest).open("wb") as file:
        file.truncate((64 << 20) + 1)
    look = look_at_result(store, LAYOUT, 1)
    assert look.found is not None
    assert look.found.manifest is None
    assert look.found.manifest_fault


class CountingStore(FolderStore):
    """Counts what it is asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: Counter[str] = Counter()

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        self.asked["read"] += 1
        return super().get_bytes(key, max_bytes)

    def head(self, key: str) -> ObjectInfo | None:
        self.asked["head"] += 1
        return super().head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.asked[f"list {prefix.removeprefix(LAYOUT.root)}"] += 1
        for path in sorted((self._root / prefix).rglob("*")):
            if path.is_file():
                yield ObjectInfo(path.relative_to(self._root).as_posix(), path.stat().st_size, "etag")


def manifest(sizes: dict[str, int]) -> bytes:
    return Manifest(
        run=RunIdentity(namespace="n", name="r", uid="u"),
        engine="e",
        settings=SampleSettings(model="m"),
        versions={},
        files=tuple(ManifestFile(path=path, size=size, sha256="0", lines=1) for path, size in sizes.items()),
        samples=SampleCounts(total=1),
        tokens=Tokens(),
        leaves=(),
    ).to_json()


@pytest.fixture
def mixed(tmp_path: Path) -> CountingStore:
    """The bucket of a large run whose mix has ended."""
    store = CountingStore(tmp_path)
    for number in range(300):
        store.put_bytes(LAYOUT.leaf_record(f"leaf{number}", 1, "pod"), b"{}")
        store.put_bytes(LAYOUT.file(f"artifacts/leaf{number}.jsonl"), b"{}\n")
    files = {f"artifacts/leaf{number}.jsonl": 3 for number in range(300)} | {"skills_train_msgs.jsonl": 3}
    store.put_bytes(LAYOUT.file("skills_train_msgs.jsonl"), b"{}\n")
    store.put_bytes(LAYOUT.manifest, manifest(files))
    return store


def test_the_files_of_a_large_manifest_cost_few_calls_and_its_records_none(mixed: CountingStore) -> None:
    look = look_at_result(mixed, LAYOUT, 300)
    assert look.found is not None
    assert look.found.manifest is not None
    assert look.found.manifest_fault is None
    assert mixed.asked == {"read": 1, "list /artifacts/": 1, "head": 1}


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("artifacts/leaf7.jsonl", None, "artifacts/leaf7.jsonl is named by the manifest and not in the bucket."),
        ("artifacts/leaf7.jsonl", b"", "artifacts/leaf7.jsonl has 0 bytes, and 3 by the manifest."),
        ("skills_train_msgs.jsonl", None, "skills_train_msgs.jsonl is named by the manifest and not in the bucket."),
        ("skills_train_msgs.jsonl", b"{}", "skills_train_msgs.jsonl has 2 bytes, and 3 by the manifest."),
    ],
)
def test_a_file_that_is_not_as_the_manifest_says_is_named(
    mixed: CountingStore, path: str, body: bytes | None, fault: str
) -> None:
    if body is None:
        mixed.delete(LAYOUT.file(path))
    else:
        mixed.put_bytes(LAYOUT.file(path), body)
    look = look_at_result(mixed, LAYOUT, 300)
    assert look.found is not None
    assert look.found.manifest_fault == fault


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
    monkeypatch.setattr("sdg_operator.controller.observe_bucket.time.monotonic", lambda: float(next(clock)))
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


def test_what_is_frozen_is_read_a_first_time_without_keeping_it_where_it_is_large(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    body = random.Random(1).randbytes(20 << 20)
    name = digest(body)
    store.put_bytes(LAYOUT.frozen(name), body)
    assert look_at_frozen(store, LAYOUT, name).found == body
    store.put_bytes(LAYOUT.frozen(name), bytes(40 << 20))
    tracemalloc.start()
    look = look_at_frozen(store, LAYOUT, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert look.problem is not None
    assert look.problem.reason is Reason.INPUTS_LOST
    assert peak < 16 << 20


@pytest.mark.parametrize("meddling", ["removed", "changed", "blown up"])
def test_frozen_content_that_was_meddled_with_is_lost(store: FolderStore, tmp_path: Path, meddling: str) -> None:
    name = digest(b"frozen")
    key = LAYOUT.frozen(name)
    store.put_bytes(key, b"frozen")
    assert look_at_frozen(store, LAYOUT, name).found == b"frozen"
    match meddling:
        case "removed":
            store.delete(key)
        case "changed":
            store.put_bytes(key, b"other")
        case _:
            with (tmp_path / key).open("wb") as file:
                file.truncate((64 << 20) + 1)
    look = FrozenCache().look_at_inputs(store, LAYOUT, name)
    assert look.problem is not None
    assert look.problem.reason is Reason.INPUTS_LOST
    assert key in look.problem.message


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


def test_inputs_are_read_once_while_their_leaves_are_few_enough(store: FolderStore) -> None:
    bodies = [inputs(*(leaf(f"{run}-{number}") for number in range(3))).to_json() for run in range(3)]
    names = [digest(body) for body in bodies]
    for name, body in zip(names, bodies, strict=True):
        store.put_bytes(LAYOUT.frozen(name), body)
    cache = FrozenCache(max_leaves=6)
    for name in names:
        assert cache.look_at_inputs(store, LAYOUT, name).found
    for name in names:
        store.delete(LAYOUT.frozen(name))
    kept = [cache.look_at_inputs(store, LAYOUT, name).found is not None for name in names]
    assert kept == [False, True, True]


def test_inputs_larger_than_the_bound_are_kept_until_others_come(store: FolderStore) -> None:
    body = inputs(*(leaf(str(number)) for number in range(9))).to_json()
    store.put_bytes(LAYOUT.frozen(digest(body)), body)
    cache = FrozenCache(max_leaves=6)
    cache.look_at_inputs(store, LAYOUT, digest(body))
    store.delete(LAYOUT.frozen(digest(body)))
    assert cache.look_at_inputs(store, LAYOUT, digest(body)).found
