"""A whole run without Kubernetes: validate → fetch → engine and sync in shards → mix, each as the process of its pod.

Real S3 server, real Git server, real instructlab-sdg; the teacher is scripted. The operator's part, what to do next, is
played with its own pure functions. A run that is killed gives what a run without trouble gives, byte by byte.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from hack.cluster.s3 import S3Access
from hack.gitserver.certificates import make_certificates
from hack.gitserver.server import make_repository
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.estimate import expected_samples
from sdg_operator.reconcile import leaves as operator_leaves
from sdg_operator.storage.fetch import leaf_records
from sdg_operator.storage.layout import RunLayout, snapshot_key
from sdg_operator.storage.ledger import Standing, plan_attempt, plan_mix, standing
from sdg_operator.storage.records import (
    LeafInput,
    Manifest,
    RunIdentity,
    RunInputs,
    SampleSettings,
    SnapshotIndex,
)
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.taxonomy.report import ShortReport
from sdg_operator.taxonomy.request import REQUEST_ENV, TERMINATION_LOG_ENV
from tests.git.https import HttpsGitServer, https_git_server
from tests.integration.engine.leaves import Leaf
from tests.integration.engine.running import environment, start_engine
from tests.integration.storage.pods import Containers, mount, wait_until
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Pace, Step
from tests.teacher.server import Teacher

SETTINGS = SampleSettings(pipeline="simple", scale_factor=3, batch_size=2, model="teacher")
CONCURRENCY = 24
SHARDS = 2
LEAVES = (
    Leaf("compositional_skills/facts/wren", "freeform", seeds=9),
    Leaf("compositional_skills/facts/heron", "freeform", seeds=7),
    Leaf("compositional_skills/grounded/pike", "grounded", seeds=8),
    Leaf("compositional_skills/grounded/carp", "grounded", seeds=6),
    Leaf("knowledge/science/larch", "knowledge", sections=3),
    Leaf("knowledge/science/alder", "knowledge", sections=2, documents=2),
)
HELD = LEAVES[-1]


def archive(git: HttpsGitServer) -> bytes:
    """The taxonomy as a user packs it; documents lie in Git."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as packed:
        for leaf in LEAVES:
            url, commit = "", ""
            if leaf.kind == "knowledge":
                folder = git.root.parent / "documents" / leaf.name
                folder.mkdir(parents=True)
                for number, name in enumerate(leaf.document_names()):
                    (folder / name).write_text(leaf.document(number))
                commit = make_repository(folder, git.root / f"{leaf.name}.git")
                url = git.url(f"{leaf.name}.git")
            info = tarfile.TarInfo(f"taxonomy/{leaf.folder}/qna.yaml")
            text = leaf.qna(url, commit).encode()
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text))
    return body.getvalue()


