"""What every store promises, on a real S3 server and on a folder; and how S3's refusals are told apart."""

import dataclasses
import os
from pathlib import Path

import pytest

from hack.cluster.processes import free_port
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.probe import probe
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import ObjectNotFound, StorageRefused, StorageUnavailable, Store

KEYS = ["a/b.json", "a/c d/ü%.json", "a->b.json", "z"]


def test_what_is_written_is_read_listed_in_order_and_deleted(store: Store) -> None:
    for key in KEYS:
        store.put_bytes(key, key.encode())
    assert [info.key for info in store.list("")] == sorted(KEYS, key=str.encode)
    assert [info.key for info in store.list("a/")] == ["a/b.json", "a/c d/ü%.json"]
    for key in KEYS:
        assert store.get_bytes(key, 100) == key.encode()
        store.delete(key)
        store.delete(key)
    assert list(store.list("")) == []


def test_an_absent_object_is_told_apart_from_a_refusal(store: Store, tmp_path: Path) -> None:
    assert store.head("absent") is None
    with pytest.raises(ObjectNotFound, match="no object 'absent'"):
        store.get_bytes("absent", 10)
    with pytest.raises(ObjectNotFound):
        store.get_file("absent", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_an_etag_changes_with_the_content(store: Store) -> None:
    store.put_bytes("key", b"one")
    first = store.head("key")
    store.put_bytes("key", b"other")
    second = store.head("key")
    assert first is not None
    assert second is not None
    assert (first.size, second.size) == (3, 5)
    assert first.etag != second.etag


def test_reading_is_bounded(store: Store, tmp_path: Path) -> None:
    store.put_bytes("key", b"x" * 101)
    with pytest.raises(StorageRefused, match="101 bytes, more than the 100"):
        store.get_bytes("key", 100)
    with pytest.raises(StorageRefused, match="101 bytes, more than the 100"):
        store.get_file("key", tmp_path / "file", 100)


def test_large_files_go_both_ways(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(40 * 2**20))  # three parts of a multipart upload
    store.put_file("large", source)
    store.get_file("large", target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.deep
def test_listing_goes_over_many_pages(settings: S3Settings) -> None:
    store = S3Store(settings)
    for number in range(1005):
        store.put_bytes(f"many/{number:04}", b"")
    assert sum(1 for _ in store.list("many/")) == 1005


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    for key in ("../outside", "/etc/passwd", "a/../../outside", ""):
        with pytest.raises(StorageRefused, match="not a key inside"):
            store.put_bytes(key, b"")


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"secret_key": "wrong"}, "InvalidCredentials", "AWS_SECRET_ACCESS_KEY"),
        ({"bucket": "there-is-none"}, "BucketNotFound", "AWS_S3_BUCKET"),
        ({"endpoint_scheme": "https"}, "NotTls", "http://"),
    ],
    ids=["wrong secret", "no bucket", "not TLS"],
)
def test_each_refusal_has_its_reason_and_says_what_to_mend(
    settings: S3Settings, change: dict[str, str], reason: str, says: str
) -> None:
    if "endpoint_scheme" in change:
        change = {"endpoint": (settings.endpoint or "").replace("http:", "https:")}
    store = S3Store(dataclasses.replace(settings, **change), timeout_seconds=3, attempts=1)
    with pytest.raises(StorageRefused, match=says) as caught:
        store.put_bytes("key", b"")
    assert caught.value.reason == reason
    assert settings.secret_key not in caught.value.message


def test_a_store_that_does_not_answer_is_unavailable(settings: S3Settings) -> None:
    away = dataclasses.replace(settings, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailable):
        S3Store(away, timeout_seconds=2, attempts=1).get_bytes("key", 1)


def test_a_secret_without_a_needed_key_is_named() -> None:
    with pytest.raises(StorageRefused, match="no AWS_SECRET_ACCESS_KEY and no AWS_S3_BUCKET"):
        S3Settings.from_secret({"AWS_ACCESS_KEY_ID": "x"})


def test_rotated_credentials_are_read_again_when_the_old_ones_are_refused(settings: S3Settings, tmp_path: Path) -> None:
    files = {
        "AWS_ACCESS_KEY_ID": settings.access_key,
        "AWS_SECRET_ACCESS_KEY": "old and no longer valid",
        "AWS_S3_BUCKET": settings.bucket,
        "AWS_S3_ENDPOINT": settings.endpoint or "",
    }
    for name, value in files.items():
        (tmp_path / name).write_text(value + "\n")
    store = S3Store.from_folder(tmp_path)
    with pytest.raises(StorageRefused):
        store.put_bytes("key", b"1")
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text(settings.secret_key)
    store.put_bytes("key", b"2")
    assert store.get_bytes("key", 10) == b"2"


def test_the_probe_leaves_nothing_behind(settings: S3Settings) -> None:
    store = S3Store(settings)
    probe(store, "synthetic_data")
    assert list(store.list("")) == []


def test_what_the_file_system_refuses_is_told_as_a_store_would(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put_bytes("a", b"1")
    with pytest.raises(StorageUnavailable, match="could not write 'a/b'"):
        store.put_bytes("a/b", b"2")
    with pytest.raises(StorageUnavailable, match="could not read 'a'"):
        store.get_file("a", tmp_path / "no such folder" / "file")
    assert [info.key for info in store.list("")] == ["a"]
