"""Looking at a run's bucket: bounded, and no more often than it is worth."""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import islice
from statistics import median
from typing import Final, TypeVar

from pydantic import ValidationError

from sdg_operator.clients.protocols import ObjectStores, SecretRef
from sdg_operator.controller.parsing import MAX_BYTES, ONE_AT_A_TIME, most_bytes, parsed
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason, refusal_of_store
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem, Signal
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.leaf_data import MAX_LOOKS, absent_samples, unlisted_records
from sdg_operator.storage.ledger import with_data
from sdg_operator.storage.records import AttemptPlan, LeafRecord, Manifest, MixPlan, RunInputs, ShardProgress
from sdg_operator.storage.store import (
    ObjectInfo,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
    Store,
)

_RECORD_BYTES: Final = 16 * 1024
"""What sync writes has less: a message of 2,000 characters, and names."""
_PROGRESS_BYTES: Final = 16 * 1024
_UNPROVEN_BYTES: Final = 8 << 20
"""Most that is held in memory of something frozen before it is known to have its digest."""
_BLOCK: Final = 4 << 20
_MAX_LISTED: Final = 100_000
_RECORDS_A_LEAF: Final = 2
_MORE_RECORDS: Final = 100
"""Few leaves have more than one record: those of pods that were overtaken, or whose samples were removed."""
_MAX_SHARDS: Final = 64
_FEW: Final = 8
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

FoundT = TypeVar("FoundT")
log = logging.getLogger(__name__)


def problem(error: StorageError, what: str, secret: SecretRef) -> Problem:
    """Word a refusal or silence of the store that a Secret leads to, for the user."""
    unavailable = isinstance(error, StorageUnavailable)
    reason = Reason.STORAGE_UNAVAILABLE if unavailable else refusal_of_store(error.reason)
    where = "" if secret.name in error.message else f" (Secret {secret.name})"
    return Problem(reason, f"{what}{where}: {error.message}")


async def look_in(
    stores: ObjectStores, secret: SecretRef, work: Callable[[Store], Look[FoundT]], what: str
) -> Look[FoundT]:
    """Look into a Secret's bucket; what the store refuses or cannot do now becomes a problem for the user."""
    try:
        return await stores.run(secret, work)
    except StorageError as error:
        return Look(problem=problem(error, what, secret))


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
    for info in islice(store.list(layout.leaf_records), _MAX_LISTED):
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


def look_at_result(store: Store, layout: RunLayout, leaves: int) -> Look[Ledger]:
    """Read what the bucket says of a run that mixes no more than so many leaves: its manifest, and whether the files
    are there that it names.

    The records do not matter any more: the choice of samples is frozen.
    """
    try:
        body = store.get_bytes(layout.manifest, most_bytes(leaves))
        manifest = parsed(Manifest, body, leaves)
    except ObjectNotFound:
        return Look(Ledger())
    except (ValueError, ObjectTooLarge):
        return Look(Ledger(manifest_fault="manifest.json is none of a format version that this operator reads."))
    return Look(Ledger(manifest=manifest, manifest_digest=digest(body), manifest_fault=_fault(store, layout, manifest)))


def _fault(store: Store, layout: RunLayout, manifest: Manifest) -> str | None:
    sizes = _sizes(store, layout, manifest)
    for file in manifest.files:
        size = sizes.get(file.path)
        if size is None:
            return f"{file.path} is named by the manifest and not in the bucket."
        if size != file.size:
            return f"{file.path} has {size} bytes, and {file.size} by the manifest."
    return None


def _sizes(store: Store, layout: RunLayout, manifest: Manifest) -> dict[str, int]:
    """What is there of a manifest's files. A page of a listing tells of a thousand, so only few are asked for singly;
    the run's own folder is never listed, for it holds all that pods wrote."""
    folders: dict[str, list[str]] = {}
    for file in manifest.files:
        folders.setdefault(file.path.rpartition("/")[0], []).append(file.path)
    found: dict[str, int] = {}
    for folder, paths in folders.items():
        if folder and len(paths) > _FEW:
            wanted = {layout.file(path): path for path in paths}
            listed = islice(store.list(layout.file(f"{folder}/")), _MAX_LISTED)
            found |= {wanted[info.key]: info.size for info in listed if info.key in wanted}
        else:
            found |= {path: info.size for path in paths if (info := store.head(layout.file(path)))}
    return found


