"""Looking at a result in a bucket in which others have meddled."""

from pathlib import Path

import pytest

from sdg_operator.controller.observe_bucket import look_at_result
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.records import Manifest, ManifestFile, RunIdentity, SampleCounts, SampleSettings, Tokens
from tests.unit.controller.onebucket import LAYOUT, CountingStore


def test_a_manifest_too_large_is_no_manifest(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put_bytes(LAYOUT.manifest, b"")
    with (tmp_path / LAYOUT.manifest).open("wb") as file:
        file.truncate((64 << 20) + 1)
    look = look_at_result(store, LAYOUT, 1)
    assert look.found is not None
    assert look.found.manifest is None
    assert look.found.manifest_fault


def manifest(sizes: dict[str, int]) -> bytes:
    return Manifest(
        run=RunIdentity(namespace="n", name="r", uid="u"),
        engine="e",
        settings=SampleSettings(model="m"),
        versions={},
        files=tuple(ManifestFile(path=path, size=size, sha256="0", lines=1) for path, size in sizes.items()),
        samples=SampleCounts(total=1),
        tokens=Tokens(),
        leaves=(),
    ).to_json()


@pytest.fixture
def mixed(tmp_path: Path) -> CountingStore:
    """The bucket of a large run whose mix has ended."""
    store = CountingStore(tmp_path)
    for number in range(300):
        store.put_bytes(LAYOUT.leaf_record(f"leaf{number}", 1, "pod"), b"{}")
        store.put_bytes(LAYOUT.file(f"artifacts/leaf{number}.jsonl"), b"{}\n")
    files = {f"artifacts/leaf{number}.jsonl": 3 for number in range(300)} | {"skills_train_msgs.jsonl": 3}
    store.put_bytes(LAYOUT.file("skills_train_msgs.jsonl"), b"{}\n")
    store.put_bytes(LAYOUT.manifest, manifest(files))
    return store


def test_the_files_of_a_large_manifest_cost_few_calls_and_its_records_none(mixed: CountingStore) -> None:
    look = look_at_result(mixed, LAYOUT, 300)
    assert look.found is not None
    assert look.found.manifest is not None
    assert look.found.manifest_fault is None
    assert mixed.asked == {"read": 1, "list /artifacts/": 1, "head": 1}


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("artifacts/leaf7.jsonl", None, "artifacts/leaf7.jsonl is named by the manifest and not in the bucket."),
        ("artifacts/leaf7.jsonl", b"", "artifacts/leaf7.jsonl has 0 bytes, and 3 by the manifest."),
        ("skills_train_msgs.jsonl", None, "skills_train_msgs.jsonl is named by the manifest and not in the bucket."),
        ("skills_train_msgs.jsonl", b"{}", "skills_train_msgs.jsonl has 2 bytes, and 3 by the manifest."),
    ],
)
def test_a_file_that_is_not_as_the_manifest_says_is_named(
    mixed: CountingStore, path: str, body: bytes | None, fault: str
) -> None:
    if body is None:
        mixed.delete(LAYOUT.file(path))
    else:
        mixed.put_bytes(LAYOUT.file(path), body)
    look = look_at_result(mixed, LAYOUT, 300)
    assert look.found is not None
    assert look.found.manifest_fault == fault
