"""What the records in the bucket mean: what is done, what is missing, what to mix. Pure: records in, records out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sdg_operator.storage.records import (
    AttemptPlan,
    FailedLeaf,
    LeafInput,
    LeafRecord,
    MixPlan,
    MixSource,
    RunInputs,
    ShardProgress,
    Tokens,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The chosen record of each leaf of a run; a leaf without one is still to be made."""

    chosen: Mapping[str, LeafRecord]
    """Leaf id → record."""
    missing: tuple[LeafInput, ...]
    failed: tuple[LeafInput, ...]
    """Leaves that cannot be made, by their own fault."""

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def done(self) -> int:
        """How many leaves have samples."""
        return len(self.chosen) - len(self.failed)


def with_data(records: Iterable[LeafRecord], absent: Collection[str]) -> tuple[LeafRecord, ...]:
    """Leave out records whose samples are absent: their leaves count as missing, unless another attempt made them."""
    return tuple(record for record in records if record.data is None or record.data.key not in absent)


def standing(inputs: RunInputs, records: Iterable[LeafRecord]) -> Standing:
    """Choose one record for each leaf of the inputs.

    Records with another input digest are of other inputs and do not count. Done beats failed, then the lowest attempt
    wins, then the pod's name: whoever reads the same records chooses the same, whatever is added later by a pod that
    was overtaken only makes more of the equal.
    """
    wanted = {leaf.id: leaf for leaf in inputs.leaves}
    chosen: dict[str, LeafRecord] = {}
    for record in records:
        leaf = wanted.get(record.leaf)
        if leaf is None or record.input_digest != leaf.input_digest:
            continue
        if record.outcome == "done" and record.data is None:
            continue
        best = chosen.get(record.leaf)
        if best is None or _rank(record) < _rank(best):
            chosen[record.leaf] = record
    return Standing(
        chosen=chosen,
        missing=tuple(leaf for leaf in inputs.leaves if leaf.id not in chosen),
        failed=tuple(leaf for leaf in inputs.leaves if leaf.id in chosen and chosen[leaf.id].outcome == "failed"),
    )


def _rank(record: LeafRecord) -> tuple[bool, int, str]:
    return (record.outcome != "done", record.attempt, record.pod)


def plan_attempt(attempt: int, missing: Sequence[LeafInput], shards: int, done: int = 0) -> AttemptPlan:
    """Deal the missing leaves out to at most `shards` shards, the largest first to the least loaded.

    Greedy by expected samples is within 4/3 of the best split (Graham 1969). No shard is empty.
    """
    count = max(1, min(shards, len(missing)))
    loads = [0] * count
    dealt: list[list[LeafInput]] = [[] for _ in range(count)]
    for leaf in sorted(missing, key=lambda leaf: (-leaf.expected_samples, leaf.id)):
        index = min(range(count), key=lambda i: (loads[i], i))
        loads[index] += max(1, leaf.expected_samples)
        dealt[index].append(leaf)
    return AttemptPlan(
        attempt=attempt,
        shards=tuple(tuple(leaf.id for leaf in sorted(shard, key=lambda x: x.id)) for shard in dealt),
        done=done,
    )


def plan_mix(inputs: RunInputs, now: Standing, merged: MixPlan | None = None) -> MixPlan:
    """Freeze what to mix: the chosen samples of this run, then those of merged runs, then whole train files.

    Each once: a merged run may have taken leaves over from this one, or from another merged run.
    """
    added = merged or MixPlan(sources=())
    by_id = {leaf.id: leaf for leaf in inputs.leaves}
    own = [
        MixSource(
            leaf=leaf.id,
            path=leaf.path,
            kind=leaf.kind,
            expected_samples=leaf.expected_samples,
            samples=record.samples,
            tokens=record.tokens,
            prompts_given_up=record.prompts_given_up,
            answers=record.answers,
            data=record.data,
        )
        for leaf in sorted(inputs.leaves, key=lambda leaf: leaf.id)
        if (record := now.chosen.get(leaf.id)) is not None and record.outcome == "done" and record.data is not None
    ]
    failed = [
        FailedLeaf(
            leaf=leaf.id,
            path=by_id[leaf.id].path,
            reason=now.chosen[leaf.id].reason or "Failed",
            message=now.chosen[leaf.id].message or "",
        )
        for leaf in now.failed
    ]
    once: dict[str, MixSource] = {}
    for source in (*own, *added.sources):
        once.setdefault(source.data.key, source)
    return MixPlan(
        sources=tuple(once.values()),
        origins=added.origins,
        files=tuple(dict.fromkeys(added.files)),
        failed=tuple(failed),
        missing=tuple(leaf.path for leaf in now.missing),
    )


