"""The sync container carries what the engine writes, whatever the engine or the store does to it."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hack.cluster.s3 import S3Server
from sdg_operator.engine.contract import EngineResult, LeafResult, Progress
from sdg_operator.storage import sync as sync_module
from sdg_operator.storage.fetch import fetch, leaf_records
from sdg_operator.storage.ledger import plan_attempt, standing, total
from sdg_operator.storage.records import RunInputs, ShardProgress
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import StorageRefused, StorageUnavailable, Store
from sdg_operator.storage.sync import follow, take_up
from sdg_operator.storage.workfolder import Untrusted
from tests.integration.storage.ledgers import DIGEST, LAYOUT, start_run

SAMPLES = b'{"output": "Why? So."}\n{"output": "How? So."}\n'


class Pod:
    """A generate pod without its engine: the test writes what an engine would."""

    def __init__(self, store: Store, folder: Path, attempt: int = 1, name: str = "pod") -> None:
        self.work = folder / f"{attempt}-{name}"
        self.work.mkdir(parents=True)
        spool = folder / f"{attempt}-{name}-spool"
        spool.mkdir()
        fetch(store, LAYOUT, self.work, attempt=attempt, shard=0)
        self.out = self.work / "out"
        self.sync = take_up(store, LAYOUT, self.work, spool, attempt=attempt, shard=0, pod=name)

    def write(self, path: str, body: bytes) -> Path:
        file = self.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        return file

    def finish_leaf(self, leaf: str, samples: bytes = SAMPLES, digest: str = DIGEST) -> None:
        self.write(f"leaves/{leaf}/samples.jsonl", samples)
        result = LeafResult(leaf=leaf, input_digest=digest, outcome="done", samples=samples.count(b"\n"))
        self.write(f"leaves/{leaf}/leaf.json", result.to_json())

    def flush(self) -> None:
        self.sync.flush(time.monotonic(), whole=True)


@pytest.fixture
def own_server() -> Iterator[S3Server]:
    """A server for tests that take it away."""
    with S3Server() as server:
        yield server


@pytest.fixture
def make_pod(tmp_path: Path) -> Callable[..., Pod]:
    def make(store: Store, inputs: RunInputs, attempt: int = 1, name: str = "pod") -> Pod:
        if attempt > 1:
            store.put_bytes(LAYOUT.attempt_plan(attempt), plan_attempt(attempt, inputs.leaves, 1).to_json())
        return Pod(store, tmp_path, attempt, name)

    return make


def keys(store: Store) -> set[str]:
    """What a pod has written: without what the operator wrote before."""
    given = (LAYOUT.inputs, f"{LAYOUT.root}/.run/attempts/", "taxonomies/")
    return {info.key.removeprefix(f"{LAYOUT.root}/") for info in store.list("") if not info.key.startswith(given)}


def test_what_is_expected_is_right_when_a_pod_takes_over_within_an_attempt(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    """It makes what is left of the shard, and its engine counts only that."""
    inputs = start_run(store, "a", "b")
    first = make_pod(store, inputs)
    first.finish_leaf("a")
    first.flush()
    second = make_pod(store, inputs, name="second")
    second.write("progress.json", Progress(phase="generating", samples=7, expected=30, leaves_total=1).to_json())
    second.flush()
    shard = ShardProgress.model_validate_json(store.get_bytes(LAYOUT.progress(1, 0), 10_000))
    now = total(inputs, standing(inputs, leaf_records(store, LAYOUT)), [shard])
    assert (now.samples, now.expected) == (2 + 7, 2 + 30)


def test_a_finished_leaf_is_recorded_with_what_was_uploaded_and_its_checkpoints_go(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    pod = make_pod(store, start_run(store, "a", "b"))
    pod.write("checkpoints/a/batch-0.jsonl", b"{}\n")
    pod.flush()
    assert keys(store) == {".run/1-pod/checkpoints/a/batch-0.jsonl"}
    pod.finish_leaf("a")
    pod.flush()
    assert keys(store) == {".run/1-pod/samples/a.jsonl", ".run/leaves/a/1-pod.json"}
    [record] = leaf_records(store, LAYOUT)
    assert record.data is not None
    assert (record.samples, record.data.size, record.data.lines) == (2, len(SAMPLES), 2)
    assert record.data.sha256 == hashlib.sha256(SAMPLES).hexdigest()
    assert store.get_bytes(record.data.key, 1000) == SAMPLES


def test_progress_and_logs_follow_while_they_grow(store: Store, make_pod: Callable[..., Pod]) -> None:
    pod = make_pod(store, start_run(store, "a"))
    for samples in (1, 2):
        pod.write("progress.json", Progress(phase="generating", leaf="a", samples=samples, sequence=samples).to_json())
        pod.write("logs/engine.log", b"line\n" * samples)
        pod.flush()
        shard = ShardProgress.model_validate_json(store.get_bytes(LAYOUT.progress(1, 0), 10_000))
        assert (shard.samples, shard.sequence, shard.pod) == (samples, samples, "pod")
        assert store.get_bytes(LAYOUT.log(1, "pod", "engine.log"), 1000) == b"line\n" * samples


def test_the_acknowledgement_comes_after_everything_is_in_the_bucket(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    pod = make_pod(store, start_run(store, "a"))
    pod.finish_leaf("a")
    pod.write("result.json", EngineResult(exit_code=0, leaves_done=1, leaves_failed=0, samples=2).to_json())
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(pod.sync, stop))
    thread.start()
    deadline = time.monotonic() + 20
    while not (pod.work / "sync/ack").exists() and time.monotonic() < deadline:
        stop.wait(0.02)
    recorded = len(leaf_records(store, LAYOUT))
    stop.set()
    thread.join()
    assert (pod.work / "sync/ack").exists()
    assert recorded == 1


def _symlink_samples(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("a")
    (pod.out / "leaves/a/samples.jsonl").unlink()
    (pod.out / "leaves/a/samples.jsonl").symlink_to(secret)


def _hardlink_samples(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("a")
    (pod.out / "leaves/a/samples.jsonl").unlink()
    os.link(secret, pod.out / "leaves/a/samples.jsonl")


def _symlink_folder(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("a")
    (pod.out / "leaves/a").rename(pod.out / "elsewhere")
    (pod.out / "leaves/a").symlink_to(secret.parent)
    (secret.parent / "leaf.json").write_bytes((pod.out / "elsewhere/leaf.json").read_bytes())
    (secret.parent / "samples.jsonl").write_bytes(secret.read_bytes())


def _fifo(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("a")
    (pod.out / "leaves/a/samples.jsonl").unlink()
    os.mkfifo(pod.out / "leaves/a/samples.jsonl")
    (pod.out / "checkpoints/a").mkdir(parents=True)
    os.mkfifo(pod.out / "checkpoints/a/batch-0.jsonl")


def _linked_logs(pod: Pod, secret: Path) -> None:
    (pod.out / "logs").mkdir(parents=True)
    (pod.out / "logs/engine.log").symlink_to(secret)
    (pod.out / "progress.json").symlink_to(secret)


def _folders_are_links(pod: Pod, secret: Path) -> None:
    for name in ("logs", "checkpoints", "leaves"):
        (pod.out / name).symlink_to(secret.parent)


def _folders_are_files(pod: Pod, secret: Path) -> None:
    for name in ("logs", "checkpoints", "leaves"):
        os.mkfifo(pod.out / name)


def _linked_checkpoint(pod: Pod, secret: Path) -> None:
    (pod.out / "checkpoints/a").mkdir(parents=True)
    (pod.out / "checkpoints/a/batch-0.jsonl").symlink_to(secret)
    (pod.out / "checkpoints/a/batch-1.jsonl").symlink_to("/proc/self/environ")
    (pod.out / "checkpoints/a/batch-2.jsonl").mkdir()


def _linked_result(pod: Pod, secret: Path) -> None:
    (pod.out / "result.json").symlink_to(secret)
    (pod.work / "sync").rmdir()
    (pod.work / "sync").symlink_to(secret.parent)


def _no_json(pod: Pod, secret: Path) -> None:
    pod.write("checkpoints/a/batch-0.jsonl", b"\x00\xff\n")
    pod.write("leaves/a/leaf.json", b"\xff")
    pod.write("progress.json", b"{}")


def _names_that_no_one_expects(pod: Pod, secret: Path) -> None:
    for name in (b"\xff\xfe.jsonl", b"a b.jsonl", "ü.jsonl".encode(), b"batch-0.jsonl\n", b"-rf.jsonl", b"x" * 250):
        folder = pod.out / "checkpoints/a"
        folder.mkdir(parents=True, exist_ok=True)
        (Path(os.fsdecode(bytes(folder) + b"/" + name))).write_bytes(b"{}\n")


def _forged_names(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("b_of_another_run")
    pod.write("checkpoints/a/..jsonl", b"{}\n")
    pod.write("checkpoints/a/../../../../x.jsonl", b"{}\n")
    pod.write("checkpoints/a/.hidden.jsonl", b"{}\n")
    pod.write("checkpoints/unknown/batch-0.jsonl", b"{}\n")
    pod.write("logs/mix.json", b"{}")


def _forged_leaf(pod: Pod, secret: Path) -> None:
    pod.finish_leaf("a", digest="sha256:" + "b" * 64)


def _endless_json(pod: Pod, secret: Path) -> None:
    pod.write("leaves/a/leaf.json", b'{"leaf": "' + b"a" * 2**20 + b'"}')
    pod.write("progress.json", b"[" * 2**20)


@pytest.mark.parametrize(
    "attack",
    [
        _symlink_samples,
        _hardlink_samples,
        _symlink_folder,
        _fifo,
        _linked_logs,
        _folders_are_links,
        _folders_are_files,
        _linked_checkpoint,
        _linked_result,
        _no_json,
        _names_that_no_one_expects,
        _forged_names,
        _forged_leaf,
        _endless_json,
    ],
    ids=lambda attack: attack.__name__.strip("_"),
)
def test_a_hostile_engine_gets_nothing_into_the_bucket_and_stops_nothing(
    store: Store, make_pod: Callable[..., Pod], tmp_path: Path, attack: Callable[[Pod, Path], None]
) -> None:
    secret = tmp_path / "secret" / "AWS_SECRET_ACCESS_KEY"
    secret.parent.mkdir()
    secret.write_bytes(b"do not upload me\n")
    pod = make_pod(store, start_run(store, "a", "honest"))
    attack(pod, secret)
    pod.flush()
    assert keys(store) == set()
    pod.sync.acknowledge()
    assert sorted(path.name for path in secret.parent.iterdir() if path.stat().st_size == 0) == []
    if not (pod.out / "leaves").exists() or ((pod.out / "leaves").is_dir() and not (pod.out / "leaves").is_symlink()):
        pod.finish_leaf("honest")
        pod.flush()
        assert keys(store) == {".run/1-pod/samples/honest.jsonl", ".run/leaves/honest/1-pod.json"}


def test_a_file_beyond_its_bound_is_left_out(
    store: Store, make_pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "_MAX_SAMPLES_BYTES", 10)
    pod = make_pod(store, start_run(store, "a"))
    pod.finish_leaf("a")
    pod.flush()
    assert keys(store) == set()


def test_a_writer_that_was_overtaken_changes_nothing_of_its_successor(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    """A pod on a lost node goes on writing after the next attempt has finished: neither sees the other's files."""
    inputs = start_run(store, "a", "b")
    first = make_pod(store, inputs, 1)
    first.finish_leaf("a")
    first.flush()
    second = make_pod(store, inputs, 2)
    second.finish_leaf("b", SAMPLES)
    second.flush()
    before = {key: store.get_bytes(f"{LAYOUT.root}/{key}", 1000) for key in keys(store)}
    chosen = standing(inputs, leaf_records(store, LAYOUT)).chosen
    assert {leaf: record.attempt for leaf, record in chosen.items()} == {"a": 1, "b": 2}
    first.finish_leaf("b", b'{"output": "late"}\n')
    first.flush()
    after = {key: store.get_bytes(f"{LAYOUT.root}/{key}", 1000) for key in keys(store)}
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {".run/1-pod/samples/b.jsonl", ".run/leaves/b/1-pod.json"}


