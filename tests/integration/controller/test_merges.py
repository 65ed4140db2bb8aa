"""What `spec.dataSources` names is pinned as it is when the run is accepted."""

import json
from typing import TYPE_CHECKING

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.api.datageneration import DataGenerationSpec
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.protocols import SecretRef
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller.observe_merge import look_at_merge
from sdg_operator.controller.report import as_json
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Merge
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import FileRef, MixPlan, MixSource
from tests.integration.controller.objects import storage_secret
from tests.property.world import LAYOUT, World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def secret(api_server: ApiAccess, namespace: str, s3_server: S3Access, bucket: str) -> SecretRef:
    storage_secret(api_server, namespace, s3_server, bucket)
    return SecretRef(namespace, "sdg-storage")


async def look(api_server: ApiAccess, secret: SecretRef, *sources: dict[str, str]) -> Look[Merge]:
    spec = DataGenerationSpec.model_validate({"dataSources": sources})
    async with connect(api_server.kubeconfig) as api:
        stores = SecretStores(api)
        try:
            owner = Owner("DataGeneration", secret.namespace, "merge", "0")
            return await look_at_merge(api, stores, owner, spec, secret)
        finally:
            stores.close()


async def test_a_file_is_pinned_with_its_size_and_mark(
    api_server: ApiAccess, secret: SecretRef, s3_client: "S3Client", bucket: str
) -> None:
    etag = s3_client.put_object(Bucket=bucket, Key="mine.jsonl", Body=b"{}\n")["ETag"].strip('"')
    merge = (await look(api_server, secret, {"skillsKey": "mine.jsonl"}, {"knowledgeKey": "mine.jsonl"})).found
    assert merge is not None
    assert [(file.kind, file.size, file.etag) for file in merge.plan.files] == [
        ("skills", 3, etag),
        ("knowledge", 3, etag),
    ]
    assert merge.file_bytes == 6


async def test_a_file_that_is_not_there_is_named(api_server: ApiAccess, secret: SecretRef) -> None:
    problem = (await look(api_server, secret, {"skillsKey": "none.jsonl"})).problem
    assert problem is not None
    assert (problem.reason, "none.jsonl" in problem.message) == (Reason.SOURCE_NOT_FOUND, True)


def ended_run(api: ApiAccess, secret: SecretRef, name: str, plan: MixPlan, client: "S3Client", bucket: str) -> None:
    """A run that has ended, with the frozen choice of samples that the operator would have left of it."""
    given = {"apiVersion": "sdg-operator.io/v1alpha1", "kind": "DataGeneration", "metadata": {"name": name}}
    body = {**given, "spec": {"taxonomyRef": {"name": "t"}}}
    api.kubectl("create", "--namespace", secret.namespace, "--filename=-", stdin=json.dumps(body))
    found = json.loads(api.kubectl("get", "dg", name, "--namespace", secret.namespace, "--output=json"))
    world = World()
    world.operate()
    assert world.status.inputs_digest is not None
    inputs = world.bucket[LAYOUT.frozen(world.status.inputs_digest)]
    layout = RunLayout.of("synthetic_data", found["metadata"]["uid"])
    frozen = plan.to_json()
    for each in (inputs, frozen):
        client.put_object(Bucket=bucket, Key=layout.frozen(digest(each)), Body=each)
    ended = {"state": "completed", "mixDigest": digest(frozen), "inputsDigest": digest(inputs)}
    status = {**as_json(world.status), **ended}
    patch = json.dumps({"status": status})
    where = ("--namespace", secret.namespace, "--subresource=status", "--type=merge")
    api.kubectl("patch", "dg", name, *where, f"--patch={patch}")


def leaves(first: int, count: int) -> MixPlan:
    sources = [
        MixSource(
            leaf=f"leaf{n}",
            path=f"knowledge->leaf{n}",
            kind="freeform",
            expected_samples=1,
            samples=1,
            data=FileRef(key=f"synthetic_data/o/{n}.jsonl", size=1, sha256="0", lines=1),
        )
        for n in range(first, first + count)
    ]
    return MixPlan(sources=tuple(sources))


async def test_what_two_merged_runs_share_is_there_once(
    api_server: ApiAccess, secret: SecretRef, s3_client: "S3Client", bucket: str
) -> None:
    ended_run(api_server, secret, "one", leaves(0, 3), s3_client, bucket)
    ended_run(api_server, secret, "two", leaves(2, 3), s3_client, bucket)
    merge = (await look(api_server, secret, {"dataGeneration": "one"}, {"dataGeneration": "two"})).found
    assert merge is not None
    assert [source.leaf for source in merge.plan.sources] == ["leaf0", "leaf1", "leaf2", "leaf3", "leaf4"]


async def test_a_merge_of_merges_beyond_what_can_be_frozen_is_refused(
    api_server: ApiAccess, secret: SecretRef, s3_client: "S3Client", bucket: str
) -> None:
    ended_run(api_server, secret, "half", leaves(0, 12_000), s3_client, bucket)
    ended_run(api_server, secret, "rest", leaves(12_000, 8_001), s3_client, bucket)
    problem = (await look(api_server, secret, {"dataGeneration": "half"}, {"dataGeneration": "rest"})).problem
    assert problem is not None
    assert (problem.reason, problem.final) == (Reason.INVALID_SPEC, True)
    assert "20000 leaves" in problem.message
    assert (await look(api_server, secret, {"dataGeneration": "half"})).found is not None
