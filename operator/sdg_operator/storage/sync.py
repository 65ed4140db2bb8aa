"""The sync container: carries what the engine writes to the bucket while it writes it, and records finished leaves.

It trusts nothing of its neighbour: files are opened without following links and within bounds, and keys come from the
run's inputs, never from what the engine names.
"""

import hashlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineSettings, ExitCode
from sdg_operator.storage import said
from sdg_operator.storage.container import (
    MAX_RECORD_BYTES,
    arguments,
    open_store,
    read_inputs,
    read_record,
    run_container,
)
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import AttemptPlan, FileRef, LeafInput
from sdg_operator.storage.store import StorageError, StorageRefused, StorageUnavailable, Store
from sdg_operator.storage.workfolder import Untrusted, WorkFolder

log = logging.getLogger("sdg.sync")

POLL_SECONDS: Final = 1.0
PROGRESS_SECONDS: Final = 4.0
LOG_SECONDS: Final = 10.0
_UNTRUSTED_SECONDS: Final = 30.0
"""How long something that cannot be trusted is left alone."""
_MAX_SAMPLES_BYTES: Final = 8 * 2**30
_MAX_CHECKPOINT_BYTES: Final = 2**30
_MAX_CHECKPOINTS: Final = 100_000
_MAX_LOGS: Final = 32
_MAX_LOG_BYTES: Final = 16 * 2**20
"""Of a longer log the end is kept; a log is written anew each time it has grown."""
_MAX_SMALL_BYTES: Final = 2**20


