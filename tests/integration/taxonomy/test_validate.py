"""The validate container's program, started as in its pod: a real bucket, real Git servers, its termination message."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.s3 import S3Access, S3Server
from hack.demo.bucket import taxonomy_archive
from hack.gitserver.certificates import Certificates
from hack.gitserver.server import make_repository
from sdg_operator.engine.contract import ExitCode
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.records import SnapshotIndex
from sdg_operator.taxonomy.report import SERVICE_TEXT, FullReport, ShortReport
from sdg_operator.taxonomy.request import REQUEST_ENV, TERMINATION_LOG_ENV
from tests.git.https import HttpsGitServer
from tests.git.repositories import BareRepository, Submodule
from tests.git.ssh import SshGitServer
from tests.taxonomies.archives import GOOD
from tests.taxonomies.making import Tree, document, knowledge, packed, skill

KEY = "taxonomies/taxonomy.tar.gz"
REPORT = "taxonomies/.reports/uid/1.json"
EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@dataclass
class Pod:
    """What a validate pod has: the Secret's files, a work folder, a request; and the bucket it meets."""

    s3: S3Access
    folder: Path
    certificates: Certificates
    bucket: str
    secret: dict[str, str] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=lambda: {"allowedRanges": ["127.0.0.0/8", "::1/128"]})
    log: str = ""

    @property
    def client(self) -> Any:
        return self.s3.client()

    def upload(self, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=KEY, Body=body)

    def download(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    @property
    def message(self) -> Path:
        return self.folder / "message"

    def start(self, source: dict[str, Any] | None = None, **request: Any) -> "subprocess.Popen[str]":
        storage, work = self.folder / "storage", self.folder / "work"
        for made in (storage, work):
            made.mkdir(exist_ok=True)
        for key, value in self.secret.items():
            (storage / key).write_text(value)
        body = {
            "source": source or {"bucket": {"key": KEY}},
            "reportKey": REPORT,
            "storageFolder": str(storage),
            "workFolder": str(work),
            "caFile": str(self.certificates.authority),
            "network": self.network,
            **request,
        }
        environment = {**os.environ, REQUEST_ENV: json.dumps(body), TERMINATION_LOG_ENV: str(self.message)}
        command = [sys.executable, "-m", "sdg_operator.taxonomy.validate"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, source: dict[str, Any] | None = None, **request: Any) -> tuple[int, ShortReport]:
        with self.start(source, **request) as process:
            self.log, _ = process.communicate()
        text = self.message.read_text()
        assert len(text.encode()) <= 3072
        report = ShortReport.from_text(text)
        assert report is not None
        return process.returncode, report

    def full_report(self) -> FullReport:
        return FullReport.model_validate_json(self.download(REPORT))

    def snapshot(self, report: ShortReport) -> dict[str, bytes]:
        """Fetch the snapshot as a run does: the digest must be the file's."""
        assert report.digest
        assert report.snapshot_key == snapshot_key(report.digest)
        content = self.download(report.snapshot_key)
        assert f"sha256:{sha256(content).hexdigest()}" == report.digest
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return {member.name: _read(archive, member) for member in archive.getmembers()}


def _commands() -> list[str]:
    """Command lines of all that runs here, but for those who have just ended."""
    files = Path("/proc").glob("[0-9]*/cmdline")
    found = []
    for file in files:
        with suppress(OSError):
            found.append(file.read_bytes().decode(errors="replace"))
    return found


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


@pytest.fixture
def pod(s3: S3Access, tmp_path: Path, certificates: Certificates, request: pytest.FixtureRequest) -> Pod:
    bucket = f"b-{sha256(request.node.name.encode()).hexdigest()[:20]}"
    made = Pod(s3, tmp_path / "pod", certificates, bucket)
    made.folder.mkdir()
    made.client.create_bucket(Bucket=bucket)
    made.secret = {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_S3_ENDPOINT": s3.endpoint,
        "AWS_S3_BUCKET": bucket,
    }
    return made


def skills(**leaves: str) -> Tree:
    return {f"compositional_skills/{name}/qna.yaml": content for name, content in leaves.items()}


class TestBucketSource:
    def test_a_good_taxonomy_gives_a_snapshot_of_its_leaves(self, pod: Pod) -> None:
        pod.upload(
            packed({**{f"top/{name}": text for name, text in skills(a=skill(), b=skill()).items()}, "top/x": "y"})
        )
        code, report = pod.run()
        assert (code, report.ok, report.reason) == (ExitCode.OK, True, "Valid")
        assert (report.counts.leaves, report.counts.freeform, report.counts.seeds) == (2, 2, 10)
        assert report.revision == pod.client.head_object(Bucket=pod.bucket, Key=KEY)["ETag"].strip('"')
        files = pod.snapshot(report)
        assert list(files) == [
            "index.json",
            "taxonomy/compositional_skills/a/qna.yaml",
            "taxonomy/compositional_skills/b/qna.yaml",
        ]
        index = SnapshotIndex.model_validate_json(files["index.json"])
        assert [(leaf.id, leaf.path, leaf.kind, leaf.seeds) for leaf in index.leaves] == [
            ("compositional_skills_a", "compositional_skills->a", "freeform", 5),
            ("compositional_skills_b", "compositional_skills->b", "freeform", 5),
        ]
        assert pod.full_report().leaves == index.leaves
        assert pod.full_report().root == "top"

    def test_the_example_gives_a_snapshot_with_its_document(self, pod: Pod, server: HttpsGitServer) -> None:
        commit = make_repository(EXAMPLES / "documents" / "birds", server.root / "birds.git")
        archive = taxonomy_archive(EXAMPLES / "taxonomy")
        content = gzip.decompress(archive)
        assert commit.encode() in content, "the example names the commit that its documents give"
        pod.upload(_readdressed(archive, b"https://documents.sdg-demo.svc/birds.git", server.url("birds.git")))
        code, report = pod.run()
        assert (code, report.message) == (
            ExitCode.OK,
            "3 leaves (1 knowledge, 2 skills) with 15 seed examples and 1 document",
        )
        files = pod.snapshot(report)
        name = "documents/knowledge_science_animals_birds_house_sparrow/house_sparrow.md"
        assert files[name] == (EXAMPLES / "documents" / "birds" / "house_sparrow.md").read_bytes()
        index = SnapshotIndex.model_validate_json(files["index.json"])
        knowledge_leaf = index.leaves[2]
        assert (knowledge_leaf.documents, knowledge_leaf.document_bytes) == ((name,), len(files[name]))
        (repository,) = index.repositories
        assert (repository.asked, repository.commit, repository.leaves) == (commit, commit, (knowledge_leaf.id,))
        assert pod.full_report().repositories == index.repositories

    def test_the_same_content_gives_the_same_digest_however_it_is_packed(self, pod: Pod) -> None:
        tree = skills(a=skill(), b=skill())
        pod.upload(packed(tree))
        _, first = pod.run()
        pod.upload(
            packed({f"repo-v2/{name}": text for name, text in reversed(tree.items())} | {"repo-v2/README": "new"})
        )
        _, second = pod.run()
        pod.upload(packed(skills(a=skill(), b=skill(task_description="Do it well."))))
        _, third = pod.run()
        assert first.digest == second.digest
        assert first.revision != second.revision
        assert third.digest != second.digest
        before = {
            leaf.id: leaf.digest
            for leaf in SnapshotIndex.model_validate_json(pod.snapshot(second)["index.json"]).leaves
        }
        after = {
            leaf.id: leaf.digest for leaf in SnapshotIndex.model_validate_json(pod.snapshot(third)["index.json"]).leaves
        }
        assert {name for name in before if before[name] != after[name]} == {"compositional_skills_b"}

    def test_a_broken_taxonomy_is_reported_with_file_line_and_column(self, pod: Pod) -> None:
        pod.upload(packed(skills(a=skill().replace("Do it.", "Do it.  "), b=skill(created_by=None))))
        code, report = pod.run(lint="Strict")
        assert (code, report.reason, report.digest) == (ExitCode.INVALID_INPUT, "InvalidTaxonomy", None)
        assert report.message == (
            "Failed to process invalid taxonomy files.  See detailed logs in COS. 2 problems in 2 files, the first: "
            "compositional_skills/a/qna.yaml:3:25 trailing spaces (trailing-spaces)"
        )
        assert [(problem.file, problem.line, problem.column) for problem in report.problems] == [
            ("compositional_skills/a/qna.yaml", 3, 25),
            ("compositional_skills/b/qna.yaml", 1, 1),
        ]
        assert report.report_key == REPORT
        assert pod.full_report().problems == report.problems
        assert "ERROR compositional_skills/a/qna.yaml:3:25 trailing spaces" in pod.log

    def test_form_alone_makes_no_taxonomy_unusable(self, pod: Pod) -> None:
        pod.upload(packed(skills(a=skill().replace("Do it.", "Do it.  "))))
        code, report = pod.run()
        assert (code, report.ok, report.problems) == (ExitCode.OK, True, ())
        full = pod.full_report()
        assert [str(warning) for warning in full.warnings] == [
            "compositional_skills/a/qna.yaml:3:25 trailing spaces (trailing-spaces)"
        ]
        assert full.form == 1

    def test_the_worst_taxonomy_still_gives_a_short_report(self, pod: Pod) -> None:
        wide = 'ü日"' * 40
        pod.upload(packed({f"compositional_skills/{wide}{n}/qna.yaml": "- \n  -  x \n" for n in range(200)}))
        code, report = pod.run()
        assert code == ExitCode.INVALID_INPUT
        assert report.problems
        assert report.problems_total == len(pod.full_report().problems) >= 200

    def test_documents_that_cannot_be_fetched_are_reported_in_the_services_words(self, pod: Pod) -> None:
        pod.network = {}
        url = "https://127.0.0.1/x.git"
        pod.upload(packed({"knowledge/a/qna.yaml": knowledge(document=document(repo=url)), **skills(b=skill())}))
        code, report = pod.run()
        assert (code, report.reason, report.retriable) == (ExitCode.INVALID_INPUT, "CloneFailed", False)
        assert report.message.startswith("Failed to clone knowledge document repository.  See detailed logs in COS. ")
        assert report.problems[0].line == 47
        assert "loopback" in report.problems[0].message

    def test_patterns_that_match_nothing_are_reported_in_the_services_words(
        self, pod: Pod, server: HttpsGitServer, birds: BareRepository
    ) -> None:
        birds.commit({"a.txt": "x"})
        pod.upload(packed({"knowledge/a/qna.yaml": knowledge(document=document(repo=server.url("birds.git")))}))
        code, report = pod.run()
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, "DocumentsNotFound")
        assert report.message.startswith("Failed to find knowledge documents. See detailed logs in COS. ")

    def test_a_fault_of_a_document_repository_is_told_from_one_of_the_taxonomy(
        self, pod: Pod, server: HttpsGitServer, birds: BareRepository
    ) -> None:
        pod.upload(packed({"knowledge/a/qna.yaml": knowledge(document=document(repo=server.url("birds.git")))}))
        birds.commit({"a.md": ""})
        _, report = pod.run()
        assert (report.reason, report.external) == ("InvalidTaxonomy", True)
        assert pod.full_report().external
        birds.commit({"a.md": "# Birds\n\nThey fly.\n"})
        _, report = pod.run()
        assert (report.reason, report.external) == ("Valid", False)
        pod.upload(packed(skills(a=skill(created_by=None))))
        _, report = pod.run()
        assert (report.reason, report.external) == ("InvalidTaxonomy", False)

    @pytest.mark.parametrize(
        ("body", "reason", "want"),
        [
            (packed({"README.md": "x"}), "NoLeaves", "there is no compositional_skills or knowledge folder"),
            (b"PK\3\4", "ArchiveRefused", "it is a ZIP file"),
            (packed(dict(GOOD))[:-100], "ArchiveRefused", "is cut off or broken"),
        ],
    )
    def test_an_archive_that_is_none(self, pod: Pod, body: bytes, reason: str, want: str) -> None:
        pod.upload(body)
        code, report = pod.run()
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, reason)
        assert report.message.startswith(SERVICE_TEXT[report.reason])
        assert want in report.message
        assert report.revision

    def test_an_archive_that_is_too_large_is_not_downloaded(self, pod: Pod) -> None:
        pod.upload(packed(dict(GOOD)))
        code, report = pod.run(limits={"downloadBytes": 100})
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, "TooLarge")

    def test_there_is_no_such_object(self, pod: Pod) -> None:
        code, report = pod.run()
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, "SourceNotFound")
        assert report.message == (
            f"Failed to retrieve taxonomy from COS. there is no object '{KEY}' in the bucket; check the key, or upload "
            "the taxonomy"
        )


