"""A listing that skips what is there: what is found by its name counts, and little is looked for in vain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.controller.observe_frozen import FrozenCache, look_at_frozen_plan
from sdg_operator.controller.observe_ledger import Memory, look_at_ledger
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.storage import leaf_data
from sdg_operator.storage.fetch import fetch
from sdg_operator.storage.ledger import Standing, standing
from sdg_operator.storage.records import RunInputs, ShardProgress
from sdg_operator.storage.store import ObjectInfo, Store
from tests.integration.storage.ledgers import LAYOUT, record_leaf, start_run


class LateListing:
    """A store whose listing does not show some of what it has; counts what is asked for by name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hidden: set[str] = set()
        self.looks = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (info for info in self._store.list(prefix) if info.key not in self.hidden)

    def head(self, key: str) -> ObjectInfo | None:
        self.looks += 1
        return self._store.head(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def late(store: Store) -> LateListing:
    return LateListing(store)


def decide(store: Any, inputs: RunInputs, memory: Memory, attempt: int = 1, *, deciding: bool = True) -> Standing:
    look = look_at_ledger(store, LAYOUT, memory, attempt, {leaf.id for leaf in inputs.leaves}, deciding=deciding)
    assert look.found is not None
    return standing(inputs, look.found.records)


def worked(store: Store, pod: str, leaves_done: int, shard: int = 0) -> None:
    """Write the progress of a pod, as sync does."""
    progress = ShardProgress(attempt=1, shard=shard, pod=pod, phase="generating", leaves_done=leaves_done)
    store.put_bytes(LAYOUT.progress(1, shard), progress.to_json())


def test_a_record_that_was_seen_counts_until_a_look_does_not_find_it(store: Store, late: LateListing) -> None:
    inputs, memory = start_run(store, "a", "b"), Memory()
    for leaf in ("a", "b"):
        record_leaf(store, leaf, 1)
    assert decide(late, inputs, memory).complete
    record = LAYOUT.leaf_record("a", 1, "pod")
    late.hidden = {record}
    assert decide(late, inputs, memory, deciding=False).complete
    assert late.looks == 0
    assert decide(late, inputs, memory).complete
    store.delete(record)
    assert [leaf.id for leaf in decide(late, inputs, memory).missing] == ["a"]


def test_a_record_that_no_listing_ever_showed_is_found_before_its_leaf_is_made_again(
    store: Store, late: LateListing
) -> None:
    inputs, memory = start_run(store, "a", "b", "c", shards=2), Memory()
    for leaf in ("a", "b", "c"):
        record_leaf(store, leaf, 1, "pod-x")
        late.hidden.add(LAYOUT.leaf_record(leaf, 1, "pod-x"))
    assert decide(late, inputs, memory).done == 0, "nobody knows of a pod"
    worked(store, "pod-x", 2, shard=0)
    worked(store, "pod-x", 0, shard=1)
    assert decide(late, inputs, memory, deciding=False).done == 0
    assert decide(late, inputs, memory).done == 2, "of the shard whose pod has finished something"
    assert memory.sought == {LAYOUT.leaf_record(leaf, 1, "pod-x") for leaf in ("a", "c")}


def test_samples_that_a_listing_skips_are_there(store: Store, late: LateListing) -> None:
    inputs = start_run(store, "a", "b")
    late.hidden = {record_leaf(store, "a", 1)}
    record_leaf(store, "b", 1)
    assert decide(late, inputs, Memory()).complete
    assert late.looks == 1


def test_what_a_listing_lacks_is_looked_for_a_bounded_number_of_times(
    store: Store, late: LateListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaf_data, "MAX_LOOKS", 3)
    names = [f"leaf{number}" for number in range(6)]
    inputs = start_run(store, *names)
    for name in names:
        store.delete(record_leaf(store, name, 1))
    worked(store, "pod", 6)
    assert len(decide(late, inputs, Memory()).missing) == 6
    assert late.looks == 3


def test_a_pod_takes_over_what_the_one_before_it_recorded_though_no_listing_shows_it(
    store: Store, late: LateListing, tmp_path: Path
) -> None:
    start_run(store, "a", "b")
    record_leaf(store, "a", 1, "first")
    worked(store, "first", 1)
    late.hidden = {LAYOUT.leaf_record("a", 1, "first")}
    assert fetch(late, LAYOUT, tmp_path, attempt=1, shard=0) == 1
    assert [path.name for path in (tmp_path / "in/leaves").iterdir()] == ["b"]


DEEP = b'{"formatVersion": 1, "leaf": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@pytest.mark.parametrize(
    "body", [b"\xff", b"[]", DEEP, b'{"formatVersion": 2}', b" " * 2**20], ids=["text", "list", "deep", "new", "large"]
)
def test_what_is_no_record_counts_as_absent_and_is_read_once(store: Store, late: LateListing, body: bytes) -> None:
    inputs, memory = start_run(store, "a"), Memory()
    store.put_bytes(LAYOUT.leaf_record("a", 1, "pod"), body)
    assert not decide(late, inputs, memory).complete
    assert list(memory.faulty) == [LAYOUT.leaf_record("a", 1, "pod")]


def test_what_a_newer_version_froze_is_named_and_waits(store: Store) -> None:
    body = b'{"formatVersion": 2}'
    store.put_bytes(LAYOUT.frozen(digest(body)), body)
    for look in (
        FrozenCache().look_at_inputs(store, LAYOUT, digest(body)),
        look_at_frozen_plan(store, LAYOUT, digest(body)),
    ):
        assert look.problem is not None
        assert (look.problem.reason, look.problem.final) == (Reason.STORAGE_REFUSED, False)
        assert "format version" in look.problem.message
