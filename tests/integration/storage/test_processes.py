"""Pods as real processes against a real S3 server: stopped, overtaken, killed, refused, and left alone."""

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.processes import Server, free_port
from hack.cluster.s3 import S3Access
from hack.cluster.tools import tool
from sdg_operator.engine.contract import ExitCode, LeafResult
from sdg_operator.storage.fetch import leaf_records
from sdg_operator.storage.ledger import plan_attempt, plan_mix, standing
from sdg_operator.storage.records import RunInputs
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import Store
from tests.integration.peak import peak_bytes
from tests.integration.storage.ledgers import DIGEST, LAYOUT, start_run
from tests.integration.storage.pods import Containers, mount, wait_until

pytestmark = pytest.mark.deep  # series of kills, and a measure of memory

MIB = 2**20


@pytest.fixture
def secret(settings: S3Settings, tmp_path: Path) -> Path:
    return mount(tmp_path / "secret", settings)


@pytest.fixture
def s3(settings: S3Settings) -> S3Store:
    return S3Store(settings, timeout_seconds=10)


def contents(store: Store) -> dict[str, bytes]:
    return {info.key: store.get_bytes(info.key, 100 * MIB) for info in store.list(LAYOUT.pods)}


def finished(store: Store) -> set[str]:
    """Batches that need not be made again: their checkpoints, or records of their leaves, are in the bucket."""
    done = {f"{record.leaf}/batch-{batch:06d}.jsonl" for record in leaf_records(store, LAYOUT) for batch in range(5)}
    keys = [LAYOUT.checkpoint(info.key) for info in store.list(LAYOUT.pods)]
    return done | {f"{key.leaf}/{key.name}" for key in keys if key}


def assert_records_hold(store: Store, inputs: RunInputs) -> None:
    """Each leaf has a record, and what it names is there byte by byte."""
    chosen = standing(inputs, leaf_records(store, LAYOUT)).chosen
    assert set(chosen) == {leaf.id for leaf in inputs.leaves}
    for record in chosen.values():
        assert record.data is not None
        body = store.get_bytes(record.data.key, 100 * MIB)
        assert (len(body), body.count(b"\n")) == (record.data.size, record.data.lines)
        assert hashlib.sha256(body).hexdigest() == record.data.sha256


@pytest.mark.parametrize("stopped_after", [1, 8])
def test_a_stopped_pod_that_is_overtaken_and_goes_on_changes_nothing_of_its_successor(
    s3: S3Store, secret: Path, tmp_path: Path, stopped_after: int
) -> None:
    """The pod of a lost node: stopped at some point, given up, and continued when all is over."""
    inputs = start_run(s3, "a", "b", "c")
    first = Containers(tmp_path, secret, 1, "first")
    assert first.fetch().returncode == 0
    processes = [first.start_sync(), first.start_engine("--word", "first", "--pause", "0.1")]
    wait_until(lambda: len(finished(s3)) >= stopped_after)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    in_bucket = finished(s3)

    s3.put_bytes(
        LAYOUT.attempt_plan(2),
        plan_attempt(2, standing(inputs, leaf_records(s3, LAYOUT)).missing, 1).to_json(),
    )
    second = Containers(tmp_path, secret, 2, "second")
    assert second.fetch().returncode == 0
    sync, engine = second.start_sync(), second.start_engine("--word", "second")
    assert engine.wait(60) == 0
    sync.terminate()
    assert sync.wait(60) == 0
    assert_records_hold(s3, inputs)
    frozen = plan_mix(inputs, standing(inputs, leaf_records(s3, LAYOUT)))
    before = contents(s3)

    for process in processes:
        process.send_signal(signal.SIGCONT)
    assert processes[1].wait(60) == 0
    processes[0].terminate()
    assert processes[0].wait(60) == 0
    after = contents(s3)
    own = (f"{LAYOUT.pods}1-first/", LAYOUT.progress(1, 0))
    for key, body in before.items():
        if not key.startswith(own):
            assert after[key] == body, key
    assert all(key.startswith(own) or key.endswith("/1-first.json") for key in after.keys() - before.keys())
    # What was frozen for the mix is still there, byte by byte; and whoever looks now finds whole leaves too.
    for source in frozen.sources:
        assert hashlib.sha256(after[source.data.key]).hexdigest() == source.data.sha256
        rows = [json.loads(line) for line in after[source.data.key].splitlines()]
        assert [(row["batch"], row["row"]) for row in rows] == [(b, r) for b in range(5) for r in range(3)]
    assert_records_hold(s3, inputs)
    assert not in_bucket & set(second.made())


