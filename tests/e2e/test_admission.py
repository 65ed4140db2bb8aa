"""Quotas, default limits and policies of administrators that have a say in our Jobs and pods: runs bear them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.steps import wait_for
from tests.e2e.place import Place
from tests.e2e.policies import add, changing, enforce

_UNTIL_TOLD = "trap 'exit 0' TERM; sleep infinity & wait"
"""It ends when its pod is stopped, never by itself."""
_DEAF = "trap '' TERM; while :; do sleep 1; done"
_RESTRICTED = (
    "Object.spec.{}.securityContext{{allowPrivilegeEscalation: false, runAsNonRoot: true,"
    " capabilities: Object.spec.{}.securityContext.capabilities{{drop: ['ALL']}}}}"
)


def added(place: Place, where: str, does: str, more: str = "") -> str:
    """The patch that adds a container named mesh to a pod."""
    security = _RESTRICTED.format(where, where)
    words = ", ".join(f'"{word}"' for word in ("sh", "-c", does))
    parts = (
        f'name: "mesh", image: "{place.images["sdg-runner"]}", command: [{words}], securityContext: {security}{more}'
    )
    return add(f"/spec/{where}/-", f"Object.spec.{where}{{{parts}}}")


def containers(place: Place, name: str) -> list[str]:
    """Names of the containers, but for sidecars, of all pods of a resource of ours."""
    pods = place.all("pods", f"sdg-operator.io/name={name}")
    return [container["name"] for pod in pods for container in pod["spec"]["containers"]]


def named(place: Place, name: str) -> list[str]:
    """What events say of containers that keep pods of this run."""
    about = f"--field-selector=reason=ForeignContainer,involvedObject.name={name}"
    return [event["message"] for event in json.loads(place.kubectl("get", "events", about, "--output=json"))["items"]]


def until_named(place: Place, name: str, pod: str) -> None:
    """Wait for the event about this pod of the run. The status says so as well, but only until the pod is gone, which
    may be sooner than it is looked at."""
    wait_for(f"an event about {pod} of {name}", 60, lambda: any(pod in said for said in named(place, name)))
    assert all("container mesh keeps it" in said for said in named(place, name))


@pytest.fixture
def policy(place: Place) -> Iterator[Callable[..., None]]:
    """Puts a policy into force for the test."""
    made: list[dict[str, Any]] = []

    def put(resource: str, name: str, *patches: str, role: str = "") -> None:
        bodies = changing(place, resource, name, role, f"[{', '.join(patches)}]")
        made.extend(bodies)
        enforce(place, bodies, resource, name, role)

    yield put
    for body in made:
        place.kubectl("delete", body["kind"], body["metadata"]["name"], "--wait=false")


@pytest.mark.faults
def test_a_quota_that_wants_requests_and_limits_of_every_container_is_content(place: Place) -> None:
    hard = "requests.cpu=8,requests.memory=16Gi,limits.cpu=32,limits.memory=64Gi"
    place.kubectl("create", "quota", "all", f"--hard={hard}")
    # The teacher's own pod was there before; of a run that asks for a GPU alone, nothing is missing either.
    place.taxonomy(leaves=1)
    place.run(engine={"resources": {"limits": {"nvidia.com/gpu": 1}}})
    place.until_completed(leaves=1)
    assert not {"QuotaExceeded", "AdmissionRefused"} & set(place.reasons())


@pytest.mark.faults
def test_defaults_limits_and_policies_that_change_our_jobs_and_pods_change_no_run(
    place: Place, policy: Callable[..., None]
) -> None:
    limits = {
        "type": "Container",
        "default": {"ephemeral-storage": "20Gi"},
        "defaultRequest": {"ephemeral-storage": "1Mi"},
        "max": {"cpu": "4", "memory": "4Gi"},
        "min": {"memory": "16Mi"},
    }
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "usual"}, "spec": {"limits": [limits]}}
    place.apply(body)
    linux = add("/spec/template/spec/nodeSelector", '{"kubernetes.io/os": "linux"}')
    policy("jobs", "run", linux)
    seen = add("/metadata/annotations/policy.example~1seen", '"yes"')
    variable = add("/spec/containers/0/env/-", 'Object.spec.containers.env{name: "ADDED", value: "by a policy"}')
    policy("pods", "run", seen, variable)
    place.hold(1)
    place.begin(leaves=2)
    (before,) = place.all("jobs", "sdg-operator.io/name=run,sdg-operator.io/role=generate")
    assert before["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    assert pod["metadata"]["annotations"]["policy.example/seen"] == "yes"
    (engine,) = pod["spec"]["containers"]
    assert {"name": "ADDED", "value": "by a policy"} in engine["env"]
    place.release()
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    (after,) = place.all("jobs", "sdg-operator.io/name=run,sdg-operator.io/role=generate")
    assert before["metadata"]["generation"] == 1, "its spec was written after it was made"
    assert (after["metadata"]["uid"], after["spec"]["template"]) == (
        before["metadata"]["uid"],
        before["spec"]["template"],
    )
    place.assert_whole(leaves=2)


def test_an_added_container_that_never_ends_is_named_and_ends_with_its_pod(
    place: Place, policy: Callable[..., None]
) -> None:
    policy("pods", "plain", added(place, "containers", _UNTIL_TOLD), role="generate")
    native = added(place, "initContainers", _UNTIL_TOLD, ', restartPolicy: "Always"')
    policy("pods", "native", native, role="generate")
    place.taxonomy(leaves=2)
    place.run("plain")
    place.run("native")
    for name in ("native", "plain"):
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        assert status["attempt"]["number"] == 1
        place.assert_whole(2, name)
    until_named(place, "plain", "-generate-1")
    assert "ForeignContainer" not in place.reasons("native")
    assert not named(place, "native")
    assert place.at_work("plain") == []


@pytest.mark.faults
def test_containers_added_to_every_pod_keep_neither_a_check_nor_a_mix(
    place: Place, policy: Callable[..., None]
) -> None:
    for name in ("lists", "run"):
        policy("pods", name, added(place, "containers", _UNTIL_TOLD))
    place.taxonomy(leaves=1)
    place.run()
    place.until("a check beside an added container", lambda _: "mesh" in containers(place, "lists"))
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    for pod in ("-generate-1", "-mix-1"):
        until_named(place, "run", pod)
    pods = place.all("pods", "sdg-operator.io/uid")
    assert [pod for pod in pods if pod["status"]["phase"] == "Running"] == []
    place.assert_whole(leaves=1)


@pytest.mark.faults
def test_how_work_ended_beside_an_added_container_that_is_deaf_counts_as_ever(
    place: Place, policy: Callable[..., None]
) -> None:
    for name in ("refused", "killed"):
        policy("pods", name, added(place, "containers", _DEAF), role="generate")
    wrong = place.teacher_secret(api_token="wrong")
    wrong["metadata"]["name"] = "sdg-half"
    place.apply(wrong)
    place.hold(1)
    place.taxonomy(leaves=2)
    place.run("refused", teacher={"secretName": "sdg-half"})
    place.run("killed", maxFruitlessAttempts=0)
    place.until_records(1, "killed")
    place.kill("sdg_operator.engine.instructlab", "killed")
    status = place.until_attempt(2, "killed")
    assert "exit code 137" in status["message"]
    assert "container mesh keeps it" in status["message"]
    assert status["attempt"]["fruitless"] == 0
    place.release()
    refused = place.until_ended("refused")
    assert (refused["state"], refused["failure"]["reason"]) == ("failed", "TeacherRefused")
    assert "container mesh keeps it" in refused["message"]
    assert place.at_work("refused") == []
    killed = place.until_ended("killed", seconds=400)
    assert killed["state"] == "completed", killed["message"]
    place.assert_whole(2, "killed")
