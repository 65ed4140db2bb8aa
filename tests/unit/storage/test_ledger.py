"""What the records mean."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_operator.storage.ledger import plan_attempt, plan_mix, standing, total
from sdg_operator.storage.records import (
    FileRef,
    LeafInput,
    LeafRecord,
    MergeFile,
    MixPlan,
    RunIdentity,
    RunInputs,
    SampleSettings,
    ShardProgress,
    Tokens,
)

DIGEST = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64


def leaf(name: str, expected: int = 10) -> LeafInput:
    return LeafInput(id=name, path=name, kind="freeform", input_digest=DIGEST, expected_samples=expected)


def inputs(*leaves: LeafInput) -> RunInputs:
    return RunInputs(
        run=RunIdentity(namespace="n", name="r", uid="u"),
        engine="e",
        settings=SampleSettings(model="m"),
        leaves=leaves,
    )


def record(
    name: str,
    attempt: int = 1,
    pod: str = "p",
    *,
    outcome: Literal["done", "failed"] = "done",
    digest: str = DIGEST,
    samples: int = 10,
) -> LeafRecord:
    data = FileRef(key=f"{attempt}-{pod}/{name}", size=1, sha256="0", lines=samples) if outcome == "done" else None
    return LeafRecord(
        leaf=name,
        input_digest=digest,
        attempt=attempt,
        pod=pod,
        outcome=outcome,
        samples=samples if data else 0,
        tokens=Tokens(prompt=1, completion=2),
        data=data,
        reason=None if data else "LowYield",
        message=None if data else "no sample",
    )


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ([record("a", 2), record("a", 1)], (1, "done")),
        ([record("a", 1, outcome="failed"), record("a", 2)], (2, "done")),
        ([record("a", 1, "q"), record("a", 1, "p")], (1, "done")),
        ([record("a", 1, digest=OTHER), record("a", 3)], (3, "done")),
        ([record("a", 1, outcome="failed")], (1, "failed")),
        ([record("a", 1, digest=OTHER)], None),
        ([record("unknown")], None),
        ([], None),
    ],
    ids=[
        "lowest attempt",
        "done beats failed",
        "pod's name",
        "other inputs",
        "failed",
        "only others",
        "unknown",
        "none",
    ],
)
def test_one_record_is_chosen_for_a_leaf(records: list[LeafRecord], chosen: tuple[int, str] | None) -> None:
    now = standing(inputs(leaf("a")), records)
    found = now.chosen.get("a")
    assert (found and (found.attempt, found.outcome)) == chosen
    assert [x.id for x in now.missing] == ([] if chosen else ["a"])
    assert [x.id for x in now.failed] == (["a"] if chosen and chosen[1] == "failed" else [])


@given(st.permutations([record("a", n, pod) for n in (1, 2) for pod in ("p", "q")] + [record("b", outcome="failed")]))
def test_the_choice_does_not_depend_on_the_order_of_listing(records: list[LeafRecord]) -> None:
    now = standing(inputs(leaf("a"), leaf("b")), records)
    assert (now.chosen["a"].attempt, now.chosen["a"].pod) == (1, "p")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 12))
def test_every_missing_leaf_is_dealt_to_exactly_one_shard_and_loads_are_balanced(sizes: list[int], shards: int) -> None:
    missing = [leaf(f"l{n}", size) for n, size in enumerate(sizes)]
    plan = plan_attempt(3, missing, shards)
    dealt = [name for shard in plan.shards for name in shard]
    assert sorted(dealt) == sorted(x.id for x in missing)
    assert len(plan.shards) == min(shards, len(sizes))
    weight = {x.id: max(1, x.expected_samples) for x in missing}
    loads = [sum(weight[name] for name in shard) for shard in plan.shards]
    # Greedy dealing: no shard is ahead of the least loaded one by more than its last, smallest leaf.
    assert max(loads) - min(loads) <= max(weight.values())


def test_the_mix_plan_names_what_is_done_failed_and_missing() -> None:
    run = inputs(leaf("a"), leaf("b"), leaf("c"))
    plan = plan_mix(run, standing(run, [record("a"), record("b", outcome="failed")]))
    assert [(s.leaf, s.samples, s.data.key) for s in plan.sources] == [("a", 10, "1-p/a")]
    assert [(f.leaf, f.reason) for f in plan.failed] == [("b", "LowYield")]
    assert plan.missing == ("c",)


def test_what_is_merged_from_two_places_is_mixed_once() -> None:
    """A merged run may have taken leaves over from this one, or two of them from a third."""
    run = inputs(leaf("a"), leaf("b"))
    own = plan_mix(run, standing(run, [record("a"), record("b")]))
    (a, b) = own.sources
    other = b.model_copy(update={"data": b.data.model_copy(update={"key": "x/b"}), "origin": "x"})
    files = (MergeFile(key="f", kind="skills"), MergeFile(key="f", kind="knowledge"), MergeFile(key="f", kind="skills"))
    merged = MixPlan(sources=(other, a.model_copy(update={"origin": "x"}), other), files=files)
    plan = plan_mix(run, standing(run, [record("a"), record("b")]), merged)
    assert plan.sources == (a, b, other)
    assert plan.files == files[:2]


def test_totals_count_a_leaf_once_whether_the_ledger_or_its_shard_tells_of_it() -> None:
    run = inputs(leaf("a"), leaf("b"), leaf("c"))
    shard = ShardProgress(
        attempt=2, shard=0, pod="q", phase="generating", leaf="c", leaf_samples=4, leaf_expected=10,
        samples=14, expected=20, leaves_done=1, leaves_total=2, tokens=Tokens(completion=7), seconds_left=9, sequence=5,
    )  # fmt: skip
    before = total(run, standing(run, [record("a", 1, "p")]), [shard])
    after = total(run, standing(run, [record("a", 1, "p"), record("b", 2, "q")]), [shard])
    for now in (before, after):
        assert (now.samples, now.expected, now.leaves_done, now.leaves_total) == (24, 30, 2, 3)
        assert (now.leaf, now.leaf_samples, now.seconds_left, now.tokens.completion) == ("c", 4, 9, 9)
    assert after.signal > before.signal


def test_a_shard_that_was_killed_before_it_told_of_its_last_record_has_made_that_leaf() -> None:
    run = inputs(leaf("a"), leaf("b"))
    shard = ShardProgress(
        attempt=1, shard=0, pod="p", phase="generating", samples=14, expected=20, leaves_done=1, leaves_total=2,
        tokens=Tokens(prompt=9, completion=3),
    )  # fmt: skip
    now = total(run, standing(run, [record("a"), record("b")]), [shard])
    assert (now.samples, now.leaves_done) == (20, 2)
    assert (now.tokens.prompt, now.tokens.completion) == (9, 4)


def test_what_is_expected_follows_results_and_what_engines_have_counted() -> None:
    run = inputs(leaf("a", 10), leaf("b", 10), leaf("c", 10), leaf("d", 10))
    # Half of a was kept, before. This shard makes b and c, and has counted chunks that give 40. Nobody has begun d.
    shard = ShardProgress(
        attempt=2, shard=0, pod="q", phase="generating", samples=12, expected=40, estimated=20, leaves_total=2
    )  # fmt: skip
    silent = ShardProgress(attempt=2, shard=1, pod="r", phase="starting", estimated=10, leaves_total=1)
    now = total(run, standing(run, [record("a", 1, "p", samples=5)]), [shard, silent])
    assert (now.samples, now.expected) == (17, 5 + 40 + 10)