def test_a_sync_that_is_killed_again_and_again_loses_nothing(s3: S3Store, secret: Path, tmp_path: Path) -> None:
    inputs = start_run(s3, *(f"leaf{number:02}" for number in range(12)))
    pod = Containers(tmp_path, secret)
    assert pod.fetch().returncode == 0
    chance = random.Random(7)
    kills = 0
    sync = pod.start_sync()
    wait_until(lambda: "carrying" in pod.said)
    engine = pod.start_engine("--pause", "0.15")
    while kills < 20:
        wait_until(lambda: pod.said.count("carrying") > kills)  # noqa: B023
        seen, more = len(finished(s3)), chance.randrange(1, 4)
        engine.send_signal(signal.SIGCONT)
        wait_until(lambda: len(finished(s3)) >= seen + more or pod.acknowledged)  # noqa: B023
        if pod.acknowledged:
            break
        sync.kill()
        # The engine does not run ahead of a sync that is only being started.
        engine.send_signal(signal.SIGSTOP)
        sync.wait()
        kills += 1
        sync = pod.start_sync()
    engine.send_signal(signal.SIGCONT)
    assert engine.wait(120) == 0
    wait_until(lambda: pod.said.count("carrying") > kills)
    sync.terminate()
    assert sync.wait(30) == 0
    assert kills >= 3
    print(f"{kills} kills")
    assert_records_hold(s3, inputs)
    assert [key for key in contents(s3) if "/checkpoints/" in key] == []
    assert [path for path in pod.spool.iterdir() if path.name.startswith("sync")] == []


def test_a_pod_that_is_killed_leaves_its_finished_batches_to_the_next_on_another_machine(
    s3: S3Store, secret: Path, tmp_path: Path
) -> None:
    """Six attempts, each killed at another point: every batch that reached the bucket is made once."""
    inputs = start_run(s3, *"abcdefgh")  # 40 batches: enough for six kills, however late each comes
    in_bucket: set[str] = set()
    for attempt in range(1, 7):
        missing = standing(inputs, leaf_records(s3, LAYOUT)).missing
        s3.put_bytes(LAYOUT.attempt_plan(attempt), plan_attempt(attempt, missing, 1).to_json())
        pod = Containers(tmp_path, secret, attempt, f"pod{attempt}")
        assert pod.fetch().returncode == 0
        processes = [pod.start_sync(), pod.start_engine("--word", f"attempt {attempt}", "--pause", "0.3")]
        wait_until(lambda: len(pod.made()) >= 3)  # noqa: B023
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        assert not in_bucket & set(pod.made())
        in_bucket |= finished(s3)
    missing = standing(inputs, leaf_records(s3, LAYOUT)).missing
    s3.put_bytes(LAYOUT.attempt_plan(7), plan_attempt(7, missing, 1).to_json())
    last = Containers(tmp_path, secret, 7, "last")
    assert last.fetch().returncode == 0
    sync, engine = last.start_sync(), last.start_engine()
    assert engine.wait(60) == 0
    sync.terminate()
    assert sync.wait(30) == 0
    assert not in_bucket & set(last.made())
    assert_records_hold(s3, inputs)
    assert [key for key in contents(s3) if "/checkpoints/" in key] == []


