"""Reading the index of a snapshot from a bucket that others can write to: what it says may cost little memory only."""

import tarfile
import zlib
from typing import Final

from sdg_operator.controller.parsing import ONE_AT_A_TIME, parsed
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Problem
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.records import INDEX_BYTES, SnapshotIndex
from sdg_operator.storage.store import ObjectNotFound, Store

_PACKED_BYTES: Final = INDEX_BYTES // 2
"""Digests, half of which is packed away, are most of an index that could be so large."""
_BLOCK: Final = 512
_MAX_DOCUMENTS: Final = 10_000


def look_at_index(store: Store, digest: str, max_leaves: int) -> Look[SnapshotIndex]:
    """Read the index of a snapshot: the first member of its archive, so its first bytes suffice.

    The digest is of the whole archive, which the operator does not read: the fetch container compares it.
    """
    key = snapshot_key(digest)
    try:
        return Look(read_index(store.get_start(key, _PACKED_BYTES), max_leaves))
    except ObjectNotFound:
        text = f"Snapshot {digest} is not in the bucket (key {key}). Ask for a new check of the Taxonomy."
        return Look(problem=Problem(Reason.SNAPSHOT_NOT_FOUND, text))
    except (ValueError, tarfile.TarError, zlib.error) as error:
        why = str(error) if type(error) is ValueError else type(error).__name__
        text = f"Snapshot {key} is not what a check wrote ({why}). Ask for a new check."
        return Look(problem=Problem(Reason.SNAPSHOT_NOT_FOUND, text))


def read_index(start: bytes, max_leaves: int) -> SnapshotIndex:
    """Unpack the index from the first bytes of a snapshot; raises ValueError and what tarfile and zlib raise."""
    with ONE_AT_A_TIME:
        index = parsed(SnapshotIndex, _unpacked(start), max_leaves)
    if len(index.leaves) > max_leaves or sum(len(leaf.documents) for leaf in index.leaves) > _MAX_DOCUMENTS:
        raise ValueError("its index holds too much")
    return index


def _unpacked(start: bytes) -> bytes:
    unpacked = zlib.decompressobj(wbits=31).decompress(start, _BLOCK + INDEX_BYTES)
    # The header alone: tarfile would follow extended ones of any size.
    member = tarfile.TarInfo.frombuf(unpacked[:_BLOCK], "utf-8", "strict")
    if member.name != "index.json" or not member.isreg():
        raise ValueError("its first file is not index.json")
    if member.size > len(unpacked) - _BLOCK:
        raise ValueError("its index is too large or cut off")
    return unpacked[_BLOCK : _BLOCK + member.size]
