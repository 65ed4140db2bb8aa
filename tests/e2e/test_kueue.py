"""Runs in a Kueue queue: they wait in Kueue's words, are preempted without loss, and give their GPU back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.cluster import GPU_RESOURCE, Cluster
from hack.cluster.images import load_images
from hack.cluster.steps import run
from hack.cluster.tools import module_folder, tool
from tests.e2e.place import Place, condition, why

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900, func_only=True)]

_API = "kueue.x-k8s.io/v1beta1"
_QUEUE = {"kueue.x-k8s.io/queue-name": "gpus"}
_ONE_GPU = {"resources": {"limits": {GPU_RESOURCE: 1}}}
_SYSTEM = "--namespace=kueue-system"


@pytest.fixture(
    scope="module",
    params=[{}, {"waitForPodsReady": {"timeout": "5m", "blockAdmission": True}}],
    ids=["as-published", "waiting-for-ready-pods"],
)
def kueue(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """Kueue by its own chart, built from its module; taken away again, for it looks at every Job.

    In both ways of counting a Job as started: when it is admitted, and when its pods are ready.
    """
    repository, _, tag = load_images(cluster, ["kueue"])["kueue"].rpartition(":")
    image = {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}
    chart = module_folder("kueue", "sigs.k8s.io/kueue") / "charts" / "kueue"
    published = yaml.safe_load((chart / "values.yaml").read_text())["managerConfig"]["controllerManagerConfigYaml"]
    config = yaml.safe_dump(yaml.safe_load(published) | request.param)
    values = {
        "controllerManager": {"manager": {"image": image}},
        "managerConfig": {"controllerManagerConfigYaml": config},
    }
    helm: list[str | Path] = [tool("helm4"), f"--kubeconfig={cluster.kubeconfig}"]
    options = [_SYSTEM, "--create-namespace", "--wait", "--timeout=300s", "--values=-"]
    run([*helm, "upgrade", "--install", "kueue", chart, *options], stdin=yaml.safe_dump(values), timeout=330)
    yield
    # While there is one who takes Kueue's finalizers off: else its kinds stay half deleted, and the next install fails.
    for kind in ("clusterqueues", "resourceflavors"):
        cluster.kubectl("delete", f"{kind}.kueue.x-k8s.io", "--all", "--timeout=120s")
    run([*helm, "uninstall", "kueue", _SYSTEM])


@pytest.fixture(autouse=True)
def queue(kueue: None, place: Place) -> None:
    """A queue of the namespace with one GPU. The first leaf can be made; for the others the teacher is away."""
    name = place.namespace
    quota = [
        {"name": "cpu", "nominalQuota": "100"},
        {"name": "memory", "nominalQuota": "100Gi"},
        {"name": "ephemeral-storage", "nominalQuota": "100Gi"},
        {"name": GPU_RESOURCE, "nominalQuota": "1"},
    ]
    group = {"coveredResources": [each["name"] for each in quota], "flavors": [{"name": "any", "resources": quota}]}
    cluster_queue: dict[str, Any] = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        "resourceGroups": [group],
        "preemption": {"withinClusterQueue": "LowerPriority"},
    }
    urgent = {"metadata": {"name": "urgent"}, "value": 1000}
    place.apply(
        {"apiVersion": _API, "kind": "ResourceFlavor", "metadata": {"name": "any"}},
        {"apiVersion": _API, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": cluster_queue},
        {"apiVersion": _API, "kind": "LocalQueue", "metadata": {"name": "gpus"}, "spec": {"clusterQueue": name}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", **urgent},
    )
    place.hold(1, 2)


def assert_completed(place: Place, *names: str) -> None:
    for name in names:
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        assert len(place.records(name)) == 3, "a finished leaf was made again"
        place.assert_whole(leaves=3, name=name)


def test_a_run_waits_in_its_queue_in_kueues_words_and_is_then_admitted(place: Place) -> None:
    place.begin(leaves=3, name="first", labels=_QUEUE, engine=_ONE_GPU)
    place.run("second", labels=_QUEUE, engine=_ONE_GPU)
    status = place.until_reason("WaitingInQueue", "second")
    assert status["state"] == "queued"
    assert f"insufficient unused quota for {GPU_RESOURCE}" in status["message"]
    place.release()
    assert_completed(place, "first", "second")


def test_a_preempted_run_goes_back_to_its_queue_and_loses_no_finished_leaf(place: Place) -> None:
    place.begin(leaves=3, name="first", labels=_QUEUE, engine=_ONE_GPU)
    place.run("urgent", labels=_QUEUE, engine=_ONE_GPU, placement={"priorityClassName": "urgent"})
    status = place.until("preempted", lambda s: s.get("state") == "queued", "first")
    assert why(status) == "WaitingInQueue"
    assert "reempt" in status["message"], status["message"]
    place.until_records(1, "urgent")
    place.release()
    assert_completed(place, "urgent", "first")


def test_a_run_that_its_user_suspends_gives_its_quota_to_the_next(place: Place) -> None:
    place.begin(leaves=3, name="first", labels=_QUEUE, engine=_ONE_GPU)
    place.change("first", suspend=True)
    status = place.until("suspended", lambda s: s.get("state") == "queued", "first")
    assert condition(status, "Suspended") == "True"
    place.run("second", labels=_QUEUE, engine=_ONE_GPU)
    place.until_records(1, "second")
    place.change("first", suspend=False)
    place.until_reason("WaitingInQueue", "first")
    place.release()
    assert_completed(place, "second", "first")
