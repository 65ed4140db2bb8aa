"""How far a run is, in numbers and in the service's own sentence."""

from datetime import datetime
from typing import Final

from sdg_operator.api.datageneration import RunProgress
from sdg_operator.engine.contract import status_text
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.snapshot import RunSeen
from sdg_operator.storage.ledger import RunTotals, Standing, total
from sdg_operator.storage.records import ShardProgress

_BEGINS: Final = "Generating data"
_WAITS: Final = "Waiting for the teacher"
_NOTHING_YET: Final = f"{_BEGINS}."


def latest(shards: tuple[ShardProgress, ...], attempt: int) -> tuple[ShardProgress, ...]:
    """What the shards of this attempt say; an overtaken attempt's words no longer count."""
    return tuple(shard for shard in shards if shard.attempt == attempt)


def totals(seen: RunSeen, standing: Standing | None) -> RunTotals | None:
    """Add up ledger and shards; None while the bucket cannot be read."""
    if standing is None or seen.inputs is None or seen.ledger.found is None:
        return None
    return total(seen.inputs, standing, latest(seen.ledger.found.progress, seen.status.attempt.number))


def progress(seen: RunSeen, standing: Standing | None, now: datetime) -> RunProgress | None:
    """The progress to show; the last one while nothing can be read.

    A new attempt takes up the unfinished leaves of the one before from their checkpoints: until it says how far they
    are, the number of their samples stands.
    """
    at, before = totals(seen, standing), seen.status.progress
    if at is None:
        return before
    if before is not None and at.samples < before.samples and at.leaf is None and at.leaves_done < at.leaves_total:
        return before
    last = seen.signal.last if seen.signal else now
    percent = min(100, 100 * at.samples // at.expected) if at.expected else 0
    if at.leaves_done < at.leaves_total:
        percent = min(percent, 99)
    return RunProgress(
        percent=percent,
        leaves=f"{at.leaves_done}/{at.leaves_total}",
        leaves_done=at.leaves_done,
        leaves_total=at.leaves_total,
        samples=at.samples,
        expected_samples=at.expected,
        tokens=at.tokens.completion,
        seconds_left=at.seconds_left,
        last_signal_time=clock.to_text(last),
    )


def samples(seen: RunSeen, standing: Standing | None, now: datetime) -> int:
    """Samples there are by the latest count."""
    known = progress(seen, standing, now)
    return known.samples if known else 0


def fruitful(seen: RunSeen, standing: Standing | None, now: datetime) -> bool:
    """Whether the attempt at hand has made a sample, be its leaf finished or not."""
    attempt = seen.status.attempt
    leaves = len(standing.chosen) if standing else 0
    return leaves > attempt.leaves_before or samples(seen, standing, now) > attempt.samples_before


def message(seen: RunSeen, standing: Standing | None) -> str:
    """The service's status text of the leaf that moved last; what the teacher says while it answers nobody."""
    at = totals(seen, standing)
    if at is not None and at.waiting is not None:
        return f"{_WAITS}: {at.waiting}"
    if at is None or at.leaf is None:
        said = seen.status.message or ""  # of what was held back it no longer tells
        return said if said.startswith(_BEGINS) else _NOTHING_YET
    return status_text(at.leaf, at.leaf_samples, at.leaf_expected, at.leaves_done, at.leaves_total)
