"""`make demo` does what it says, again and again, and ends with an error when something is not as it should be."""

import json
import subprocess
import urllib.request
from typing import Any

import pytest
import yaml

from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from hack.cluster.images import load_images
from hack.cluster.steps import wait_for
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from hack.demo.objects import CONFINED, MARK, NAMESPACE, RESTRICTED, SYSTEM, namespace
from hack.generate.chart import CHART
from hack.version import VERSION
from tests.demo.demoing import demo

# Making the cluster and its images may take longer than a test, and is not its time.
pytestmark = pytest.mark.timeout(1800, func_only=True)

REGISTRY = "registry.invalid/demo"
IMAGES = ("sdg-operator", "sdg-runner", "sdg-engine", "sdg-s3", "sdg-teacher-scripted")


def names_of_registry(cluster: Cluster, names: tuple[str, ...]) -> None:
    """Give images on the node the names that a registry would give them, to these and to no others."""
    engine, (node,) = ensure(), cluster.nodes()
    ctr = ("exec", node, "ctr", "-n", "k8s.io", "images")
    references = load_images(cluster, IMAGES)
    for name in IMAGES:
        wanted = f"{REGISTRY}/{name}:{VERSION}"
        engine.docker(*ctr, "rm", wanted, check=False)
        if name in names:
            engine.docker(*ctr, "tag", references[name], wanted)


def runs(cluster: Cluster) -> list[dict[str, Any]]:
    """The demo's runs, the oldest first; none where nothing is installed yet."""
    if not cluster.kubectl("get", "crd", "datagenerations.sdg-operator.io", "--ignore-not-found"):
        return []
    listed = cluster.kubectl("get", "datagenerations", f"--namespace={NAMESPACE}", "--output=json")
    items: list[dict[str, Any]] = json.loads(listed)["items"]
    return sorted(items, key=lambda run: str(run["metadata"]["creationTimestamp"]))


def completed(cluster: Cluster) -> int:
    """How many runs are completed: a kept cluster has those of earlier tests."""
    return sum(run["status"]["state"] == "completed" for run in runs(cluster))


def served(cluster: Cluster, name: str, *steps: dict[str, Any]) -> str:
    """The address of a scripted teacher in the cluster that answers by these steps, else as always."""
    image = load_images(cluster, ["sdg-teacher-scripted"])["sdg-teacher-scripted"]
    labels = {"app.kubernetes.io/name": name}
    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}
    container = {"name": "teacher", "image": image, "securityContext": CONFINED, "readinessProbe": probe}
    spec = {"containers": [container], "securityContext": RESTRICTED, "terminationGracePeriodSeconds": 1}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    kube = Kube(cluster.kubeconfig, "", tool("kubectl"), tool("helm4"))
    kube.apply(
        namespace(NAMESPACE),
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 8000}]},
        },
    )
    kube.run("wait", "--for=condition=Ready", f"pod/{name}", f"--namespace={NAMESPACE}", "--timeout=60s", seconds=70)
    with kube.forward(NAMESPACE, f"pod/{name}", 8000) as port:
        script = json.dumps(steps).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/_script", data=script, method="POST")
        urllib.request.urlopen(request, timeout=10).close()
    return f"http://{name}.{NAMESPACE}.svc:8000/v1"


def given(cluster: Cluster) -> dict[str, str]:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    return {
        "KUBECONFIG": str(cluster.kubeconfig),
        "CONTEXT": config["current-context"],
        "DEMO_REGISTRY": REGISTRY,
        "DEMO_TEACHER": "scripted",
    }


def test_the_demo_ends_well(own: Cluster) -> None:
    before = completed(own)
    ended = demo(CLUSTER=own.name, DEMO_TEACHER="scripted")
    assert ended.code == 0, ended.said
    assert "knowledge_train_msgs.jsonl" in ended.said
    assert "assistant:" in ended.said
    assert f"Remove it all: make cluster-down CLUSTER={own.name}" in ended.said
    assert completed(own) == before + 1