@pytest.mark.deep
def test_nothing_is_lost_when_the_store_is_away_between_the_last_sample_and_the_acknowledgement(
    make_pod: Callable[..., Pod], own_server: S3Server
) -> None:
    """20 tries, each with the server killed at another moment after the engine's result."""
    with closing(own_server.client()) as client:
        client.create_bucket(Bucket="own")
    settings = S3Settings(own_server.access_key, own_server.secret_key, "own", own_server.endpoint)
    store = S3Store(settings, timeout_seconds=2, attempts=1)
    for number in range(20):
        inputs = start_run(store, *(f"leaf{number}x{n}" for n in range(4)))
        pod = make_pod(store, inputs, 1, f"pod{number}")
        for leaf in inputs.leaves:
            pod.finish_leaf(leaf.id)
        pod.write("result.json", EngineResult(exit_code=0, leaves_done=4, leaves_failed=0, samples=8).to_json())
        stop = threading.Event()
        thread = threading.Thread(target=follow, args=(pod.sync, stop))
        thread.start()
        stop.wait(number * 0.004)
        own_server.stop(kill=True)
        acknowledged = (pod.work / "sync/ack").exists()
        own_server.start()
        if acknowledged:
            assert standing(inputs, leaf_records(store, LAYOUT)).complete
        deadline = time.monotonic() + 60
        while not (pod.work / "sync/ack").exists() and time.monotonic() < deadline:
            stop.wait(0.05)
        stop.set()
        thread.join()
        assert (pod.work / "sync/ack").exists()
        assert standing(inputs, leaf_records(store, LAYOUT)).complete


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (b"", "it is empty"),
        (SAMPLES + b"not json\n", "line 3 is not JSON"),
        (SAMPLES + b'{"b": 2', "line 3 is cut off"),
        (SAMPLES + b'{"question": 1, "response": 2}\n', "line 3 has no text as 'question'"),
        (None, "there is no samples.jsonl"),
    ],
    ids=["empty", "no JSON", "cut off", "no text", "absent"],
)
def test_samples_that_cannot_be_mixed_fail_their_leaf_and_say_why(
    store: Store, make_pod: Callable[..., Pod], samples: bytes | None, why: str
) -> None:
    inputs = start_run(store, "a")
    pod = make_pod(store, inputs)
    pod.finish_leaf("a", samples or b"")
    if samples is None:
        (pod.out / "leaves/a/samples.jsonl").unlink()
    pod.flush()
    [failed] = standing(inputs, leaf_records(store, LAYOUT)).failed
    [record] = leaf_records(store, LAYOUT)
    assert (failed.id, record.reason) == ("a", "InvalidSamples")
    assert why in (record.message or "")
    assert keys(store) == {".run/leaves/a/1-pod.json"}


