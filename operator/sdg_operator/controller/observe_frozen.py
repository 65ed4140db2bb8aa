"""Reading what a run has frozen: what does not have the digest in its status counts as lost."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from pydantic import ValidationError

from sdg_operator.controller.parsing import MAX_BYTES, ONE_AT_A_TIME
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Problem
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import MixPlan, RunInputs
from sdg_operator.storage.store import ObjectNotFound, ObjectTooLarge, Store

_UNPROVEN_BYTES: Final = 8 << 20
"""Most that is held in memory of something frozen before it is known to have its digest."""
_BLOCK: Final = 4 << 20


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
