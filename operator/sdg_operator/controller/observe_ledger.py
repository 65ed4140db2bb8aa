"""Looking at a run that generates: the records of its leaves, read no more often than it is worth, and its progress."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from statistics import median
from typing import Final

from pydantic import ValidationError

from sdg_operator.clients.protocols import ObjectStores, SecretRef
from sdg_operator.controller.observe_bucket import MAX_LISTED, look_in, problem
from sdg_operator.controller.parsing import most_bytes, parsed
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem, Signal
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.leaf_data import MAX_LOOKS, absent_samples, unlisted_records
from sdg_operator.storage.ledger import with_data
from sdg_operator.storage.records import AttemptPlan, LeafRecord, ShardProgress
from sdg_operator.storage.store import ObjectInfo, ObjectNotFound, ObjectTooLarge, StorageError, Store

_RECORD_BYTES: Final = 16 * 1024
"""What sync writes has less: a message of 2,000 characters, and names."""
_PROGRESS_BYTES: Final = 16 * 1024
_RECORDS_A_LEAF: Final = 2
_MORE_RECORDS: Final = 100
"""Few leaves have more than one record: those of pods that were overtaken, or whose samples were removed."""
_MAX_SHARDS: Final = 64
_FEW_UNREAD: Final = 50
"""So many new records are read in the same dealing with the store that lists them; more are read several at a time."""
_READERS: Final = 3
"""Fewer than the places of a namespace: others of it are served meanwhile."""
_READ_SECONDS: Final = 30.0
"""A look reads new records for no longer."""
_TURN_SECONDS: Final = 5.0
"""A reader then gives its place to whoever waits."""
_PATIENCE_SECONDS: Final = 120.0
_PATIENCE_INTERVALS: Final = 10
_INTERVALS_KEPT: Final = 21
LOST_SECONDS: Final = 600.0
"""How long frozen inputs may be gone: somebody may put them back, or a Secret name another bucket by mistake."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """What is remembered of one run between passes. Losing it costs reads, never truth."""

    records: dict[str, LeafRecord] = field(default_factory=dict)
    """Key → record; a record never changes."""
    unread: list[ObjectInfo] = field(default_factory=list)
    """Records that were listed and not read yet."""
    faulty: dict[str, str] = field(default_factory=dict)
    """Key of what is no record → its ETag: it is not read again until it changes."""
    sought: set[str] = field(default_factory=set)
    """Keys at which records were looked for that no listing showed."""
    absent: set[str] = field(default_factory=set)
    """Keys of samples that records name and that were not there when they were last looked for."""
    absent_for: int | None = None
    """The attempt in which they were last looked for; None for never."""
    ledger: Look[Ledger] = field(default_factory=Look)
    read_at: float = 0.0
    """Monotonic time of the latest read; 0 for never."""
    fingerprint: object = None
    last_signal: datetime | None = None
    last_signal_mono: float = 0.0
    lost_since: float | None = None
    """Monotonic time at which something frozen was first found lost."""
    intervals: list[float] = field(default_factory=list)

    @property
    def known(self) -> int:
        """How many keys were read."""
        return len(self.records) + len(self.faulty)

    def note(self, fingerprint: object, now: datetime, mono: float) -> Signal:
        """Take in what was seen: anything new is a sign of life."""
        if self.last_signal is None or fingerprint != self.fingerprint:
            if self.last_signal is not None:
                self.intervals = [*self.intervals, mono - self.last_signal_mono][-_INTERVALS_KEPT:]
            self.fingerprint, self.last_signal, self.last_signal_mono = fingerprint, now, mono
        usual = median(self.intervals) if self.intervals else 0.0
        return Signal(self.last_signal, max(_PATIENCE_SECONDS, _PATIENCE_INTERVALS * usual))

    def judge(self, trouble: Problem | None, mono: float) -> Problem | None:
        """What was frozen and is lost is waited for, but not for ever."""
        if trouble is None or trouble.reason is not Reason.INPUTS_LOST:
            self.lost_since = None
            return trouble
        self.lost_since = mono if self.lost_since is None else self.lost_since
        if mono - self.lost_since >= LOST_SECONDS:
            text = f"{trouble.message} It was not put back within {LOST_SECONDS:.0f} s."
            return replace(trouble, message=text, final=True)
        return replace(
            trouble, message=f"{trouble.message} The run ends unless it is put back within {LOST_SECONDS:.0f} s."
        )


async def look_at_work(
    stores: ObjectStores,
    secret: SecretRef,
    memory: Memory,
    look: Callable[[Store], Look[Ledger]],
    what: str,
) -> Look[Ledger]:
    """Look at a ledger by `look` (`look_at_ledger`). Thousands of new records, as after a start of the operator, are
    read several at a time, and over several looks where the store is distant."""
    found = await look_in(stores, secret, look, what)
    if found.problem is None or found.problem.reason is not Reason.FETCHING:
        return found
    before, until = memory.known, time.monotonic() + _READ_SECONDS

    async def read() -> None:
        while memory.unread and time.monotonic() < until:
            await stores.run(secret, partial(_read_on, memory=memory))

    ends = await asyncio.gather(*(read() for _ in range(_READERS)), return_exceptions=True)
    for error in ends:
        if isinstance(error, StorageError) and memory.known == before:
            return Look(problem=problem(error, what, secret))
        if isinstance(error, BaseException) and not isinstance(error, StorageError):
            raise error
    return _being_read(memory) if memory.unread else await look_in(stores, secret, look, what)


def _being_read(memory: Memory) -> Look[Ledger]:
    text = f"The records of finished leaves are being read: {memory.known} of {memory.known + len(memory.unread)}."
    return Look(problem=Problem(Reason.FETCHING, text))


def look_at_ledger(
    store: Store, layout: RunLayout, memory: Memory, attempt: int, leaves: Collection[str], *, deciding: bool
) -> Look[Ledger]:
    """Read what the bucket says of a run that generates: the records of its leaves, and the progress of this attempt.

    A record counts while its samples are there. They are looked for at the first look at an attempt and when it is
    decided what follows (`deciding`), not every few seconds while pods are at work: listing them takes as many calls
    as listing the records. Then, too, records are looked for that the listing lacks: those that were seen before, and
    those of leaves that would be made again.
    """
    keys = _listed(store, layout, memory, leaves)
    if len(memory.unread) <= _FEW_UNREAD:
        _read_on(store, memory)
    if memory.unread:
        return _being_read(memory)
    if deciding:
        unlisted = islice((key for key in memory.records if key not in keys), MAX_LOOKS)
        keys |= {key for key in unlisted if store.head(key) is not None}
        memory.records = {key: record for key, record in memory.records.items() if key in keys}
        for key in _unlisted(store, layout, memory, attempt, leaves):
            memory.sought.add(key)
            _remember(store, ObjectInfo(key, 0, ""), memory)
    known = memory.records
    if deciding or memory.absent_for != attempt:
        memory.absent, memory.absent_for = absent_samples(store, known.values()), attempt
    counting = with_data(known.values(), memory.absent)
    return Look(Ledger(counting, tuple(_progress(store, layout, attempt))))


def _listed(store: Store, layout: RunLayout, memory: Memory, leaves: Collection[str]) -> set[str]:
    """Take note of what is new, and give the keys of all that may be records; what others put there costs nothing."""
    room = _room(leaves)
    keys: set[str] = set()
    memory.unread = []
    for info in islice(store.list(layout.leaf_records), MAX_LISTED):
        if info.key.removeprefix(layout.leaf_records).partition("/")[0] not in leaves:
            continue
        if info.key not in memory.records and memory.faulty.get(info.key) != info.etag:
            if memory.known + len(memory.unread) >= room:
                continue
            memory.unread.append(info)
        keys.add(info.key)
    memory.faulty = {key: etag for key, etag in memory.faulty.items() if key in keys}
    return keys


def _room(leaves: Collection[str]) -> int:
    return _MORE_RECORDS + _RECORDS_A_LEAF * len(leaves)


def _read_on(store: Store, memory: Memory) -> None:
    """Read what is unread, for a turn. Several threads do so at once."""
    until = time.monotonic() + _TURN_SECONDS
    with suppress(IndexError):  # another took the last one
        while memory.unread:
            _remember(store, memory.unread.pop(), memory)
            if time.monotonic() > until:
                return


def _unlisted(store: Store, layout: RunLayout, memory: Memory, attempt: int, leaves: Collection[str]) -> list[str]:
    """Where records of the attempt may lie that are neither listed nor known."""
    try:
        body = store.get_bytes(layout.attempt_plan(attempt), most_bytes(len(leaves)))
        plan = parsed(AttemptPlan, body, len(leaves))
    except (ValueError, ObjectNotFound, ObjectTooLarge):
        return []
    if len(memory.sought) > _room(leaves):
        memory.sought.clear()
    done = {record.leaf for record in memory.records.values()}
    missing = {
        shard: [leaf for leaf in planned if leaf in leaves and leaf not in done]
        for shard, planned in enumerate(plan.shards)
    }
    return [key for key in unlisted_records(store, layout, attempt, missing) if key not in memory.sought]


def _remember(store: Store, info: ObjectInfo, memory: Memory) -> None:
    try:
        memory.records[info.key] = LeafRecord.model_validate_json(store.get_bytes(info.key, _RECORD_BYTES))
    except (ValidationError, ObjectTooLarge):
        memory.faulty[info.key] = info.etag  # not a record of ours: it counts as absent, so its leaf is made again
        log.warning("%s is no record of a format version that this operator reads", info.key)
    except ObjectNotFound:
        return


def _progress(store: Store, layout: RunLayout, attempt: int) -> Iterable[ShardProgress]:
    prefix = layout.progress(attempt, 0).removesuffix("0.json")
    for number, info in enumerate(store.list(prefix)):
        if number >= _MAX_SHARDS:
            return
        try:
            yield ShardProgress.model_validate_json(store.get_bytes(info.key, _PROGRESS_BYTES))
        except (ValidationError, ObjectNotFound, ObjectTooLarge):
            continue  # being rewritten, or not ours: the next look will tell