def _work_of_size(pod: Containers, size: int) -> None:
    row = b'{"output": "' + b"x" * 100_000 + b'"}\n'
    for path in ("leaves/a/samples.jsonl", "checkpoints/b/batch-000001.jsonl", "logs/engine.log"):
        file = pod.work / "out" / path
        file.parent.mkdir(parents=True)
        with file.open("wb") as out:
            for _ in range(size // len(row)):
                out.write(row)
    result = LeafResult(leaf="a", input_digest=DIGEST, outcome="done", samples=size // len(row))
    (pod.work / "out/leaves/a/leaf.json").write_bytes(result.to_json())
    (pod.work / "out/result.json").write_text("{}")


def test_memory_does_not_grow_with_the_files(s3: S3Store, secret: Path, tmp_path: Path) -> None:
    start_run(s3, "a", "b")
    pod = Containers(tmp_path, secret)
    assert pod.fetch().returncode == 0
    _work_of_size(pod, 400 * MIB)
    sync = pod.start_sync()
    wait_until(lambda: pod.acknowledged, 200)
    peak = peak_bytes(sync.pid)
    sync.terminate()
    assert sync.wait(30) == 0
    print(f"sync needed {peak // MIB} MiB for 1.2 GB of files")
    assert peak < 300 * MIB


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator["OwnServer"]:
    server = OwnServer(tmp_path / "s3")
    server.start("first-key")
    yield server
    server.stop()


class OwnServer:
    """An S3 server whose administrator changes the keys."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        (folder / "data" / "bucket").mkdir(parents=True)
        self._folder = folder
        self._server: Server | None = None

    def settings(self, key: str) -> S3Settings:
        return S3Settings("user", key, "bucket", f"http://127.0.0.1:{self.port}")

    def start(self, key: str) -> None:
        self._server = Server(
            "versitygw",
            [tool("versitygw"), "--port", f"127.0.0.1:{self.port}", "--quiet", "posix", self._folder / "data"],
            self._folder / "log",
            env={"ROOT_ACCESS_KEY": "user", "ROOT_SECRET_KEY": key},
        )
        self._server.start()
        self._server.wait_port(self.port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()


def test_credentials_that_are_changed_in_mid_run_are_taken_up(own_s3: OwnServer, tmp_path: Path) -> None:
    store = S3Store(own_s3.settings("first-key"))
    inputs = start_run(store, "a", "b", "c")
    secret = mount(tmp_path / "secret", own_s3.settings("first-key"))
    pod = Containers(tmp_path, secret)
    assert pod.fetch().returncode == 0
    sync, engine = pod.start_sync(), pod.start_engine("--pause", "0.1")
    wait_until(lambda: len(leaf_records(store, LAYOUT)) >= 1)
    own_s3.stop()
    own_s3.start("second-key")
    # Something to carry, should all be in the bucket already.
    (pod.work / "out/logs").mkdir()
    (pod.work / "out/logs/engine.log").write_text("a line\n")
    wait_until(lambda: "InvalidCredentials" in pod.said)
    mount(secret, own_s3.settings("second-key"))
    assert engine.wait(60) == 0
    sync.terminate()
    assert sync.wait(30) == 0
    assert_records_hold(S3Store(own_s3.settings("second-key")), inputs)
    assert "first-key" not in pod.said
    assert "second-key" not in pod.said


def test_a_sync_that_is_told_to_stop_while_the_store_is_away_flushes_when_it_is_back(
    own_s3: OwnServer, tmp_path: Path
) -> None:
    store = S3Store(own_s3.settings("first-key"))
    inputs = start_run(store, "a")
    pod = Containers(tmp_path, mount(tmp_path / "secret", own_s3.settings("first-key")))
    assert pod.fetch().returncode == 0
    sync = pod.start_sync()
    own_s3.stop()
    engine = pod.start_engine()
    wait_until((pod.work / "out/result.json").exists)
    wait_until(lambda: "trying again" in pod.said)
    sync.terminate()
    assert not pod.acknowledged
    own_s3.start("first-key")
    assert sync.wait(90) == 0
    assert engine.wait(30) == 0
    assert_records_hold(store, inputs)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tries", [2, pytest.param(20, marks=pytest.mark.deep)])
def test_a_store_that_goes_away_before_the_acknowledgement_loses_nothing_and_nothing_is_called_done(
    own_s3: OwnServer, tmp_path: Path, tries: int
) -> None:
    """In the first try surely before it, while samples are carried; in the others at chance, on either side of it."""
    store = S3Store(own_s3.settings("first-key"))
    secret = mount(tmp_path / "secret", own_s3.settings("first-key"))
    chance, cut = random.Random(7), 0
    for attempt in range(1, tries + 1):
        inputs = start_run(store, f"a{attempt}", f"b{attempt}", attempt=attempt)
        pod = Containers(tmp_path, secret, attempt=attempt)
        assert pod.fetch().returncode == 0
        sync, engine = pod.start_sync(), pod.start_engine("--rows", "200", "--hold")
        wait_until((pod.work / f"out/leaves/b{attempt}/samples.jsonl").exists)
        if attempt > 1:
            (pod.work / "go").touch()
            time.sleep(chance.uniform(0, 1.2))
        own_s3.stop()
        acknowledged = pod.acknowledged
        (pod.work / "go").touch()
        own_s3.start("first-key")
        if not acknowledged:
            cut += 1
            # In this order: sync goes on meanwhile.
            keys = {info.key.split("/")[-2] for info in store.list(LAYOUT.leaf_records)}
            whole = {record.leaf for record in leaf_records(store, LAYOUT)}
            assert keys <= whole, "a record names samples that are not there"
            wait_until(lambda: pod.acknowledged, 90)  # noqa: B023
        assert_records_hold(store, inputs)
        assert engine.wait(30) == 0
        sync.terminate()
        assert sync.wait(30) == 0
    print(f"{tries} tries, {cut} of them before the acknowledgement")
    assert cut >= 1


def test_a_sync_that_starts_while_the_store_is_away_waits_for_it(own_s3: OwnServer, tmp_path: Path) -> None:
    store = S3Store(own_s3.settings("first-key"))
    inputs = start_run(store, "a")
    pod = Containers(tmp_path, mount(tmp_path / "secret", own_s3.settings("first-key")))
    assert pod.fetch().returncode == 0
    own_s3.stop()
    sync, engine = pod.start_sync(), pod.start_engine()
    wait_until(lambda: "trying again" in pod.said)
    own_s3.start("first-key")
    assert engine.wait(90) == 0
    sync.terminate()
    assert sync.wait(30) == 0
    assert_records_hold(store, inputs)


def test_fetch_ends_with_the_code_of_its_trouble_and_one_line(
    s3: S3Store, settings: S3Settings, s3_server: S3Access, tmp_path: Path
) -> None:
    start_run(s3, "a")
    cases: list[tuple[dict[str, str], int, str]] = [
        ({}, ExitCode.OK, ""),
        ({"AWS_SECRET_ACCESS_KEY": "of-somebody-else"}, ExitCode.STORAGE_REFUSED, "InvalidCredentials: could not read"),
        ({"AWS_S3_BUCKET": "no-such-bucket"}, ExitCode.STORAGE_REFUSED, "BucketNotFound: could not read"),
        ({"AWS_S3_BUCKET": ""}, ExitCode.STORAGE_REFUSED, "SecretKeyMissing: the storage Secret has no AWS_S3_BUCKET"),
        ({"AWS_S3_ENDPOINT": "minio:9000"}, ExitCode.STORAGE_REFUSED, "InvalidSettings: cannot use endpoint"),
        (
            {"AWS_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
            ExitCode.STORAGE_UNAVAILABLE,
            "Unreachable: could not read",
        ),
    ]
    for number, (changes, code, says) in enumerate(cases):
        pod = Containers(tmp_path, mount(tmp_path / f"secret{number}", settings, **changes), 1, f"pod{number}")
        done = pod.fetch()
        assert (done.returncode, done.stderr.splitlines()[-1].startswith(says)) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
        assert "of-somebody-else" not in done.stderr
    absent = Containers(tmp_path, mount(tmp_path / "secret", settings), 9)
    done = absent.fetch()
    assert done.returncode == ExitCode.STORAGE_REFUSED
    assert "ObjectNotFound: there is no object 'synthetic_data/uid/.run/attempts/9.json'" in done.stderr
    assert os.listdir(absent.work) == []  # noqa: PTH208
