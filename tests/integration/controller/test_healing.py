"""Every cause for which a bucket cannot be used has its own reason, and heals without a touch of the resource."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from hack.cluster.steps import wait_for
from hack.gitserver.certificates import Certificates, make_certificates
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.taxonomy.report import ShortReport
from tests.integration.controller.kubelet import Kubelet
from tests.integration.controller.objects import get, storage_secret, taxonomy
from tests.integration.controller.operators import SETTINGS, OperatorProcess
from tests.integration.storage.answers import Answer, faulty_store
from tests.integration.storage.tls import KEYS, tls_server

pytestmark = pytest.mark.deep  # many causes, half a minute each

KEY = "taxonomies/taxonomy.tar.gz"


@dataclass
class Cause:
    reason: str
    words: str
    """In the message."""
    mend: Callable[[], object]


@dataclass
class Bench:
    """Makes each cause real: the Secret of a Taxonomy of the same name."""

    server: ApiAccess
    namespace: str
    s3: S3Access
    client: S3Client
    bucket: str
    stack: ExitStack
    certificates: Certificates
    tls_endpoint: str

    def secret(self, name: str, **changes: str) -> None:
        storage_secret(self.server, self.namespace, self.s3, self.bucket, secret=name, **changes)

    def changed(self, name: str, reason: str, words: str, /, **changes: str) -> Cause:
        """A Secret with a mistake, and later without."""
        self.secret(name, **changes)
        return Cause(reason, words, lambda: self.secret(name))

    def answering(self, name: str, reason: str, words: str, status: int, code: str) -> Cause:
        """A store that refuses for a cause of its own, and later does not."""
        answers = {"HEAD": Answer(status), "GET": Answer(status, code)}
        self.secret(name, AWS_S3_ENDPOINT=self.stack.enter_context(faulty_store(answers)))
        good = Answer(200, headers={"ETag": '"e"'})
        return Cause(reason, words, lambda: answers.update(HEAD=good, GET=good))

    def no_bucket(self, name: str) -> Cause:
        later = f"{self.bucket}-later"
        self.secret(name, AWS_S3_BUCKET=later)

        def mend() -> None:
            self.client.create_bucket(Bucket=later)
            self.client.put_object(Bucket=later, Key=KEY, Body=b"any")

        return Cause("BucketNotFound", later, mend)

    def no_object(self, name: str) -> Cause:
        empty = f"{self.bucket}-empty"
        self.client.create_bucket(Bucket=empty)
        self.secret(name, AWS_S3_BUCKET=empty)
        return Cause("SourceNotFound", KEY, lambda: self.client.put_object(Bucket=empty, Key=KEY, Body=b"any"))

    def no_authority(self, name: str) -> Cause:
        place = {"AWS_S3_ENDPOINT": self.tls_endpoint, "AWS_S3_BUCKET": "bucket", **KEYS}
        self.secret(name, **place)
        authority = {"ca.crt": self.certificates.authority.read_text()}
        return Cause("UntrustedCertificate", "ca.crt", lambda: self.secret(name, **place, **authority))

    def causes(self) -> dict[str, Cause]:
        return {
            "no-secret": Cause("SecretNotFound", "no-secret", lambda: self.secret("no-secret")),
            "no-key": self.changed("no-key", "SecretIncomplete", "AWS_ACCESS_KEY_ID", AWS_ACCESS_KEY_ID=""),
            "no-bucket": self.no_bucket("no-bucket"),
            "no-object": self.no_object("no-object"),
            "no-user": self.changed("no-user", "InvalidCredentials", "AWS_SECRET", AWS_ACCESS_KEY_ID="nobody"),
            "no-match": self.changed("no-match", "InvalidCredentials", "AWS_SECRET", AWS_SECRET_ACCESS_KEY="wrong"),
            "no-authority": self.no_authority("no-authority"),
            "late-token": self.answering("late-token", "InvalidCredentials", "AWS_SECRET", 400, "ExpiredToken"),
            "late-clock": self.answering("late-clock", "ClockSkew", "clocks", 403, "RequestTimeTooSkewed"),
            "no-rights": self.answering("no-rights", "StorageRefused", "grant", 403, "AccessDenied"),
        }


@pytest.fixture
def bench(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str, tmp_path: Path
) -> Iterator[Bench]:
    certificates = make_certificates(tmp_path / "tls", ["IP:127.0.0.1"])
    s3_client.put_object(Bucket=bucket, Key=KEY, Body=b"any")
    with ExitStack() as stack:
        endpoint = stack.enter_context(tls_server(tmp_path / "s3", certificates, {f"bucket/{KEY}": b"any"}))
        yield Bench(api_server, namespace, s3_server, s3_client, bucket, stack, certificates, endpoint)


def test_each_cause_is_named_and_heals_by_itself(bench: Bench, tmp_path: Path, subtests: pytest.Subtests) -> None:
    causes = bench.causes()
    settings = {**SETTINGS, "allowed": {"storageSecrets": list(causes)}}
    flags = [f"--namespace={bench.namespace}"]
    with OperatorProcess(tmp_path, bench.server.kubeconfig, *flags, settings=settings) as operator:
        operator.wait_ready()
        for name in causes:
            taxonomy(bench.server, bench.namespace, name, storageSecretName=name)
        before = {}
        for name, cause in causes.items():
            with subtests.test("it is named", cause=name):
                wait_for(cause.reason, 20, partial(_says, bench, name, cause.reason))
                assert cause.words in _ready(bench, name)[1]
                before[name] = _written_by_others(bench, name)
        for cause in causes.values():
            cause.mend()
        for name in causes:
            with subtests.test("it heals", cause=name):
                wait_for(f"a Job for {name}", 30, partial(_is_checked, bench, name))
                assert _written_by_others(bench, name) == before[name], "nobody touched it"


def _ready(bench: Bench, name: str) -> tuple[str, str]:
    status = get(bench.server, f"taxonomy/{name}", bench.namespace).get("status", {})
    said: dict[str, str] = next(iter(status.get("conditions", [])), {})
    return said.get("reason", ""), said.get("message", "")


def _says(bench: Bench, name: str, reason: str) -> bool:
    return _ready(bench, name)[0] == reason


def _written_by_others(bench: Bench, name: str) -> list[dict[str, Any]]:
    meta = get(bench.server, f"taxonomy/{name}", bench.namespace, "--show-managed-fields")["metadata"]
    return [entry for entry in meta["managedFields"] if entry["manager"] != "sdg-operator"]


def _is_checked(bench: Bench, name: str) -> bool:
    jobs = get(bench.server, "jobs", bench.namespace)["items"]
    return name in {job["metadata"]["labels"]["sdg-operator.io/name"] for job in jobs}


def test_a_secret_that_names_another_bucket_with_the_same_object_heals(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """The ETag is the same there, and the snapshot is not."""
    other = f"{bucket}-other"
    s3_client.create_bucket(Bucket=other)
    etags = {s3_client.put_object(Bucket=name, Key=KEY, Body=b"any")["ETag"].strip('"') for name in (bucket, other)}
    (etag,) = etags
    digest = f"sha256:{'a' * 64}"
    s3_client.put_object(Bucket=bucket, Key=snapshot_key(digest), Body=b"")
    report = ShortReport(
        ok=True, reason="Valid", message="1 leaf", digest=digest, snapshot_key=snapshot_key(digest), revision=etag
    )
    storage_secret(api_server, namespace, s3_server, bucket)
    settings = {**SETTINGS, "taxonomies": {"intervalSeconds": 10}}
    with OperatorProcess(tmp_path, api_server.kubeconfig, f"--namespace={namespace}", settings=settings) as operator:
        operator.wait_ready()
        taxonomy(api_server, namespace, "birds")
        kubelet = Kubelet(api_server, namespace)
        (pod,) = kubelet.wait_pods("birds", "validate")
        kubelet.end(pod, message=report.to_text())
        wait_for("Ready", 20, lambda: _state(api_server, namespace) == "completed")
        storage_secret(api_server, namespace, s3_server, other)
        wait_for("another check", 40, lambda: len(get(api_server, "jobs", namespace)["items"]) == 2)


def _state(server: ApiAccess, namespace: str) -> str:
    return str(get(server, "taxonomy/birds", namespace).get("status", {}).get("state", ""))
