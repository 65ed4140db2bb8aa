"""Samples that somebody removes from the bucket after their leaf was recorded: the leaf is made again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdg_operator.controller.observe_ledger import Memory, look_at_ledger
from sdg_operator.storage.fetch import fetch
from sdg_operator.storage.ledger import Standing, plan_attempt, plan_mix, standing
from sdg_operator.storage.records import FileRef, LeafRecord, RunInputs
from sdg_operator.storage.store import ObjectInfo, Store
from tests.integration.storage.ledgers import DIGEST, LAYOUT, record_leaf, start_run


def decide(store: Store, inputs: RunInputs, memory: Memory, attempt: int, *, deciding: bool = True) -> Standing:
    look = look_at_ledger(store, LAYOUT, memory, attempt, {leaf.id for leaf in inputs.leaves}, deciding=deciding)
    assert look.found is not None
    return standing(inputs, look.found.records)


def test_a_leaf_whose_samples_were_removed_is_missing_until_another_attempt_has_made_it(
    store: Store, tmp_path: Path
) -> None:
    inputs = start_run(store, "a", "b")
    lost = record_leaf(store, "a", 1)
    record_leaf(store, "b", 1)
    memory = Memory()
    assert decide(store, inputs, memory, 1).complete
    store.delete(lost)

    now = decide(store, inputs, memory, 1)
    assert [leaf.id for leaf in now.missing] == ["a"]
    store.put_bytes(LAYOUT.attempt_plan(2), plan_attempt(2, now.missing, 1).to_json())
    assert fetch(store, LAYOUT, tmp_path, attempt=2, shard=0) == 1
    assert [path.name for path in (tmp_path / "in/leaves").iterdir()] == ["a"]
    # While the attempt is at work nobody looks again, and the leaf stays missing.
    assert [leaf.id for leaf in decide(store, inputs, memory, 2, deciding=False).missing] == ["a"]

    made = record_leaf(store, "a", 2)
    now = decide(store, inputs, memory, 2)
    assert now.complete
    assert [source.data.key for source in plan_mix(inputs, now).sources] == [made, LAYOUT.samples("b", 1, "pod")]


def test_an_operator_that_starts_while_the_next_attempt_is_at_work_sees_what_is_gone(store: Store) -> None:
    inputs = start_run(store, "a")
    store.delete(record_leaf(store, "a", 1))
    assert not decide(store, inputs, Memory(), 2, deciding=False).complete


def test_samples_of_another_size_do_not_count_and_the_lowest_attempt_that_is_whole_is_chosen(store: Store) -> None:
    inputs = start_run(store, "a")
    store.put_bytes(record_leaf(store, "a", 1), b"{")
    whole = record_leaf(store, "a", 2)
    record_leaf(store, "a", 3)
    [source] = plan_mix(inputs, decide(store, inputs, Memory(), 3)).sources
    assert source.data.key == whole


class Counting:
    """A store that counts what it lists and looks at."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.listed: list[str] = []
        self.looked_at = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.listed.append(prefix)
        return self._store.list(prefix)

    def head(self, key: str) -> ObjectInfo | None:
        self.looked_at += 1
        return self._store.head(key)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_it_costs_one_listing_for_each_pod_whatever_the_number_of_leaves(store: Store) -> None:
    names = [f"leaf{n}" for n in range(20)]
    inputs = start_run(store, *names)
    for n, name in enumerate(names):
        record_leaf(store, name, 1, f"pod{n % 2}")
    counting, memory = Counting(store), Memory()
    assert decide(counting, inputs, memory, 1).complete  # type: ignore[arg-type]
    samples = [prefix for prefix in counting.listed if prefix.endswith("/samples/")]
    assert samples == [f"{LAYOUT.pods}1-pod{n}/samples/" for n in (0, 1)]
    assert counting.looked_at == 0
    decide(counting, inputs, memory, 1, deciding=False)  # type: ignore[arg-type]
    assert len([prefix for prefix in counting.listed if prefix.endswith("/samples/")]) == len(samples)


@pytest.mark.parametrize("key", ["a", "synthetic_data/uid/manifest.json", "synthetic_data/uid/.run/1-pod/a.jsonl"])
def test_a_record_that_names_no_pods_samples_does_not_count_and_lists_nothing(store: Store, key: str) -> None:
    inputs = start_run(store, "a")
    store.put_bytes(key, b"{}\n")
    forged = LeafRecord(
        leaf="a", input_digest=DIGEST, attempt=1, pod="pod", outcome="done", samples=1,
        data=FileRef(key=key, size=3, sha256="0", lines=1),
    )  # fmt: skip
    store.put_bytes(LAYOUT.leaf_record("a", 1, "pod"), forged.to_json())
    counting = Counting(store)
    assert not decide(counting, inputs, Memory(), 1).complete  # type: ignore[arg-type]
    assert {prefix.removeprefix(LAYOUT.pods) for prefix in counting.listed} == {"leaves/", "progress/1-"}
