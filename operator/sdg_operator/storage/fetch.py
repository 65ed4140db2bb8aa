"""The fetch container: puts the leaves of one shard, and what earlier attempts left of them, into the work folder."""

import hashlib
import logging
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineLeaf, EngineSettings, ExitCode
from sdg_operator.storage import said
from sdg_operator.storage.container import (
    MAX_RECORD_BYTES,
    arguments,
    open_store,
    read_inputs,
    read_record,
    run_container,
)
from sdg_operator.storage.layout import CheckpointKey, RunLayout, snapshot_key
from sdg_operator.storage.leaf_data import absent_samples, unlisted_records
from sdg_operator.storage.ledger import standing, with_data
from sdg_operator.storage.records import AttemptPlan, LeafRecord, RunInputs, SnapshotIndex, SnapshotLeaf
from sdg_operator.storage.store import InputsLost, ObjectNotFound, ObjectTooLarge, StorageRefused, Store

log = logging.getLogger("sdg.fetch")

_INDEX: Final = "index.json"
_MAX_SNAPSHOT_BYTES: Final = 4 * 2**30
_MAX_UNPACKED_BYTES: Final = 16 * 2**30
_MAX_CHECKPOINT_BYTES: Final = 2**30
_MAX_LEAF_RECORD_BYTES: Final = 64 * 2**10
_THREADS: Final = 8
"""Small objects take a round trip each, tens of milliseconds at a cloud's store."""


def leaf_records(
    store: Store, layout: RunLayout, leaves: Collection[str] | None = None, also: Iterable[str] = ()
) -> tuple[LeafRecord, ...]:
    """Records of a run, or of some of its leaves: those that are listed, and what of `also` is there.

    What is no record, or names samples that are gone, counts as absent: its leaf is made again.
    """
    keys = [
        info.key
        for info in store.list(layout.leaf_records)
        if leaves is None or info.key.removeprefix(layout.leaf_records).split("/", 1)[0] in leaves
    ]
    unlisted = [key for key in also if key not in keys]
    with ThreadPoolExecutor(_THREADS) as pool:
        there = pool.map(store.head, unlisted)
        keys += [key for key, info in zip(unlisted, there, strict=True) if info is not None]
        found = [record for record in pool.map(lambda key: _leaf_record(store, key), keys) if record is not None]
    return with_data(found, absent_samples(store, found))


def _leaf_record(store: Store, key: str) -> LeafRecord | None:
    try:
        return LeafRecord.model_validate_json(store.get_bytes(key, _MAX_LEAF_RECORD_BYTES))
    except (ValidationError, ObjectNotFound, ObjectTooLarge):
        log.warning("%s is not a leaf's record", key)
        return None


def fetch(store: Store, layout: RunLayout, work: Path, *, attempt: int, shard: int) -> int:
    """Fill ``work/in`` for one shard of an attempt; returns the number of leaves that are to be made."""
    inputs = read_inputs(store, layout)
    plan = read_record(store, layout.attempt_plan(attempt), AttemptPlan)
    if shard >= len(plan.shards):
        raise InputsLost("NoSuchShard", f"attempt {attempt} has {len(plan.shards)} shards, not a shard {shard}")
    planned = plan.shards[shard]
    # A pod before this one may have worked at the same shard.
    also = unlisted_records(store, layout, attempt, {shard: planned})
    missing = {leaf.id for leaf in standing(inputs, leaf_records(store, layout, set(planned), also)).missing}
    mine = [leaf_id for leaf_id in planned if leaf_id in missing]

    target = work / "in"
    # A pod of ours is used once, but a container may be restarted in it: begin from nothing.
    shutil.rmtree(target, ignore_errors=True)
    (target / "leaves").mkdir(parents=True)
    (work / "sync").mkdir(exist_ok=True)
    (work / "out").mkdir(exist_ok=True)
    # A foreign engine may run as another user.
    (work / "out").chmod(0o777)
    if mine:
        _fetch_leaves(store, inputs, set(mine), work)
        _fetch_checkpoints(store, layout, set(mine), target / "checkpoints")
    if inputs.settings.pipeline_files:
        (target / "pipeline").mkdir()
        for name, text in inputs.settings.pipeline_files.items():
            (target / "pipeline" / PurePosixPath(name).name).write_text(text)
    _write_settings(inputs, mine, plan, target)
    return len(mine)


