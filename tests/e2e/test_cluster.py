"""The cluster is a real one: the scheduler counts GPUs, names resolve, pods reach S3, Pod Security is enforced."""

import json
from typing import Any

import boto3
import pytest

from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.steps import StepFailed

_CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


# Not the resource of the other tests that share the cluster: nobody else asks for this one.
SLICE = "nvidia.com/mig-1g.5gb"


def job(name: str, namespace: str, image: str, command: list[str], slices: int = 0) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": image, "command": command, "securityContext": _CONFINED}
    if slices:
        container["resources"] = {"limits": {SLICE: slices}}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    return load_images(cluster, ["sdg-runner"])["sdg-runner"]


def test_a_job_that_asks_for_a_gpu_waits_until_there_is_one(cluster: Cluster, node_namespace: str, image: str) -> None:
    cluster.advertise_gpus(0, SLICE)
    body = job("gpu", node_namespace, image, ["true"], slices=1)
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))
    select = ["--namespace", node_namespace, "--selector=job-name=gpu"]
    # By a selector one cannot wait for what is not there yet.
    cluster.kubectl("wait", *select[:2], "job/gpu", "--for=jsonpath={.status.active}=1", "--timeout=60s")
    cluster.kubectl("wait", *select, "pod", "--for=condition=PodScheduled=False", "--timeout=60s")
    said = cluster.kubectl("get", "pod", *select, "--output=jsonpath={.items[0].status.conditions[0].message}")
    assert f"Insufficient {SLICE}" in said
    cluster.advertise_gpus(1, SLICE)
    cluster.kubectl("wait", "--namespace", node_namespace, "job/gpu", "--for=condition=Complete", "--timeout=120s")


def test_a_pod_resolves_a_service_and_reads_an_object_that_this_machine_wrote(
    cluster: Cluster, cluster_s3: dict[str, str], node_namespace: str, image: str
) -> None:
    session = boto3.session.Session(cluster_s3["accessKey"], cluster_s3["secretKey"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=cluster_s3["hostEndpoint"])
    client.put_object(Bucket=cluster_s3["bucket"], Key="hello", Body=b"from outside")
    client.close()
    program = (
        "import boto3;"
        f"s = boto3.session.Session({cluster_s3['accessKey']!r}, {cluster_s3['secretKey']!r}, region_name='us-east-1');"
        f"c = s.client('s3', endpoint_url={cluster_s3['podEndpoint']!r});"
        f"print(c.get_object(Bucket={cluster_s3['bucket']!r}, Key='hello')['Body'].read().decode())"
    )
    body = job("reader", node_namespace, image, ["python", "-c", program])
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))
    cluster.kubectl("wait", "--namespace", node_namespace, "job/reader", "--for=condition=Complete", "--timeout=120s")
    assert cluster.kubectl("logs", "--namespace", node_namespace, "job/reader").strip() == "from outside"


def test_a_pod_beyond_the_restricted_profile_is_refused(cluster: Cluster, node_namespace: str, image: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": node_namespace},
        "spec": {"containers": [{"name": "main", "image": image, "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(StepFailed, match='violates PodSecurity "restricted:latest"'):
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(pod))
