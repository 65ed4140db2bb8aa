"""Looking into a bucket: what its store refuses becomes a problem for the user, and what is read is bounded."""

from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

from sdg_operator.clients.protocols import ObjectStores, SecretRef
from sdg_operator.controller.parsing import most_bytes, parsed
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason, refusal_of_store
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import Manifest
from sdg_operator.storage.store import (
    ObjectInfo,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
    Store,
)

MAX_LISTED: Final = 100_000
_FEW: Final = 8

FoundT = TypeVar("FoundT")


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


def look_at_object(store: Store, key: str) -> Look[ObjectInfo]:
    """Size and mark of a user's object."""
    info = store.head(key)
    if info is None:
        return Look(problem=Problem(Reason.SOURCE_NOT_FOUND, f"There is no object {key} in the bucket."))
    return Look(info)


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
            listed = islice(store.list(layout.file(f"{folder}/")), MAX_LISTED)
            found |= {wanted[info.key]: info.size for info in listed if info.key in wanted}
        else:
            found |= {path: info.size for path in paths if (info := store.head(layout.file(path)))}
    return found