def test_the_demo_runs_again_on_a_given_cluster_with_images_from_a_registry(own: Cluster) -> None:
    before, variables = completed(own), given(own)
    names_of_registry(own, IMAGES)
    ended = demo(**variables)
    assert ended.code == 0, ended.said
    assert completed(own) == before + 1
    # Both halves of the last line name the cluster; tests/chart/test_demo_place.py runs it.
    removes = ended.said.partition("Remove it all: ")[2].splitlines()[0]
    assert removes.count(f"--kubeconfig {own.kubeconfig}") == 2
    assert removes.count(variables["CONTEXT"]) == 2


def test_the_demo_leaves_an_operator_alone_that_it_did_not_install(own: Cluster) -> None:
    crds = ("label", "crd", "datagenerations.sdg-operator.io")
    deployment = ("get", "deployment", "sdg-operator", f"--namespace={SYSTEM}", "--output=jsonpath={.metadata.uid}")
    before = own.kubectl(*deployment)
    own.kubectl(*crds, *(f"{key}-" for key in MARK))
    ended = demo(**given(own))
    own.kubectl(*crds, *(f"{key}={value}" for key, value in MARK.items()))
    assert ended.code == 1
    assert "not made by the demo" in ended.said
    assert own.kubectl(*deployment) == before


def test_the_demo_takes_the_address_of_a_teacher(own: Cluster) -> None:
    before = completed(own)
    ended = demo(CLUSTER=own.name, DEMO_TEACHER=served(own, "ready"), DEMO_MODEL="teacher")
    assert ended.code == 0, ended.said
    assert f"teacher: teacher at http://ready.{NAMESPACE}.svc:8000/v1" in ended.said
    assert completed(own) == before + 1


def test_the_demo_ends_well_with_its_real_model(own: Cluster) -> None:
    before = completed(own)
    ended = demo(CLUSTER=own.name)
    assert ended.code == 0, ended.said
    assert "Gemma Terms of Use" in ended.said
    assert completed(own) == before + 1


def test_the_demo_fails_without_the_operators_image(own: Cluster) -> None:
    names_of_registry(own, tuple(name for name in IMAGES if name != "sdg-operator"))
    own.kubectl("delete", "deployment", "sdg-operator", "--namespace=sdg-system", "--ignore-not-found")
    ended = demo(**given(own))
    assert ended.code == 1
    assert "The demo FAILED" in ended.said
    assert f"{REGISTRY}/sdg-operator:{VERSION}" in ended.said


def test_the_demo_mends_a_release_whose_helm_was_killed(own: Cluster) -> None:
    before = completed(own)
    kube = Kube(own.kubeconfig, "", tool("kubectl"), tool("helm4"))
    upgrade = ["upgrade", "sdg-operator", str(CHART), f"--namespace={SYSTEM}", "--reuse-values", "--wait"]
    command = [str(kube.helm), f"--kubeconfig={own.kubeconfig}", *upgrade, "--set=images.operator.tag=none"]
    with subprocess.Popen(command) as helm:
        wait_for(
            "the upgrade", 120, lambda: bool(kube.run_helm("list", "--pending", "--short", f"--namespace={SYSTEM}"))
        )
        helm.kill()
    ended = demo(CLUSTER=own.name, DEMO_TEACHER="scripted")
    assert ended.code == 0, ended.said
    assert completed(own) == before + 1


def test_the_demo_fails_with_a_teacher_that_answers_nothing(own: Cluster) -> None:
    silent = served(own, "silent", {"action": "say", "text": "", "times": -1})
    ended = demo(CLUSTER=own.name, DEMO_TEACHER=silent, DEMO_MODEL="teacher")
    assert ended.code == 1
    assert "the result is not sound" in ended.said
    assert "the state is 'failed', not completed" in ended.said
    failure = runs(own)[-1]["status"]["failure"]
    assert failure["reason"] == "LeavesFailed"
    assert "keep no sample of what the teacher answers" in failure["message"]