@dataclass(slots=True)
class Sync:
    """One pod's way into the bucket. `flush` may be called again and again; each call carries what is new."""

    store: Store
    layout: RunLayout
    work: WorkFolder
    spool: Path
    """A folder that the engine does not see: what is checked and hashed there is what is uploaded."""
    leaves: dict[str, LeafInput]
    attempt: int
    shard: int
    pod: str
    estimated: int
    """Samples that were expected, before the run, of the leaves that this pod's engine was given; 0: unknown."""
    recorded: set[str] = field(default_factory=set)
    """Ids of leaves whose record this pod has written; a record is never written twice."""
    carried: dict[str, set[str]] = field(default_factory=dict)
    """Leaf id → names of the checkpoints that this pod has uploaded."""
    earlier: dict[str, list[str]] = field(default_factory=dict)
    """Leaf id → keys of checkpoints of earlier pods, removed once the leaf is recorded."""
    spent: list[str] = field(default_factory=list)
    """Keys of checkpoints that are to be removed."""
    _progress: bytes = b""
    _progress_at: float = float("-inf")
    _logs: dict[str, tuple[int, float]] = field(default_factory=dict)
    _left_alone: dict[str, float] = field(default_factory=dict)

    def flush(self, now: float, *, whole: bool = False) -> None:
        """Carry what is new; `whole` ignores all intervals. Raises `StorageError`, and OSError if the spool is full."""
        present = {name for folder in ("leaves", "checkpoints") for name in self._names(f"out/{folder}", now)}
        for leaf_id in sorted(present & self.leaves.keys() - self.recorded):
            leaf = self.leaves[leaf_id]
            self._guarded(f"leaf {leaf_id}", now, lambda leaf=leaf: self._flush_leaf(leaf, now), whole)  # type: ignore[misc]
        if whole or now - self._progress_at >= PROGRESS_SECONDS:
            self._guarded("progress", now, lambda: self._flush_progress(now), whole)
        for name in [each for each in self._names("out/logs", now) if said.LOG_NAME.fullmatch(each)][:_MAX_LOGS]:
            self._guarded(f"log {name}", now, lambda name=name: self._flush_log(name, now, whole), whole)  # type: ignore[misc]
        self._clear_up(now)

    def _clear_up(self, now: float) -> None:
        """Remove what is of no more use. Nothing rests on it, so a store that refuses hinders nothing else."""
        what = "the removal of checkpoints"
        if now < self._left_alone.get(what, now):
            return
        try:
            while self.spent:
                self.store.delete(self.spent[-1])
                self.spent.pop()
        except StorageRefused as refused:
            if what not in self._left_alone:
                log.warning("checkpoints of recorded leaves stay: %s", refused)
            self._left_alone[what] = now + _UNTRUSTED_SECONDS

    def finished(self) -> bool:
        """Whether the engine has written its result."""
        try:
            return self.work.read("out/result.json", _MAX_SMALL_BYTES) is not None
        except Untrusted:
            return False

    def acknowledge(self) -> None:
        """Tell the engine that all it wrote is in the bucket. A courtesy: an engine that prevents it waits longer."""
        try:
            self.work.touch("sync/ack")
        except Untrusted as untrusted:
            log.warning("%s", untrusted)

    def _guarded(self, what: str, now: float, step: Callable[[], None], whole: bool) -> None:
        """Leave out what cannot be trusted, saying so once; everything else goes on."""
        if not whole and now < self._left_alone.get(what, now):
            return
        try:
            step()
        except FileNotFoundError:
            self._leave(what, now, "a file that it names is not there")
        except Untrusted as untrusted:
            self._leave(what, now, str(untrusted))
        except ValidationError as invalid:
            self._leave(what, now, f"it breaks the engine contract ({invalid.error_count()} faults)")

    def _leave(self, what: str, now: float, why: str) -> None:
        if what not in self._left_alone:
            log.warning("%s is not uploaded: %s", what, why)
        self._left_alone[what] = now + _UNTRUSTED_SECONDS

    def _names(self, path: str, now: float) -> list[str]:
        try:
            return self.work.names(path)
        except Untrusted as untrusted:
            self._leave(path, now, str(untrusted))
            return []

    def _flush_leaf(self, leaf: LeafInput, now: float) -> None:
        answer = self.work.read(f"out/leaves/{leaf.id}/leaf.json", _MAX_SMALL_BYTES)
        if answer is None:
            self._flush_checkpoints(leaf, now)
            return
        result = said.leaf_result(answer, leaf)
        key = self.layout.leaf_record(leaf.id, self.attempt, self.pod)
        # It may be there and neither listed when we began nor known to us, if the answer to our writing was lost: what
        # it names may be frozen for the mix already, and the engine's files be others by now.
        if self.store.head(key) is None:
            data = self._upload_samples(leaf) if result.outcome == "done" else None
            record = said.leaf_record(leaf, result, data, self.attempt, self.pod)
            self.store.put_bytes(key, record.to_json())
            if self.store.head(key) is None:
                raise StorageUnavailable("NotStored", f"the store said that it took {key!r}, but it is not there")
            log.info("recorded %s: %s, %d samples", leaf.path, record.outcome, record.samples)
        self.recorded.add(leaf.id)
        # What led there is of no more use.
        own = self.layout.checkpoints(leaf.id, self.attempt, self.pod)
        self.spent += [own + name for name in self.carried.pop(leaf.id, ())]
        self.spent += self.earlier.pop(leaf.id, [])

    def _upload_samples(self, leaf: LeafInput) -> FileRef | str:
        """Check and upload; returns what is wrong with the samples if their leaf cannot be used."""
        copy = self.spool / "samples"
        try:
            size, lines = self._copy(f"out/leaves/{leaf.id}/samples.jsonl", copy, _MAX_SAMPLES_BYTES)
        except FileNotFoundError:
            return "there is no samples.jsonl"
        if fault := said.first_fault(copy, leaf.kind):
            return f"samples.jsonl cannot be used: {fault}"
        key = self.layout.samples(leaf.id, self.attempt, self.pod)
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.store.put_file(key, copy)
        return FileRef(key=key, size=size, sha256=digest, lines=lines)

    def _flush_checkpoints(self, leaf: LeafInput, now: float) -> None:
        carried = self.carried.setdefault(leaf.id, set())
        for name in self.work.names(f"out/checkpoints/{leaf.id}"):
            if name not in carried and said.CHECKPOINT_NAME.fullmatch(name) and len(carried) < _MAX_CHECKPOINTS:
                step = lambda name=name: self._upload_checkpoint(leaf, name)  # noqa: E731
                self._guarded(f"checkpoint {leaf.id}/{name}", now, step, whole=False)

    def _upload_checkpoint(self, leaf: LeafInput, name: str) -> None:
        copy = self.spool / "checkpoint"
        self._copy(f"out/checkpoints/{leaf.id}/{name}", copy, _MAX_CHECKPOINT_BYTES)
        if fault := said.first_fault(copy):
            raise Untrusted(fault)
        self.store.put_file(self.layout.checkpoints(leaf.id, self.attempt, self.pod) + name, copy)
        self.carried[leaf.id].add(name)

    def _flush_progress(self, now: float) -> None:
        answer = self.work.read("out/progress.json", _MAX_SMALL_BYTES)
        if answer is None or answer == self._progress:
            return
        paths = {leaf.path for leaf in self.leaves.values()}
        record = said.shard_progress(answer, paths, self.attempt, self.shard, self.pod, estimated=self.estimated)
        self.store.put_bytes(self.layout.progress(self.attempt, self.shard), record.to_json())
        self._progress, self._progress_at = answer, now

    def _flush_log(self, name: str, now: float, whole: bool) -> None:
        sent, at = self._logs.get(name, (0, float("-inf")))
        if not whole and now - at < LOG_SECONDS:
            return
        with self.work.open(f"out/logs/{name}") as source:
            size = os.fstat(source.fileno()).st_size
            if size == sent:
                return
            source.seek(max(0, size - _MAX_LOG_BYTES))
            content = source.read(_MAX_LOG_BYTES)
        self.store.put_bytes(self.layout.log(self.attempt, self.pod, name), content)
        self._logs[name] = (size, now)

    def _copy(self, path: str, target: Path, max_bytes: int) -> tuple[int, int]:
        """Copy a file out of the engine's reach; returns its bytes and lines."""
        size = lines = 0
        with target.open("wb") as copy:
            for block in self.work.blocks(path, max_bytes):
                size += len(block)
                lines += block.count(b"\n")
                copy.write(block)
        return size, lines


