"""Whether a bucket does all that we need of it, tried with one small object."""

import uuid
from contextlib import suppress
from typing import Final

from sdg_operator.storage.s3 import S3Store, soon
from sdg_operator.storage.store import StorageError, StorageRefused

_BODY: Final = b"written by a probe of sdg-operator\n"
_MAX_BYTES: Final = 2**16


def probe(store: S3Store, prefix: str) -> None:
    """Write, read, list and delete a small object below `prefix`; raises `StorageError` that names what is refused."""
    # Of its own: two probes of one bucket must not delete each other's.
    key = f"{prefix.rstrip('/')}/.probe-{uuid.uuid4().hex}"
    try:
        store.put_bytes(key, _BODY)
        _compare(store, key)
        if not soon(lambda: any(info.key == key for info in store.list(key))):
            raise StorageRefused("Refused", f"bucket {store.bucket!r} does not list an object that was just written")
    except StorageError:
        with suppress(StorageError):  # what is refused already is told
            store.delete(key)
        raise
    store.delete(key)
    if not soon(lambda: store.head(key) is None):
        raise StorageRefused("Refused", f"bucket {store.bucket!r} keeps an object that was deleted")


def _compare(store: S3Store, key: str) -> None:
    found = store.get_bytes(key, _MAX_BYTES)
    if found != _BODY:
        raise StorageRefused(
            "AltersObjects",
            f"bucket {store.bucket!r} gives other bytes back ({len(found)}) than were written ({len(_BODY)}): some "
            "stores and proxies keep checksums or chunk marks as content; mend or update the store",
        )
