"""What end-to-end tests stand on: a cluster that they made themselves, apart from the one of `make cluster-up`."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.bucket import start_s3
from hack.cluster.cache import lock
from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.steps import until_established
from tests.e2e.place import Place
from tests.e2e.reading import Reader, reading
from tests.e2e.verdict import verdict
from tests.e2e.watching import watching


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Two nodes, both for work, so that one can be lost. Kept after the tests; `make test` takes it away at its end.

    Its kubeconfig lies in our own cache folder: no test can reach a cluster that this project did not make.
    """
    cluster = Cluster("sdg-e2e")
    cluster.up(nodes=2)
    cluster.kubectl("taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-", check=False)
    with lock("crds-of-e2e"):  # apply looks first and then creates: side by side, one of two would fail
        cluster.kubectl("apply", "--filename", str(Path(__file__).parents[2] / "crds"))
    until_established(cluster.kubectl)
    return cluster


@pytest.fixture(scope="session")
def cluster_s3(cluster: Cluster) -> dict[str, str]:
    """The S3 server in the cluster: podEndpoint, hostEndpoint, accessKey, secretKey, bucket."""
    return start_s3(cluster, "e2e")


@pytest.fixture
def node_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace under enforced restricted Pod Security."""
    name = f"e2e-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def reader(cluster: Cluster) -> Iterator[Reader]:
    with reading(cluster) as reader:
        yield reader


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    return load_images(cluster, ["sdg-runner", "sdg-engine", "sdg-teacher-scripted", "sdg-s3"])


@pytest.fixture
def place(
    cluster: Cluster,
    reader: Reader,
    images: dict[str, str],
    cluster_s3: dict[str, str],
    node_namespace: str,
    tmp_path: Path,
) -> Iterator[Place]:
    """A namespace with both Secrets and a quick teacher. Every run in it is watched, and judged after the test."""
    with watching(reader, node_namespace) as watch:
        place = Place(cluster, reader, watch, node_namespace, cluster_s3, images, tmp_path)
        place.apply(place.storage_secret(), place.teacher_secret())
        place.start_teacher(median=0.05)
        yield place
    try:
        denied = verdict(place)
        assert not denied, "\n".join(denied)
    finally:
        everything = ["delete", "datagenerations,taxonomies", "--all", "--wait=false"]
        cluster.kubectl(f"--namespace={node_namespace}", *everything)
