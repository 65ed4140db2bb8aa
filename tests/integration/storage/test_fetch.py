"""The fetch container fills a work folder with what one shard needs, and nothing else."""

import gzip
import hashlib
from pathlib import Path

import pytest

from sdg_operator.engine.contract import EngineSettings
from sdg_operator.storage.fetch import fetch
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.store import StorageRefused, Store
from tests.integration.storage.ledgers import LAYOUT, record_leaf, snapshot, start_run


def test_a_shard_gets_its_own_leaves_and_its_share_of_the_teacher(store: Store, tmp_path: Path) -> None:
    start_run(store, "a", "b", "c", "d", shards=2)
    got = []
    for shard in (0, 1):
        work = tmp_path / str(shard)
        work.mkdir()
        fetch(store, LAYOUT, work, attempt=1, shard=shard)
        settings = EngineSettings.model_validate_json((work / "in/settings.json").read_bytes())
        assert settings.max_concurrency == 32
        names = [leaf.id for leaf in settings.leaves]
        assert sorted(path.name for path in (work / "in/leaves").iterdir()) == sorted(names)
        assert all((work / f"in/leaves/{name}/qna.yaml").read_text() == f"# {name}\n" for name in names)
        got += names
    assert sorted(got) == ["a", "b", "c", "d"]


def test_a_leaf_that_is_done_is_not_made_again(store: Store, tmp_path: Path) -> None:
    start_run(store, "a", "b")
    record_leaf(store, "a", 1)
    assert fetch(store, LAYOUT, tmp_path, attempt=1, shard=0) == 1
    assert [path.name for path in (tmp_path / "in/leaves").iterdir()] == ["b"]


def test_checkpoints_of_all_earlier_attempts_come_back_the_first_of_a_name_wins_and_broken_ones_are_left_out(
    store: Store, tmp_path: Path
) -> None:
    start_run(store, "a", "b", attempt=10)
    for attempt, name, body in (
        (1, "batch-0.jsonl", b'{"from": 1}\n'),
        (2, "batch-0.jsonl", b'{"from": 2}\n'),
        (9, "batch-1.jsonl", b'{"from": 9}\n'),
        (9, "batch-2.jsonl", b'{"cut": '),
    ):
        store.put_bytes(LAYOUT.checkpoints("a", attempt, "pod") + name, body)
    fetch(store, LAYOUT, tmp_path, attempt=10, shard=0)
    files = {path.name: path.read_bytes() for path in (tmp_path / "in/checkpoints/a").iterdir()}
    assert files == {"batch-0.jsonl": b'{"from": 1}\n', "batch-1.jsonl": b'{"from": 9}\n'}


def test_a_snapshot_that_is_not_the_pinned_one_is_refused(store: Store, tmp_path: Path) -> None:
    inputs = start_run(store, "a")
    store.put_bytes(snapshot_key(inputs.snapshot or ""), snapshot("a", "b"))
    with pytest.raises(StorageRefused, match="the run pinned sha256:") as caught:
        fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)
    assert caught.value.reason == "SnapshotChanged"


def test_a_container_that_is_started_again_begins_from_nothing(store: Store, tmp_path: Path) -> None:
    start_run(store, "a", "b")
    fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)
    record_leaf(store, "b", 1)
    fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)
    assert [path.name for path in (tmp_path / "in/leaves").iterdir()] == ["a"]


def test_a_checkpoint_that_vanishes_while_it_is_fetched_is_no_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that was given up finishes the leaf at this very moment, and removes what led there."""
    start_run(store, "a", attempt=2)
    key = LAYOUT.checkpoints("a", 1, "pod") + "batch-0.jsonl"
    store.put_bytes(key, b"{}\n")
    listing = list(store.list(""))
    store.delete(key)
    monkeypatch.setattr(type(store), "list", lambda _, prefix: (x for x in listing if x.key.startswith(prefix)))
    assert fetch(store, LAYOUT, tmp_path, attempt=2, shard=0) == 1
    assert list(tmp_path.glob("in/checkpoints/a/*")) == []


@pytest.mark.parametrize(
    "body", [b"{}", b"not json", b'{"formatVersion": 2}', b"x" * 2**20], ids=lambda body: body[:20]
)
def test_what_is_no_record_counts_as_absent(store: Store, tmp_path: Path, body: bytes) -> None:
    start_run(store, "a")
    store.put_bytes(LAYOUT.leaf_record("a", 1, "pod"), body)
    assert fetch(store, LAYOUT, tmp_path, attempt=1, shard=0) == 1


def test_a_snapshot_without_a_planned_leaf_is_refused(store: Store, tmp_path: Path) -> None:
    inputs = start_run(store, "a", "b")
    body = snapshot("a")
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    store.put_bytes(snapshot_key(digest), body)
    store.put_bytes(LAYOUT.inputs, inputs.model_copy(update={"snapshot": digest}).to_json())
    with pytest.raises(StorageRefused, match="has no 'b'"):
        fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)


@pytest.mark.parametrize("body", [b"", b"not a gzip file", gzip.compress(b"x" * 1000)], ids=["empty", "text", "no tar"])
def test_a_snapshot_that_is_no_archive_is_refused(store: Store, tmp_path: Path, body: bytes) -> None:
    inputs = start_run(store, "a")
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    store.put_bytes(snapshot_key(digest), body)
    store.put_bytes(LAYOUT.inputs, inputs.model_copy(update={"snapshot": digest}).to_json())
    with pytest.raises(StorageRefused, match="is not what a check wrote") as caught:
        fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)
    assert caught.value.reason == "SnapshotUnreadable"


def test_inputs_of_another_format_are_refused_by_name(store: Store, tmp_path: Path) -> None:
    start_run(store, "a")
    store.put_bytes(LAYOUT.inputs, b'{"formatVersion": 2, "run": {}}')
    with pytest.raises(StorageRefused, match=r"inputs\.json' is not a RunInputs of a format version") as caught:
        fetch(store, LAYOUT, tmp_path, attempt=1, shard=0)
    assert caught.value.reason == "InvalidRecord"
