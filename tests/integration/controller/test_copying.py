"""A snapshot that a run needs in another bucket: of any allowed size, through bounded memory and without a disk."""

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access, S3Server
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.protocols import SecretRef
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller import copying
from sdg_operator.controller.copying import PART_BYTES, Copies, Copy, CopyFailed
from sdg_operator.storage.layout import snapshot_key
from tests.integration.controller.objects import apply, ready_for_runs, run, storage_secret
from tests.integration.controller.operators import SETTINGS, OperatorProcess
from tests.integration.peak import fresh_peak_bytes, peak_bytes
from tests.integration.storage.answers import Answer, Asked, faulty_store

pytestmark = pytest.mark.deep  # it measures memory

MIB = 1 << 20


@pytest.fixture(scope="module")
def other_server() -> Iterator[S3Server]:
    """The run's own store is another server than the taxonomy's."""
    with S3Server() as server:
        yield server


@pytest.fixture
def target(other_server: S3Server, bucket: str) -> Iterator[S3Client]:
    """A client of the other server, with an empty bucket of the same name there."""
    client = other_server.client()
    client.create_bucket(Bucket=bucket)
    yield client
    client.close()


@pytest.fixture
def refs(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, other_server: S3Server, bucket: str
) -> tuple[SecretRef, SecretRef]:
    """The taxonomy's Secret and the run's."""
    storage_secret(api_server, namespace, s3_server, bucket)
    keys = {
        "AWS_ACCESS_KEY_ID": other_server.access_key,
        "AWS_SECRET_ACCESS_KEY": other_server.secret_key,
        "AWS_S3_ENDPOINT": other_server.endpoint,
        "AWS_S3_BUCKET": bucket,
    }
    meta = {"name": "run-storage", "namespace": namespace}
    apply(api_server, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": keys})
    return SecretRef(namespace, "sdg-storage"), SecretRef(namespace, "run-storage")


@asynccontextmanager
async def copies(server: ApiAccess) -> AsyncIterator[Copies]:
    async with connect(server.kubeconfig) as api:
        stores = SecretStores(api)
        try:
            yield Copies(stores, wait_seconds=0.05)
        finally:
            stores.close()


def snapshot(client: S3Client, bucket: str, folder: Path, size: int) -> str:
    """Have a snapshot of so many random bytes in the bucket, and give its digest."""
    file = folder / "snapshot"
    seen, random_bytes = hashlib.sha256(), random.Random(size)
    with file.open("wb") as out:
        while left := size - out.tell():
            block = random_bytes.randbytes(min(left, MIB))
            seen.update(block)
            out.write(block)
    digest = f"sha256:{seen.hexdigest()}"
    client.upload_file(str(file), bucket, snapshot_key(digest))
    return digest


async def brought(found: Copies, copy: Copy) -> list[str]:
    """Ask until it is there, as passes do; gives what was said on the way."""
    said = []
    async with asyncio.timeout(60):
        while (under_way := await found.ask(copy)) is not None:
            said.append(under_way)
    return said


def content(client: S3Client, bucket: str, digest: str) -> str:
    body = client.get_object(Bucket=bucket, Key=snapshot_key(digest))["Body"]
    seen = hashlib.sha256()
    for block in body.iter_chunks(MIB):
        seen.update(block)
    return f"sha256:{seen.hexdigest()}"


async def test_a_snapshot_larger_than_the_operators_disk_and_memory_share_arrives_whole(
    api_server: ApiAccess,
    refs: tuple[SecretRef, SecretRef],
    s3_client: S3Client,
    target: S3Client,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = snapshot(s3_client, bucket, tmp_path, 150 * MIB + 1)
    disk = tmp_path / "tmp"
    disk.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    async with copies(api_server) as found:
        before = fresh_peak_bytes()
        said = await brought(found, Copy(digest, *refs))
        assert peak_bytes() - before < 12 * PART_BYTES, "with both clients, whose descriptions of S3 are read anew"
    assert "of 150 MiB" in said[-1]
    assert sum(file.stat().st_size for file in disk.rglob("*")) < MIB
    assert content(target, bucket, digest) == digest


async def test_passes_that_ask_at_once_share_one_copy(
    api_server: ApiAccess,
    refs: tuple[SecretRef, SecretRef],
    s3_client: S3Client,
    target: S3Client,
    bucket: str,
    tmp_path: Path,
) -> None:
    digest = snapshot(s3_client, bucket, tmp_path, 20 * MIB)
    async with copies(api_server) as found:
        await asyncio.gather(*(brought(found, Copy(digest, *refs)) for _ in range(5)))
        assert await found.ask(Copy(digest, *refs)) is None, "it is there already"
    assert content(target, bucket, digest) == digest
    assert "Uploads" not in target.list_multipart_uploads(Bucket=bucket)


class Uploads:
    """A store that takes the first part of an upload and is slow with the next; tells what it was asked to forget."""

    def __init__(self) -> None:
        self.in_the_middle = threading.Event()
        self.dropped: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "POST" and "uploads" in asked.query:
            body = b"<InitiateMultipartUploadResult><UploadId>upload-1</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, body=body)
        if asked.method == "PUT":
            if asked.query["partNumber"] == "2":
                self.in_the_middle.set()
                time.sleep(5)
            return Answer(200, headers={"ETag": '"part"'})
        if asked.method == "DELETE":
            self.dropped.append(asked.query["uploadId"])
            return Answer(204)
        return Answer(404, "" if asked.method == "HEAD" else "NoSuchKey")


def test_an_operator_that_is_asked_to_end_leaves_no_upload_behind(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str, tmp_path: Path
) -> None:
    ready_for_runs(api_server, namespace, s3_server, s3_client, bucket, tmp_path)
    body = (tmp_path / f"snapshot-{namespace}").read_bytes() + bytes(3 * PART_BYTES)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    s3_client.put_object(Bucket=bucket, Key=snapshot_key(digest), Body=body)
    uploads = Uploads()
    settings = {**SETTINGS, "allowed": {"storageSecrets": ["sdg-storage", "run-storage"]}}
    flags = [f"--namespace={namespace}"]
    with (
        faulty_store(uploads) as endpoint,
        OperatorProcess(tmp_path, api_server.kubeconfig, *flags, settings=settings) as operator,
    ):
        storage_secret(api_server, namespace, s3_server, bucket, "run-storage", AWS_S3_ENDPOINT=endpoint)
        operator.wait_ready()
        wanted = run("birds-1", digest, output={"secretName": "run-storage"})
        apply(api_server, wanted | {"metadata": {"name": "birds-1", "namespace": namespace}})
        assert uploads.in_the_middle.wait(120), operator.last_words()
        operator.stop()
        assert uploads.dropped == ["upload-1"]
        assert "Traceback" not in operator.text()


async def test_what_cannot_be_copied_is_said_with_the_secret_and_leaves_nothing_behind(
    api_server: ApiAccess,
    refs: tuple[SecretRef, SecretRef],
    s3_client: S3Client,
    target: S3Client,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, away = refs
    wrong = f"sha256:{'0' * 64}"
    s3_client.put_object(Bucket=bucket, Key=snapshot_key(wrong), Body=b"not what its name says")
    cases = [
        (Copy(f"sha256:{'1' * 64}", home, away), "ObjectNotFound", home),
        (Copy(wrong, home, away), "SnapshotChanged", home),
        (
            Copy(wrong, home, SecretRef(away.namespace, "no-such")),
            "SecretNotFound",
            SecretRef(away.namespace, "no-such"),
        ),
    ]
    async with copies(api_server) as found:
        for copy, reason, secret in cases:
            with pytest.raises(CopyFailed) as raised:
                await brought(found, copy)
            assert (raised.value.error.reason, raised.value.secret) == (reason, secret)
        monkeypatch.setattr(copying, "MAX_BYTES", 10)
        with pytest.raises(CopyFailed, match="more than the 10 that are read"):
            await brought(found, Copy(wrong, home, away))
    assert "Contents" not in target.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in target.list_multipart_uploads(Bucket=bucket)