def test_a_checkpoint_that_is_still_being_written_is_carried_once_it_is_whole(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    """Our engine renames whole files into place; another one may not."""
    pod = make_pod(store, start_run(store, "a"))
    pod.write("checkpoints/a/batch-0.jsonl", b'{"cut": ')
    pod.sync.flush(now=0.0)
    assert keys(store) == set()
    pod.write("checkpoints/a/batch-0.jsonl", b'{"cut": 1}\n')
    pod.sync.flush(now=1000.0)
    assert keys(store) == {".run/1-pod/checkpoints/a/batch-0.jsonl"}


def test_of_a_long_log_the_end_is_kept(
    store: Store, make_pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "_MAX_LOG_BYTES", 10)
    pod = make_pod(store, start_run(store, "a"))
    pod.write("logs/engine.log", b"x" * 100 + b"the end...")
    pod.flush()
    assert store.get_bytes(LAYOUT.log(1, "pod", "engine.log"), 1000) == b"the end..."


def test_a_file_that_grows_while_it_is_read_is_bounded(
    store: Store, make_pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = make_pod(store, start_run(store, "a"))
    file = pod.write("grows", b"x" * 2**20)
    blocks = pod.sync.work.blocks("out/grows", 3 * 2**20)
    for _ in range(3):
        next(blocks)
        with file.open("ab") as more:
            more.write(b"x" * 2**20)
    with pytest.raises(Untrusted, match="more than"):
        next(blocks)


def test_a_sync_that_is_started_again_goes_on_where_the_killed_one_was(
    store: Store, make_pod: Callable[..., Pod], tmp_path: Path
) -> None:
    pod = make_pod(store, start_run(store, "a", "b"))
    pod.finish_leaf("a")
    pod.write("checkpoints/b/batch-0.jsonl", b"{}\n")
    pod.flush()
    etags = {info.key: info.etag for info in store.list("")}
    again = take_up(store, LAYOUT, pod.work, tmp_path, attempt=1, shard=0, pod="pod")
    assert (again.recorded, again.carried) == ({"a"}, {"b": {"batch-0.jsonl"}})
    # What is recorded is frozen, whatever the engine makes of its file later.
    pod.finish_leaf("a", b'{"question": "other"}\n')
    again.flush(time.monotonic(), whole=True)
    assert {info.key: info.etag for info in store.list("")} == etags
    pod.finish_leaf("b")
    again.flush(time.monotonic(), whole=True)
    assert not any("/checkpoints/" in key for key in keys(store))


def test_checkpoints_of_a_later_attempt_are_left_to_it(store: Store, make_pod: Callable[..., Pod]) -> None:
    """A pod that was given up and starts its sync again must not clear away what its successor has done."""
    inputs = start_run(store, "a")
    first = make_pod(store, inputs, 1)
    second = make_pod(store, inputs, 2)
    second.write("checkpoints/a/batch-1.jsonl", b"{}\n")
    second.flush()
    first.write("checkpoints/a/batch-0.jsonl", b"{}\n")
    first.flush()
    again = take_up(store, LAYOUT, first.work, first.work.parent, attempt=1, shard=0, pod="pod")
    first.finish_leaf("a")
    again.flush(time.monotonic(), whole=True)
    assert [key for key in keys(store) if "/checkpoints/" in key] == [".run/2-pod/checkpoints/a/batch-1.jsonl"]


def test_checkpoints_that_a_killed_pod_could_not_clear_away_are_removed_by_the_next(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    """Killed right after the record of a leaf, in its own pod and in an earlier one."""
    inputs = start_run(store, "a", "b", "c")
    first = make_pod(store, inputs, 1)
    for leaf in ("a", "b", "c"):
        first.write(f"checkpoints/{leaf}/batch-0.jsonl", b"{}\n")
    first.flush()
    first.sync.carried.clear()
    first.finish_leaf("a")
    first.flush()
    assert sum("/checkpoints/" in key for key in keys(store)) == 3
    missing = standing(inputs, leaf_records(store, LAYOUT)).missing
    store.put_bytes(LAYOUT.attempt_plan(2), plan_attempt(2, missing, 1).to_json())
    second = Pod(store, first.work.parent, 2)
    second.flush()
    assert sorted(key for key in keys(store) if "/checkpoints/" in key) == [
        ".run/1-pod/checkpoints/b/batch-0.jsonl",
        ".run/1-pod/checkpoints/c/batch-0.jsonl",
    ]
    second.sync.earlier.clear()
    second.finish_leaf("b")
    second.flush()
    again = take_up(store, LAYOUT, second.work, second.work.parent, attempt=2, shard=0, pod="pod")
    again.flush(time.monotonic())
    assert [key for key in keys(store) if "/checkpoints/" in key] == [".run/1-pod/checkpoints/c/batch-0.jsonl"]


def test_a_store_that_refuses_to_delete_hinders_nothing_else(
    store: Store, make_pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that keeps objects for a time (object lock), or whose key has lost that right."""
    asked: list[str] = []

    def refuse(_: Store, key: str) -> None:
        asked.append(key)
        raise StorageRefused("AccessDenied", "could not delete")

    monkeypatch.setattr(type(store), "delete", refuse)
    pod = make_pod(store, start_run(store, "a"))
    pod.write("checkpoints/a/batch-0.jsonl", b"{}\n")
    pod.flush()
    pod.finish_leaf("a")
    pod.write("progress.json", Progress(phase="generating", leaf="a", samples=2).to_json())
    pod.write("logs/engine.log", b"line\n")
    pod.write("result.json", EngineResult(exit_code=0, leaves_done=1, leaves_failed=0, samples=2).to_json())
    stop = threading.Event()
    stop.set()
    follow(pod.sync, stop)
    assert (pod.work / "sync/ack").exists()
    assert {LAYOUT.progress(1, 0), LAYOUT.log(1, "pod", "engine.log")} <= {info.key for info in store.list("")}
    pod.flush()
    assert len(asked) == 1, "it is left alone for a while"
    assert caplog.text.count("checkpoints of recorded leaves stay") == 1


def test_a_record_that_is_there_is_not_written_again_whatever_was_listed(
    store: Store, make_pod: Callable[..., Pod]
) -> None:
    """The mix may be frozen on it, and the engine may have changed its files."""
    pod = make_pod(store, start_run(store, "a"))
    pod.finish_leaf("a")
    pod.flush()
    before = {info.key: store.get_bytes(info.key, 1000) for info in store.list(LAYOUT.pods)}
    pod.finish_leaf("a", b'{"question": "Other?"}\n')
    pod.sync.recorded.clear()
    pod.flush()
    assert {info.key: store.get_bytes(info.key, 1000) for info in store.list(LAYOUT.pods)} == before
    assert pod.sync.recorded == {"a"}


def test_a_record_that_a_store_said_it_took_and_did_not_is_written_again_before_checkpoints_go(
    store: Store, make_pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = make_pod(store, start_run(store, "a"))
    pod.write("checkpoints/a/batch-0.jsonl", b"{}\n")
    pod.flush()
    pod.finish_leaf("a")
    with monkeypatch.context() as deaf:
        deaf.setattr(type(store), "put_bytes", lambda *_: None)
        with pytest.raises(StorageUnavailable, match="said that it took"):
            pod.flush()
    assert any("/checkpoints/" in key for key in keys(store))
    pod.flush()
    assert keys(store) == {".run/1-pod/samples/a.jsonl", ".run/leaves/a/1-pod.json"}