@dataclass
class Place:
    """A bucket with a checked taxonomy in it, and the Secret that opens it."""

    settings: S3Settings
    folder: Path
    snapshot: str = ""
    leaves: tuple[LeafInput, ...] = ()
    store: S3Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = S3Store(self.settings)
        self.secret = mount(self.folder / "secret", self.settings)

    def validate(self, git: HttpsGitServer) -> None:
        self.store.put_bytes("taxonomies/taxonomy.tar.gz", archive(git))
        work, message = self.folder / "validate", self.folder / "message"
        work.mkdir()
        request = {
            "source": {"bucket": {"key": "taxonomies/taxonomy.tar.gz"}},
            "reportKey": "taxonomies/.reports/uid/1.json",
            "storageFolder": str(self.secret),
            "workFolder": str(work),
            "caFile": str(git.certificates.authority),
            "network": {"allowedRanges": ["127.0.0.0/8", "::1/128"]},
        }
        done = subprocess.run(
            [sys.executable, "-m", "sdg_operator.taxonomy.validate"],
            env={**os.environ, REQUEST_ENV: json.dumps(request), TERMINATION_LOG_ENV: str(message)},
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        report = ShortReport.from_text(message.read_text())
        assert report is not None
        assert report.digest is not None
        self.snapshot = report.digest
        with tarfile.open(fileobj=io.BytesIO(self.store.get_bytes(snapshot_key(report.digest), 2**24))) as packed:
            member = packed.extractfile("index.json")
            assert member is not None
            index = SnapshotIndex.model_validate_json(member.read())
        self.leaves = tuple(
            LeafInput(
                id=leaf.id,
                path=leaf.path,
                kind=leaf.kind,
                input_digest=operator_leaves.input_digest(leaf, "engine", SETTINGS),
                expected_samples=expected_samples(leaf.kind, leaf.seeds, leaf.document_bytes, SETTINGS),
            )
            for leaf in index.leaves
        )


@pytest.fixture(scope="module")
def place(s3_server: S3Access, s3_client: object, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("place")
    s3_client.create_bucket(Bucket="local-run")  # type: ignore[attr-defined]
    made = Place(S3Settings(s3_server.access_key, s3_server.secret_key, "local-run", s3_server.endpoint), folder)
    certificates = make_certificates(folder / "tls", ["localhost"])
    with https_git_server(folder / "repositories", certificates) as git:
        made.validate(git)
    # The documents' server is gone: from here on, the snapshot is all there is.
    return made


@dataclass
class Run:
    """A run, and the operator's part in it."""

    place: Place
    uid: str
    folder: Path
    attempt: int = 0

    def __post_init__(self) -> None:
        self.layout = RunLayout.of("synthetic_data", self.uid)
        self.inputs = RunInputs(
            run=RunIdentity(namespace="n", name="r", uid="the-same"),
            snapshot=self.place.snapshot,
            engine="engine",
            settings=SETTINGS,
            max_concurrency=CONCURRENCY,
            leaves=self.place.leaves,
        )
        self.place.store.put_bytes(self.layout.inputs, self.inputs.to_json())

    def standing(self) -> Standing:
        return standing(self.inputs, leaf_records(self.place.store, self.layout))

    def logged(self, attempt: int | None = None) -> set[str]:
        """Pods of an attempt, by default the latest, whose log is in the bucket."""
        found = self.place.store.list(f"{self.layout.root}/logs/{attempt or self.attempt}-")
        return {info.key.split("/")[3] for info in found}

    def next_attempt(self, shards: int) -> list["Shard"]:
        self.attempt += 1
        deal = plan_attempt(self.attempt, self.standing().missing, shards)
        self.place.store.put_bytes(self.layout.attempt_plan(self.attempt), deal.to_json())
        return [Shard(self, number) for number in range(len(deal.shards))]

    def mix(self, name: str) -> Manifest:
        self.place.store.put_bytes(self.layout.mix, plan_mix(self.inputs, self.standing()).to_json())
        work = self.folder / name
        work.mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, "-m", "sdg_operator.engine.mix", "--work", work, "--run-root", self.layout.root],
            env=environment(work, "", {"SDG_STORAGE_DIR": str(self.place.secret)}),
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return Manifest.model_validate_json(self.place.store.get_bytes(self.layout.manifest, 2**20))

    def files(self, manifest: Manifest) -> dict[str, bytes]:
        """The result as the manifest names it; each file must be what it says."""
        found = {file.path: self.place.store.get_bytes(self.layout.file(file.path), 2**26) for file in manifest.files}
        for file in manifest.files:
            assert (len(found[file.path]), found[file.path].count(b"\n")) == (file.size, file.lines)
        return found


class Shard:
    """The pod of one shard: fetch has run, sync and engine are running."""

    def __init__(self, run: Run, number: int) -> None:
        self.run = run
        self.pod = Containers(run.folder, run.place.secret, run.attempt, f"pod{number}", number, root=run.layout.root)
        fetched = self.pod.fetch()
        assert fetched.returncode == 0, fetched.stderr

    def start(self, teacher: RunningTeacher) -> None:
        self.sync = self.pod.start_sync()
        self.engine = start_engine(self.pod.work, teacher.url)

    def kill(self) -> None:
        for process in (self.engine, self.sync):
            process.kill()
            process.wait()

    def finish(self) -> None:
        assert self.engine.wait(400) == ExitCode.OK
        self.sync.terminate()
        assert self.sync.wait(60) == 0
        assert self.pod.acknowledged


def prompts(teacher: RunningTeacher, since: int = 0) -> list[str]:
    return [asked.prompts[0] for asked in teacher.teacher.asked[since:] if asked.prompts[0] != "Hello"]


def of_leaves(ids: Sequence[str], said: list[str]) -> list[str]:
    names = [f" {leaf.name}" for leaf in LEAVES if leaf.id in ids]
    return [prompt for prompt in said if any(name in prompt for name in names)]


@pytest.fixture(scope="module")
def quiet(place: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """What a run in one shard and without trouble gives, and how many prompts it needs."""
    run = Run(place, "quiet", tmp_path_factory.mktemp("quiet"))
    with running_teacher() as teacher:
        [shard] = run.next_attempt(1)
        shard.start(teacher)
        shard.finish()
        needed = len(prompts(teacher))
    return run.files(run.mix("mix")), needed


def _is_in_full_swing(run: Run, teacher: RunningTeacher, since: int, records: int, pods: int) -> bool:
    """So many leaves are done, each pod's log is in the bucket, and the held leaf has been asked for."""
    asked = of_leaves([HELD.id], prompts(teacher, since))
    return bool(asked) and len(run.standing().chosen) >= records and len(run.logged()) == pods


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.deep)])
def test_a_run_that_is_killed_gives_what_a_quiet_one_gives(
    place: Place, quiet: tuple[dict[str, bytes], int], tmp_path: Path, kills: int
) -> None:
    expected, needed = quiet
    run = Run(place, f"troubled-{kills}", tmp_path)
    with running_teacher(Teacher(pace=Pace(median=0.05, sigma=0.5, slots=4))) as teacher:
        # What is never answered holds the run up until the kill, however fast the machine is.
        teacher.teacher.script = [Step(action="silence", contains=f" {HELD.name}", times=-1)]
        for kill in range(kills):
            before, done = len(teacher.teacher.asked), list(run.standing().chosen)
            shards = run.next_attempt(SHARDS)
            for shard in shards:
                shard.start(teacher)
            wait_until(partial(_is_in_full_swing, run, teacher, before, 1 + 2 * kill, len(shards)), 300)
            for shard in shards:
                shard.kill()
            assert not of_leaves(done, prompts(teacher, before))
        teacher.teacher.script = []
        assert HELD.id in {leaf.id for leaf in run.standing().missing}
        before, done = len(teacher.teacher.asked), list(run.standing().chosen)
        shards = run.next_attempt(SHARDS)
        for shard in shards:
            shard.start(teacher)
        for shard in shards:
            shard.finish()
        assert not of_leaves(done, prompts(teacher, before))
        total = len(prompts(teacher))

    assert not run.standing().missing
    manifest = run.mix("mix")
    assert {leaf.path: leaf.actual for leaf in manifest.leaves}.keys() == {leaf.path for leaf in place.leaves}
    assert (manifest.failed, manifest.missing) == ((), ())
    got = run.files(manifest)
    assert got == expected
    assert {"knowledge_train_msgs.jsonl", "skills_train_msgs.jsonl", "logs/ilab_system_info.log"} < got.keys()
    assert manifest.samples.total == sum(
        got[f"{kind}_train_msgs.jsonl"].count(b"\n") for kind in ("knowledge", "skills")
    )
    print(f"{kills} kills of {SHARDS} shards: {needed} prompts needed, {total} asked")
    assert total >= needed
    # Nothing but results, records, samples and logs is left.
    assert not [info.key for info in place.store.list(run.layout.pods) if run.layout.checkpoint(info.key)]
    # A second mix writes the same bytes.
    assert run.files(run.mix("again")) == got
    assert run.logged(attempt=1) == {"1-pod0", "1-pod1"}
