"""A node is lost in mid-run, kubelet and network, while its Node object stays: the run goes on elsewhere.

On a cluster of two nodes of its own, taken away again at the end: what is at work on the first must not be lost.
"""

import json
from collections.abc import Iterator

import pytest

from hack.cluster.bucket import start_s3
from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from tests.e2e.conftest import CLUSTER, installed, loaded
from tests.e2e.operator import Operator
from tests.e2e.place import Place
from tests.e2e.reading import Reader, reading

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900, func_only=True)]

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_SOON_GONE = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    for state in ("unreachable", "not-ready")
]
"""Kubernetes gives pods of a lost node up after five minutes; these after seconds."""


def worker(cluster: Cluster) -> str:
    return next(name for name in cluster.nodes() if name.endswith("worker"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """While the worker takes no pods, all that the test stands on comes to the first node."""
    cluster = Cluster(f"{CLUSTER}-nodes")
    cluster.up(nodes=2, gpus=0)
    cluster.kubectl("taint", "nodes", "--all", f"{_CONTROL_PLANE}-", check=False)
    cluster.kubectl("cordon", worker(cluster))
    names, selector = ("--namespace=kube-system", "deployment/coredns"), {"nodeSelector": {_CONTROL_PLANE: ""}}
    patch = json.dumps({"spec": {"template": {"spec": selector}}})
    cluster.kubectl("patch", *names, f"--patch={patch}")
    cluster.kubectl("rollout", "status", *names, "--timeout=120s")
    yield cluster
    cluster.down()


@pytest.fixture(scope="module")
def cluster_s3(cluster: Cluster) -> dict[str, str]:
    return start_s3(cluster, "e2e")


@pytest.fixture(scope="module")
def images(cluster: Cluster) -> dict[str, str]:
    return loaded(cluster)


@pytest.fixture(scope="module")
def operator(cluster: Cluster, images: dict[str, str]) -> Operator:
    operator = installed(cluster, images)
    operator.install(limits=operator.group("limits", nodeLostTimeoutSeconds=10))
    return operator


@pytest.fixture(scope="module")
def reader(cluster: Cluster) -> Iterator[Reader]:
    with reading(cluster) as reader:
        yield reader


def test_a_lost_node_is_named_and_the_run_goes_on_elsewhere(place: Place) -> None:
    cluster, docker = place.cluster, ensure().docker
    lost = worker(cluster)
    first = next(name for name in cluster.nodes() if name != lost)
    place.hold(1, 2)
    place.taxonomy(leaves=3)
    place.kubectl("wait", "taxonomy/lists", "--for=condition=Ready", "--timeout=120s")
    cluster.kubectl("cordon", first)
    cluster.kubectl("uncordon", lost)
    place.run(placement={"tolerations": _SOON_GONE})
    place.until_records(1)
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    assert pod["spec"]["nodeName"] == lost
    cluster.kubectl("uncordon", first)
    docker("pause", lost)  # frozen as a whole: kubelet, containers and network
    try:
        place.until("the lost node", lambda s: lost in (s.get("message") or ""), seconds=240)
        place.until_attempt(2)
        place.release()
        status = place.until_ended()
        made = place.manifest()
        assert len(place.records()) == 3, "a finished leaf was made again"
    finally:
        docker("unpause", lost)
        cluster.kubectl("wait", f"node/{lost}", "--for=condition=Ready", "--timeout=120s")
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 2
    assert "NodeLost" in place.reasons()
    assert place.manifest() == made, "what comes back with its node changes nothing"
    place.assert_whole(leaves=3)
