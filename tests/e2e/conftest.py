"""What end-to-end tests stand on: a cluster that they made themselves, apart from the one of `make cluster-up`."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.bucket import start_s3
from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from hack.demo.play import image_values
from tests.e2e.operator import Operator
from tests.e2e.place import Place
from tests.e2e.reading import Reader, reading
from tests.e2e.verdict import verdict
from tests.e2e.watching import watching

CLUSTER = os.environ.get("SDG_E2E_CLUSTER", "sdg-e2e")
_SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test's time is its own: making the cluster and its images takes long on a new machine."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            own = item.get_closest_marker("timeout")
            seconds = float(own.args[0] if own else config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """One node with two GPUs that it does not have. It stays for the next time: `make cluster-down CLUSTER=sdg-e2e`.

    SDG_E2E_CLUSTER names another, so that two work trees can test side by side.
    Its kubeconfig lies in our own cache folder: no test can reach a cluster that this project did not make.
    """
    cluster = Cluster(CLUSTER)
    cluster.up(nodes=1, gpus=2)
    return cluster


@pytest.fixture(scope="session")
def cluster_s3(cluster: Cluster) -> dict[str, str]:
    """The S3 server in the cluster: podEndpoint, hostEndpoint, accessKey, secretKey, bucket."""
    return start_s3(cluster, "e2e")


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    return loaded(cluster)


def loaded(cluster: Cluster) -> dict[str, str]:
    return load_images(cluster, ["sdg-operator", "sdg-runner", "sdg-engine", "sdg-teacher-scripted", "sdg-s3"])


@pytest.fixture(scope="session")
def operator(cluster: Cluster, images: dict[str, str]) -> Operator:
    """The operator of this work tree, installed by its chart for all namespaces."""
    return installed(cluster, images)


def installed(cluster: Cluster, images: dict[str, str]) -> Operator:
    kube = Kube(cluster.kubeconfig, "", tool("kubectl"), tool("helm4"))
    settings = {
        # Several runs share a node of two cores.
        "defaults": {f"{role}Resources": _SMALL for role in ("engine", "mix", "runner")},
        # What tests name in their runs: other images, and Secrets that are there, wrong or missing.
        "allowed": {
            "images": ["localhost/*"],
            "storageSecrets": ["sdg-storage", "sdg-wrong", "sdg-away"],
            "teacherSecrets": ["sdg-teacher", "sdg-absent", "sdg-half"],
        },
        "taxonomies": {"intervalSeconds": 10},
        "limits": {"progressIntervalSeconds": 2, "resyncSeconds": 20},
    }
    operator = Operator(cluster, kube, {"images": image_values(images), "settings": settings})
    operator.install()
    return operator


@pytest.fixture
def node_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace under enforced restricted Pod Security."""
    name = f"e2e-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=120s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def reader(cluster: Cluster) -> Iterator[Reader]:
    with reading(cluster) as reader:
        yield reader


@pytest.fixture
def place(
    operator: Operator,
    reader: Reader,
    images: dict[str, str],
    cluster_s3: dict[str, str],
    node_namespace: str,
) -> Iterator[Place]:
    """A namespace with both Secrets and a quick teacher. Every run in it is watched, and judged after the test."""
    cluster = operator.cluster
    with watching(reader, node_namespace) as watch:
        place = Place(cluster, reader, watch, node_namespace, cluster_s3, images, [operator.services])
        place.apply(place.storage_secret(), place.teacher_secret())
        place.start_teacher(median=0.05)
        yield place
    try:
        denied = verdict(place)
        assert not denied, "\n".join(denied)
    finally:
        everything = ["delete", "datagenerations,taxonomies", "--all", "--wait=false"]
        cluster.kubectl(f"--namespace={node_namespace}", *everything)
