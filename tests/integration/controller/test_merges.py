"""What `spec.dataSources` names is pinned as it is when the run is accepted."""

from typing import TYPE_CHECKING

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.api.datageneration import DataGenerationSpec
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.protocols import SecretRef
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller.observe_merge import look_at_merge
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Merge
from tests.integration.controller.objects import storage_secret

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