class TestStorage:
    @pytest.mark.parametrize(
        ("changes", "code", "reason", "detail"),
        [
            ({"AWS_S3_BUCKET": "nowhere"}, ExitCode.STORAGE_REFUSED, "StorageRefused", "BucketNotFound"),
            ({"AWS_SECRET_ACCESS_KEY": "wrong"}, ExitCode.STORAGE_REFUSED, "StorageRefused", "InvalidCredentials"),
            ({"AWS_S3_BUCKET": ""}, ExitCode.STORAGE_REFUSED, "StorageRefused", "SecretKeyMissing"),
            (
                {"AWS_S3_ENDPOINT": "http://127.0.0.1:9"},
                ExitCode.STORAGE_UNAVAILABLE,
                "StorageUnavailable",
                "Unreachable",
            ),
        ],
    )
    def test_a_store_that_cannot_be_used_is_told_apart(
        self, pod: Pod, changes: dict[str, str], code: ExitCode, reason: str, detail: str
    ) -> None:
        pod.secret |= changes
        got, report = pod.run()
        assert (got, report.reason, report.detail) == (code, reason, detail)
        assert report.report_key is None
        assert SERVICE_TEXT["SourceNotFound"] not in report.message, "it is not the taxonomy that cannot be had"
        assert report.retriable == (code == ExitCode.STORAGE_UNAVAILABLE)

    def test_a_git_secret_that_lacks_a_key_has_a_reason_of_its_own(
        self, pod: Pod, server: HttpsGitServer, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        credentials = [{"urlPrefix": server.url(""), "folder": str(tmp_path / "empty")}]
        _, report = pod.run({"git": {"url": server.url("tax.git")}}, credentials=credentials)
        assert (report.reason, report.revision) == ("SecretIncomplete", "")
        assert "have no key `password`" in report.message

    def test_a_request_that_is_none_is_told(self, pod: Pod) -> None:
        code, report = pod.run({"bucket": {"key": KEY}, "git": {"url": "https://x/y"}})
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, "InvalidRequest")
        assert "exactly one of bucket and git must be set" in report.message