@dataclass(slots=True)
class FrozenCache:
    """Frozen inputs and mix plans by their digest: the same digest always means the same content."""

    max_leaves: int = 40_000
    """Bound on the leaves of all inputs together, at about a KiB each. Too few, and each pass reads its inputs anew."""
    inputs: OrderedDict[str, RunInputs] = field(default_factory=OrderedDict)
    leaves: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Stores are looked into from several threads."""

    def known(self, digest_: str) -> RunInputs | None:
        """The inputs with this digest, where they are remembered: a pass that has them need not wait for the store."""
        with self.lock:
            if (found := self.inputs.get(digest_)) is not None:
                self.inputs.move_to_end(digest_)
            return found

    def look_at_inputs(self, store: Store, layout: RunLayout, digest_: str) -> Look[RunInputs]:
        """Read the frozen inputs and check them against the digest in the status."""
        if known := self.known(digest_):
            return Look(known)
        body = look_at_frozen(store, layout, digest_)
        if body.found is None:
            return Look(problem=body.problem)
        try:
            with ONE_AT_A_TIME:
                read = RunInputs.model_validate_json(body.found)
        except ValidationError:
            return Look(problem=_unreadable(layout.frozen(digest_)))
        with self.lock:
            if digest_ not in self.inputs:
                self.leaves += len(read.leaves)
            self.inputs[digest_] = read
            while self.leaves > self.max_leaves and len(self.inputs) > 1:
                _, old = self.inputs.popitem(last=False)
                self.leaves -= len(old.leaves)
        return Look(read)


def _unreadable(key: str) -> Problem:
    """What was frozen by another version of the operator waits for one that reads it."""
    text = f"{key} is of a format version that this version of the operator does not read; a newer one wrote it."
    return Problem(Reason.STORAGE_REFUSED, text)


def look_at_frozen(store: Store, layout: RunLayout, digest_: str) -> Look[bytes]:
    """Read what was frozen under a digest; what does not have that digest counts as lost."""
    key = layout.frozen(digest_)
    try:
        body = _proven(store, key, digest_)
    except ObjectNotFound:
        return Look(problem=Problem(Reason.INPUTS_LOST, f"{key} is gone from the bucket."))
    except ObjectTooLarge:
        body = None
    if body is None:
        return Look(problem=Problem(Reason.INPUTS_LOST, f"{key} was changed."))
    return Look(body)


def _proven(store: Store, key: str, digest_: str) -> bytes | None:
    """The content, if it has the digest. What is large is read a first time without keeping it, so that only what we
    wrote ourselves is held in memory."""
    try:
        body = store.get_bytes(key, _UNPROVEN_BYTES)
    except ObjectTooLarge:
        if (size := _size_of(store, key, digest_)) is None:
            return None
        body = store.get_bytes(key, size)
    return body if digest(body) == digest_ else None


def _size_of(store: Store, key: str, digest_: str) -> int | None:
    """Size of an object that has the digest."""
    info = store.head(key)
    if info is None or info.size > MAX_BYTES:
        return None
    seen = sha256()
    for start in range(0, info.size, _BLOCK):
        seen.update(store.get_range(key, start, min(_BLOCK, info.size - start)))
    return info.size if f"sha256:{seen.hexdigest()}" == digest_ else None


def look_at_frozen_plan(store: Store, layout: RunLayout, digest_: str) -> Look[MixPlan]:
    """Read a choice of samples that was frozen under a digest."""
    body = look_at_frozen(store, layout, digest_)
    if body.found is None:
        return Look(problem=body.problem)
    try:
        with ONE_AT_A_TIME:
            return Look(MixPlan.model_validate_json(body.found))
    except ValidationError:
        return Look(problem=_unreadable(layout.frozen(digest_)))


def look_at_object(store: Store, key: str) -> Look[ObjectInfo]:
    """Size and mark of a user's object."""
    info = store.head(key)
    if info is None:
        return Look(problem=Problem(Reason.SOURCE_NOT_FOUND, f"There is no object {key} in the bucket."))
    return Look(info)