def _write_settings(inputs: RunInputs, mine: list[str], plan: AttemptPlan, target: Path) -> None:
    by_id = {leaf.id: leaf for leaf in inputs.leaves}
    settings = EngineSettings(
        settings=inputs.settings,
        max_concurrency=max(1, inputs.max_concurrency // (1 if inputs.own_teachers else len(plan.shards))),
        leaves=tuple(
            EngineLeaf(
                id=leaf.id,
                path=leaf.path,
                kind=leaf.kind,
                input_digest=leaf.input_digest,
                expected_samples=leaf.expected_samples,
            )
            for leaf in (by_id[leaf_id] for leaf_id in mine)
        ),
        leaves_elsewhere=len(inputs.leaves) - len(mine),
        leaves_with_samples=plan.done,
    )
    (target / "settings.json").write_bytes(settings.to_json())


def _fetch_leaves(store: Store, inputs: RunInputs, wanted: set[str], work: Path) -> None:
    if inputs.snapshot is None:
        raise InputsLost("NoSnapshot", "the run has leaves to make but no snapshot")
    archive = work / "snapshot.tar.gz"
    store.get_file(snapshot_key(inputs.snapshot), archive, _MAX_SNAPSHOT_BYTES)
    with archive.open("rb") as stream:
        digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    if digest != inputs.snapshot:
        raise InputsLost("SnapshotChanged", f"the snapshot's content is {digest}, the run pinned {inputs.snapshot}")
    try:
        absent = _unpack(archive, wanted, work / "in" / "leaves")
    except (tarfile.TarError, ValidationError, EOFError, zlib.error) as error:
        raise InputsLost(
            "SnapshotUnreadable", f"the snapshot {inputs.snapshot} is not what a check wrote ({type(error).__name__})"
        ) from error
    finally:
        archive.unlink()
    if absent:
        raise InputsLost("SnapshotIncomplete", f"the snapshot {inputs.snapshot} has no {min(absent)!r}")


def _unpack(archive: Path, wanted: set[str], leaves: Path) -> set[str]:
    """Take the files of the wanted leaves out of a snapshot; returns what is not in it.

    The index, the first member, says which they are: a member is only ever written where we decide.
    """
    absent = {_INDEX}
    places: dict[str, Path] = {}
    left = _MAX_UNPACKED_BYTES
    with tarfile.open(archive, mode="r|gz") as members:
        for member in members:
            content = members.extractfile(member) if member.isreg() else None
            if content is None or member.name not in absent:
                continue
            absent.discard(member.name)
            if member.name == _INDEX:
                index = SnapshotIndex.model_validate_json(content.read(MAX_RECORD_BYTES))
                found = [leaf for leaf in index.leaves if leaf.id in wanted]
                places = {name: place for leaf in found for name, place in _places(leaf, leaves).items()}
                absent |= places.keys() | (wanted - {leaf.id for leaf in found})
                continue
            left -= member.size
            if left < 0:
                raise StorageRefused("TooLarge", f"the snapshot unpacks to more than {_MAX_UNPACKED_BYTES} bytes")
            place = places[member.name]
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                shutil.copyfileobj(content, out)
    return absent


def _places(leaf: SnapshotLeaf, leaves: Path) -> dict[str, Path]:
    """Member of the snapshot → file in the work folder."""
    own = leaves / leaf.id
    documents = {name: own / "documents" / PurePosixPath(name).name for name in leaf.documents}
    return {f"{leaf.folder}/qna.yaml": own / "qna.yaml", **documents}


def _fetch_checkpoints(store: Store, layout: RunLayout, wanted: set[str], target: Path) -> None:
    """Bring back what earlier attempts finished of a leaf. Of files with one name the first whole one is taken."""
    candidates: dict[tuple[str, str], list[CheckpointKey]] = {}
    for info in store.list(layout.pods):
        found = layout.checkpoint(info.key)
        if found and found.leaf in wanted and said.CHECKPOINT_NAME.fullmatch(found.name):
            candidates.setdefault((found.leaf, found.name), []).append(found)
    with ThreadPoolExecutor(_THREADS) as pool:
        fetched = list(pool.map(lambda keys: _fetch_checkpoint(store, sorted(keys), target), candidates.values()))
    log.info("%d checkpoints of earlier attempts, %d of use", len(fetched), sum(fetched))


def _fetch_checkpoint(store: Store, keys: list[CheckpointKey], target: Path) -> bool:
    for found in keys:
        file = target / found.leaf / found.name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            store.get_file(found.key, file, _MAX_CHECKPOINT_BYTES)
        except (ObjectNotFound, ObjectTooLarge):
            # A pod that was given up may have finished the leaf just now, and so removed what led there.
            continue
        fault = said.first_fault(file)
        if fault is None:
            return True
        log.warning("leaving out checkpoint %s: %s", found.key, fault)
        file.unlink()
    return False


def main() -> ExitCode:
    parser = arguments("fetch", __doc__ or "")
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--shard", type=int, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    store = open_store(options.store_folder)
    count = fetch(store, RunLayout(options.run_root), options.work, attempt=options.attempt, shard=options.shard)
    log.info("%d leaves to make", count)
    return ExitCode.OK


if __name__ == "__main__":
    run_container(main)
