"""What of leaves' work is in the bucket, also where a listing is late to show it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from pydantic import ValidationError

from sdg_operator.storage.layout import RunLayout, samples_folder
from sdg_operator.storage.records import LeafRecord, ShardProgress
from sdg_operator.storage.store import ObjectNotFound, ObjectTooLarge, Store

_MAX_LISTED: Final = 100_000
MAX_LOOKS: Final = 200
"""How many objects that a listing lacks are asked for singly: it may skip some, but one that skips more is broken."""
_PROGRESS_BYTES: Final = 16 * 1024


def absent_samples(store: Store, records: Iterable[LeafRecord]) -> set[str]:
    """Keys of samples that records name and somebody has deleted, or left with another size.

    Costs one listing of each pod's folder that records name (and a page more for every 1,000 leaves it finished), not
    a call a leaf; each that it lacks is looked for, up to `MAX_LOOKS`. A key of another form is no pod's work: it
    counts as absent without a look, because it could make us list the whole bucket. Raises `StorageError`.
    """
    wanted = {record.data.key: record.data.size for record in records if record.data}
    folders = {folder for key in wanted if (folder := samples_folder(key))}
    listed = (info for folder in sorted(folders) for info in islice(store.list(folder), _MAX_LISTED))
    sizes = {info.key: info.size for info in listed if info.key in wanted}
    absent = {key for key, size in wanted.items() if sizes.get(key) != size}
    doubtful = islice((key for key in sorted(absent) if samples_folder(key)), MAX_LOOKS)
    return absent - {key for key in doubtful if (info := store.head(key)) is not None and info.size == wanted[key]}


def unlisted_records(
    store: Store, layout: RunLayout, attempt: int, shards: Mapping[int, Collection[str]]
) -> Iterator[str]:
    """Where records may lie that a listing does not show: of these leaves of an attempt's shards, by the pod of which
    the shard's progress tells that it finished some. At most `MAX_LOOKS` keys. Raises `StorageError`."""
    keys = (
        layout.leaf_record(leaf, attempt, pod)
        for shard, leaves in shards.items()
        if leaves and (pod := _finisher(store, layout.progress(attempt, shard)))
        for leaf in leaves
    )
    return islice(keys, MAX_LOOKS)


def _finisher(store: Store, key: str) -> str | None:
    """The pod that finished leaves by the progress at `key`."""
    try:
        progress = ShardProgress.model_validate_json(store.get_bytes(key, _PROGRESS_BYTES))
    except (ValidationError, ObjectNotFound, ObjectTooLarge):
        return None
    return progress.pod if progress.leaves_done and re.fullmatch(r"[a-z0-9.-]{1,253}", progress.pod) else None