class TestGitSource:
    @pytest.mark.deep
    def test_a_branch_a_tag_a_commit_and_a_sub_path(self, pod: Pod, server: HttpsGitServer) -> None:
        repository = BareRepository.create(server.root / "tax.git")
        first = repository.commit({f"tax/{name}": text for name, text in skills(a=skill()).items()})
        repository.git("tag", "v1")
        second = repository.commit({f"tax/{name}": text for name, text in skills(a=skill(), b=skill()).items()})
        url = server.url("tax.git")
        for ref, path, commit, leaves in [
            (None, None, second, 2),
            ("main", "tax", second, 2),
            ("v1", "/tax/", first, 1),
            (first, None, first, 1),
            (first[:10], None, first, 1),
        ]:
            git = {key: value for key, value in {"url": url, "ref": ref, "path": path}.items() if value}
            code, report = pod.run({"git": git})
            assert (code, report.revision, report.counts.leaves) == (ExitCode.OK, commit, leaves), report

    def test_one_that_is_ended_says_nothing_and_leaves_no_git_behind(
        self, pod: Pod, server: HttpsGitServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        BareRepository.create(server.root / "taxonomy.git").commit({"compositional_skills/a/qna.yaml": skill()})
        asked, ended = threading.Event(), threading.Event()

        def keep_waiting(_handler: Any) -> None:
            asked.set()
            ended.wait(120)

        monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", keep_waiting)
        url = server.url("taxonomy.git")
        with pod.start({"git": {"url": url}}) as process:
            assert asked.wait(60)
            assert any(url in command for command in _commands())
            process.terminate()
            pod.log, _ = process.communicate(timeout=60)
            ended.set()
        assert process.returncode == ExitCode.INTERRUPTED
        assert not pod.message.exists()
        assert not any(url in command for command in _commands())

    def test_only_what_is_new_against_a_base(self, pod: Pod, server: HttpsGitServer) -> None:
        repository = BareRepository.create(server.root / "tax.git")
        base = repository.commit(skills(a=skill(), b=skill(), c=skill()))
        repository.git("branch", "work")
        changed = skills(a=skill(), b=skill(task_description="Do it well."), d=skill())
        repository.commit(changed, branch="work")
        repository.commit(skills(a=skill(task_description="Elsewhere."), b=skill(), c=skill()))
        code, report = pod.run({"git": {"url": server.url("tax.git"), "ref": "work", "baseRef": "main"}})
        assert code == ExitCode.OK, report
        assert [leaf.id for leaf in pod.full_report().leaves] == ["compositional_skills_b", "compositional_skills_d"]
        code, report = pod.run({"git": {"url": server.url("tax.git"), "ref": "main", "baseRef": "main"}})
        assert (code, report.reason) == (ExitCode.INVALID_INPUT, "NoLeaves")
        assert "no qna.yaml is new or changed against the base ref" in report.message
        assert base

    @pytest.mark.deep
    def test_over_ssh_with_documents_over_https(
        self, pod: Pod, ssh_server: SshGitServer, server: HttpsGitServer, birds: BareRepository, tmp_path: Path
    ) -> None:
        birds.commit({"a.md": "# Birds\n\nThey fly.\n"})
        leaf = knowledge(document=document(repo=server.url("birds.git")))
        commit = BareRepository.create(ssh_server.root / "tax.git").commit({"knowledge/a/qna.yaml": leaf})
        url = ssh_server.url("tax.git")
        secret = ssh_server.secret(tmp_path / "secret")
        code, report = pod.run({"git": {"url": url}}, credentials=[{"urlPrefix": url, "folder": str(secret)}])
        assert (code, report.revision, report.counts.documents) == (ExitCode.OK, commit, 1), report

    @pytest.mark.deep
    @pytest.mark.parametrize(
        ("git", "reason", "want"),
        [
            ({"url": "gone.git"}, "SourceRefused", "does not exist (404)"),
            ({"ref": "nowhere"}, "SourceRefused", "has no commit, branch or tag 'nowhere'"),
            ({"path": "nowhere"}, "SourceRefused", "the repository has no folder 'nowhere' at this commit"),
            ({"path": "README"}, "SourceRefused", "the repository has no folder 'README' at this commit"),
            ({"path": "../x"}, "SourceRefused", "leaves the repository (..)"),
            ({"url": "http://localhost/x.git"}, "SourceRefused", "a URL http:// is not accepted"),
            ({"url": "https://localhost:1/x.git"}, "SourceUnavailable", "does not answer"),
            ({"ref": "main", "baseRef": "nowhere"}, "SourceRefused", "has no commit, branch or tag 'nowhere'"),
            ({"ref": "empty"}, "NoLeaves", "there is no compositional_skills or knowledge folder"),
            ({"ref": "modules"}, "InvalidTaxonomy", "knowledge/birds is a Git submodule, and those are not fetched"),
            ({"ref": "modules-only"}, "NoLeaves", "knowledge is a Git submodule, and those are not fetched"),
        ],
    )
    def test_what_is_wrong_with_the_source_is_said(
        self, pod: Pod, server: HttpsGitServer, git: dict[str, str], reason: str, want: str
    ) -> None:
        repository = BareRepository.create(server.root / "tax.git")
        repository.commit({**skills(a=skill()), "README": "x"})
        repository.commit({"README": "x"}, branch="empty")
        other = Submodule("d" * 40)
        repository.commit({**skills(a=skill()), "knowledge/birds": other, "docs": other}, branch="modules")
        repository.commit({"knowledge": other}, branch="modules-only")
        url = git.get("url", "tax.git")
        _, report = pod.run({"git": {**git, "url": url if "://" in url else server.url(url)}})
        assert report.reason == reason, report
        assert want in report.message
        assert report.retriable == (reason == "SourceUnavailable")


def _readdressed(archive: bytes, old: bytes, new: str) -> bytes:
    """Name another document server in every file of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as source:
        return packed({item.name: _read(source, item).replace(old, new.encode()) for item in source.getmembers()})