@dataclass(frozen=True, slots=True)
class RunTotals:
    """Where a whole run is: its ledger and what its shards last said."""

    samples: int
    expected: int
    leaves_done: int
    leaves_total: int
    tokens: Tokens
    seconds_left: int | None
    leaf: str | None
    """Path of the leaf that moved last."""
    leaf_samples: int
    leaf_expected: int
    waiting: str | None
    """What a teacher says, where every engine at work waits for its own; None where one of them gets answers."""
    signal: int
    """Grows with each change of any shard; equal signals mean that nothing new was said."""


def total(inputs: RunInputs, now: Standing, progress: Sequence[ShardProgress]) -> RunTotals:
    """Add up the done leaves of the ledger and the unfinished work that the shards of the latest attempt report.

    A shard counts the leaves it finished itself; those whose record is already in the ledger are not counted twice,
    because a shard's `samples` beyond its finished leaves is what its open leaves have. What it said last may be older
    than its last record, for good where its pod was killed between the two: then its records count.
    """
    done = {leaf.id: now.chosen[leaf.id] for leaf in inputs.leaves if leaf.id in now.chosen}
    progress = [_with_records(shard, done.values()) for shard in progress]
    earlier = {leaf: record for leaf, record in done.items() if not any(_made_by(shard, record) for shard in progress)}
    before = sum(record.samples for record in earlier.values())
    # The estimate from before the run, with what is known better by now: results, and chunks that engines have counted.
    expected = (
        before
        + sum(leaf.expected_samples for leaf in inputs.leaves if leaf.id not in earlier)
        + sum(shard.expected - shard.estimated for shard in progress if shard.expected and shard.estimated)
    )
    latest = max(progress, key=lambda shard: (shard.leaf is not None, shard.sequence, -shard.shard), default=None)
    left = [shard.seconds_left for shard in progress if shard.seconds_left is not None]
    samples = before + sum(shard.samples for shard in progress)
    return RunTotals(
        samples=samples,
        expected=max(expected, samples),
        leaves_done=min(len(inputs.leaves), len(earlier) + sum(shard.leaves_done for shard in progress)),
        leaves_total=len(inputs.leaves),
        tokens=Tokens(
            prompt=sum(record.tokens.prompt for record in earlier.values())
            + sum(shard.tokens.prompt for shard in progress),
            completion=sum(record.tokens.completion for record in earlier.values())
            + sum(shard.tokens.completion for shard in progress),
        ),
        seconds_left=max(left, default=None),
        leaf=latest.leaf if latest else None,
        leaf_samples=latest.leaf_samples if latest else 0,
        leaf_expected=latest.leaf_expected if latest else 0,
        waiting=_waiting(progress),
        signal=sum(shard.sequence for shard in progress) + len(done),
    )


def _waiting(progress: Sequence[ShardProgress]) -> str | None:
    words = [shard.waiting for shard in progress if shard.leaves_done < shard.leaves_total]
    return words[0] if words and all(words) else None


def _made_by(shard: ShardProgress, record: LeafRecord) -> bool:
    return shard.attempt == record.attempt and shard.pod == record.pod


def _with_records(shard: ShardProgress, done: Iterable[LeafRecord]) -> ShardProgress:
    """What a shard's pod said last, or what its records say where that is more."""
    own = [record for record in done if _made_by(shard, record)]
    tokens = shard.tokens
    return shard.model_copy(
        update={
            "samples": max(shard.samples, sum(record.samples for record in own)),
            "leaves_done": max(shard.leaves_done, len(own)),
            "tokens": Tokens(
                prompt=max(tokens.prompt, sum(record.tokens.prompt for record in own)),
                completion=max(tokens.completion, sum(record.tokens.completion for record in own)),
            ),
        }
    )
