"""Which leaves a run makes, what each depends on, and what the run will ask for."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final

from sdg_operator.api.datageneration import Plan, Resolved
from sdg_operator.engine.estimate import expected_samples, teacher_requests
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.snapshot import Merge
from sdg_operator.storage.records import (
    LeafInput,
    LeafKind,
    RunIdentity,
    RunInputs,
    SampleSettings,
    SnapshotIndex,
    SnapshotLeaf,
)

_MIB = 1 << 20
_BASE_BYTES = 256 * _MIB
_DOCUMENT_FACTOR = 4
"""A document lies in the work folder as fetched, unpacked and chunked, and once more in the engine's cache."""
_SAMPLE_BYTES: Final[Mapping[LeafKind, int]] = {"knowledge": 64 * 1024, "grounded": 32 * 1024, "freeform": 32 * 1024}
"""A sample with its checkpoint, or what mixing makes of it. Mixing one leaf of 100,000 knowledge samples with full
chunks took 50 KB a sample: two rows, one of them with five chunks, in a file, as read, and as computed."""
_MERGED_SAMPLES_FACTOR = 20
"""That leaf's samples had 290 MiB, and 4.7 GiB were used."""
_MERGED_FILE_FACTOR = 5
"""A training file lies beside the result that its rows go into; 1.5 GiB of English took 3.0 GiB. The result is ASCII: a
Cyrillic letter takes three times its bytes there, a Chinese one twice; and so do the keys that a short row lacks."""


def select(index: SnapshotIndex, globs: Iterable[str]) -> tuple[SnapshotLeaf, ...]:
    """Leaves whose folder matches one of the globs, in the index's order; all where there is no glob.

    Globs are written as folders of the taxonomy (``knowledge/science/*``); ``*`` also spans folders.
    """
    patterns = [glob.strip("/") for glob in globs]
    if not patterns:
        return index.leaves
    return tuple(leaf for leaf in index.leaves if any(fnmatchcase(_folder(leaf), p) for p in patterns))


def _folder(leaf: SnapshotLeaf) -> str:
    return leaf.path.replace("->", "/")


def sample_settings(resolved: Resolved, pipeline_files: Mapping[str, str]) -> SampleSettings:
    return SampleSettings(
        pipeline=resolved.pipeline,
        pipeline_files=dict(pipeline_files),
        scale_factor=resolved.scale_factor,
        batch_size=resolved.batch_size,
        max_tokens=resolved.max_tokens,
        model=resolved.teacher.model if resolved.teacher else "",
        model_family=resolved.model_family,
        system_prompt=resolved.system_prompt,
        preview=resolved.preview,
    )


def input_digest(leaf: SnapshotLeaf, engine: str, settings: SampleSettings) -> str:
    """Digest of all that a leaf's samples depend on: equal digests mean interchangeable samples."""
    what = [leaf.id, leaf.kind, leaf.digest, engine, settings.model_dump(mode="json", by_alias=True)]
    return digest(json.dumps(what, sort_keys=True, ensure_ascii=False).encode())


def digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


def run_inputs(
    owner: Owner, snapshot: str | None, resolved: Resolved, settings: SampleSettings, leaves: tuple[SnapshotLeaf, ...]
) -> RunInputs:
    """Everything the run depends on, as it is frozen in the bucket."""
    return RunInputs(
        run=RunIdentity(namespace=owner.namespace, name=owner.name, uid=owner.uid),
        snapshot=snapshot,
        engine=resolved.engine_image,
        settings=settings,
        max_concurrency=resolved.max_concurrency,
        own_teachers=True if resolved.teacher and resolved.teacher.server else None,
        leaves=tuple(
            LeafInput(
                id=leaf.id,
                path=leaf.path,
                kind=leaf.kind,
                input_digest=input_digest(leaf, resolved.engine_image, settings),
                expected_samples=expected_samples(leaf.kind, leaf.seeds, leaf.document_bytes, settings),
            )
            for leaf in leaves
        ),
    )


def plan(leaves: tuple[SnapshotLeaf, ...], settings: SampleSettings, reused: int, merge: Merge) -> Plan:
    """What the run will ask for, shown before any GPU is."""
    samples = {leaf.id: expected_samples(leaf.kind, leaf.seeds, leaf.document_bytes, settings) for leaf in leaves}
    work = (
        _BASE_BYTES
        + _DOCUMENT_FACTOR * sum(leaf.document_bytes for leaf in leaves)
        + sum(_SAMPLE_BYTES[leaf.kind] * samples[leaf.id] for leaf in leaves)
        + _MERGED_SAMPLES_FACTOR * sum(source.data.size for source in merge.plan.sources)
        + _MERGED_FILE_FACTOR * merge.file_bytes
    )
    return Plan(
        leaves=len(leaves),
        expected_samples=sum(samples.values()),
        teacher_requests=sum(teacher_requests(leaf.kind, leaf.seeds, leaf.document_bytes, settings) for leaf in leaves),
        reused_leaves=reused,
        work_bytes=-(-work // _MIB) * _MIB,
    )
