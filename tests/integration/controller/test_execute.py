"""Actions on a real API server and a real S3 server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller.execute import Executor, Stopped
from sdg_operator.reconcile.names import UID_LABEL, Owner
from sdg_operator.reconcile.plan import DeleteJob, PutObject, PutObjects
from sdg_operator.reconcile.reasons import Reason
from tests.integration.controller.objects import apply, get, storage_secret


@asynccontextmanager
async def executor(server: ApiAccess) -> AsyncIterator[Executor]:
    async with connect(server.kubeconfig) as api:
        stores = SecretStores(api)
        try:
            yield Executor(api, stores)
        finally:
            stores.close()


@pytest.mark.deep
async def test_the_records_of_many_reused_leaves_are_all_written(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str
) -> None:
    storage_secret(api_server, namespace, s3_server, bucket)
    wanted = {f"run/.run/leaves/leaf{number:04}/0-reused.json": b"%d" % number for number in range(1050)}
    objects = PutObjects(tuple(PutObject(key, body) for key, body in wanted.items()))
    async with executor(api_server) as found:
        await found.execute(Owner("DataGeneration", namespace, "birds-1", "uid"), "sdg-storage", [objects])
    pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    assert {item["Key"]: item["Size"] for page in pages for item in page["Contents"]} == {
        key: len(body) for key, body in wanted.items()
    }


async def test_a_refusal_of_one_of_many_stops_the_plan(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str
) -> None:
    storage_secret(api_server, namespace, s3_server, bucket, AWS_S3_BUCKET="no-such-bucket")
    objects = PutObjects(tuple(PutObject(f"{number}.json", b"{}") for number in range(250)))
    async with executor(api_server) as found:
        with pytest.raises(Stopped) as stopped:
            await found.execute(
                Owner("DataGeneration", namespace, "birds-1", "uid"),
                "sdg-storage",
                [objects, PutObject("after", b"{}")],
            )
    assert stopped.value.problem.reason is Reason.BUCKET_NOT_FOUND
    assert "Secret sdg-storage" in stopped.value.problem.message


async def test_a_job_of_another_stays_though_a_pod_says_that_it_is_of_this_run(
    api_server: ApiAccess, namespace: str
) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none.example/none:1"}]}
    for name, labels in (("ours", {UID_LABEL: "uid"}), ("another", {UID_LABEL: "other"}), ("users", {})):
        meta = {"name": name, "namespace": namespace, "labels": labels}
        spec = {"suspend": True, "template": {"spec": pod}}
        apply(api_server, {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    jobs = get(api_server, "jobs", namespace)["items"]
    deletions = [
        DeleteJob(job["metadata"]["name"], job["metadata"]["uid"], "a pod of it is not at work") for job in jobs
    ]
    async with executor(api_server) as found:
        await found.execute(Owner("DataGeneration", namespace, "birds-1", "uid"), None, deletions)
    left = get(api_server, "jobs", namespace)["items"]
    assert {j["metadata"]["name"] for j in left if "deletionTimestamp" not in j["metadata"]} == {"another", "users"}