def take_up(store: Store, layout: RunLayout, work: Path, spool: Path, *, attempt: int, shard: int, pod: str) -> Sync:
    """Begin, or go on where a sync of this very pod was killed. Raises `StorageError`."""
    inputs = read_inputs(store, layout)
    shards = read_record(store, layout.attempt_plan(attempt), AttemptPlan).shards
    mine, planned = set(shards[shard]), {leaf for each in shards for leaf in each}
    folder = WorkFolder(work)
    sync = Sync(
        store=store,
        layout=layout,
        work=folder,
        spool=spool,
        leaves={leaf.id: leaf for leaf in inputs.leaves if leaf.id in mine},
        attempt=attempt,
        shard=shard,
        pod=pod,
        estimated=_estimated(folder),
    )
    own = {layout.leaf_record(leaf, attempt, pod): leaf for leaf in mine}
    sync.recorded = {own[info.key] for info in store.list(layout.leaf_records) if info.key in own}
    for info in store.list(layout.pods):
        found = layout.checkpoint(info.key)
        # A later attempt may be at work already, if this pod was given up: its checkpoints are not ours to remove.
        if found is None or found.attempt > attempt:
            continue
        # What is not planned was recorded before this attempt, by a pod that could not clear up any more.
        if found.leaf in sync.recorded or (shard == 0 and found.leaf not in planned):
            sync.spent.append(found.key)
        elif found.leaf not in mine:
            continue
        elif (found.attempt, found.pod) == (attempt, pod):
            sync.carried.setdefault(found.leaf, set()).add(found.name)
        else:
            sync.earlier.setdefault(found.leaf, []).append(found.key)
    return sync


def _estimated(work: WorkFolder) -> int:
    """Read what fetch gave to the engine: of the shard's leaves, those that no pod before this one had finished."""
    try:
        given = work.read("in/settings.json", MAX_RECORD_BYTES)
        leaves = EngineSettings.model_validate_json(given).leaves if given else ()
    except (Untrusted, ValidationError):
        log.warning("in/settings.json is not what fetch wrote")
        return 0
    return sum(leaf.expected_samples for leaf in leaves)


def follow(sync: Sync, stop: threading.Event) -> None:
    """Carry on until told to stop, then carry what is left. A store that is away or refuses is tried again."""
    acknowledged = False
    trouble = ""
    while True:
        stopping = stop.is_set()
        try:
            # The result is looked for before the flush: what was written before it is then surely carried.
            finished = sync.finished()
            sync.flush(time.monotonic(), whole=stopping or (finished and not acknowledged))
            if trouble:
                log.info("the store answers again")
                trouble = ""
            if finished and not acknowledged:
                sync.acknowledge()
                acknowledged = True
            if stopping:
                return
        except (StorageError, OSError) as error:
            if str(error) != trouble:
                trouble = str(error)
                log.warning("%s; trying again", trouble)
        _pause(stop)


def _pause(stop: threading.Event) -> None:
    """Wait for the next look. Once told to stop, the kubelet bounds how often that is; the next attempt makes up."""
    if stop.is_set():
        time.sleep(POLL_SECONDS)
    else:
        stop.wait(POLL_SECONDS)


def main() -> ExitCode:
    parser = arguments("sync", __doc__ or "")
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--pod", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Always the same folder: what a killed sync left there is removed by the next.
    spool = Path(tempfile.gettempdir()) / f"sync-{options.attempt}-{options.pod}"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()

    def begin() -> Sync:
        store = open_store(options.store_folder)
        layout = RunLayout(options.run_root)
        return take_up(
            store, layout, options.work, spool, attempt=options.attempt, shard=options.shard, pod=options.pod
        )

    sync = _patiently(begin, stop)
    log.info("carrying %d leaves, %d of them recorded before", len(sync.leaves), len(sync.recorded))
    follow(sync, stop)
    shutil.rmtree(spool, ignore_errors=True)
    return ExitCode.OK


def _patiently(begin: Callable[[], Sync], stop: threading.Event) -> Sync:
    """Begin as soon as the store lets us: ending instead would make the kubelet wait for minutes between tries."""
    while True:
        try:
            return begin()
        except StorageError as error:
            log.warning("%s; trying again", error)
        _pause(stop)


if __name__ == "__main__":
    run_container(main)
