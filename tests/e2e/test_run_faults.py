"""What is cut off or taken away in mid-run: every leaf is made, none twice, and the run says what it waits for."""

import json
import time
from collections.abc import Callable

import pytest

from hack.cluster.engine import ensure
from tests.e2e.place import Place, operating
from tests.e2e.store import own_store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600, func_only=True)]

SOON_GONE = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    for state in ("unreachable", "not-ready")
]


@pytest.fixture(autouse=True)
def slow(place: Place) -> None:
    """A teacher slow enough that a test can act in mid-run."""
    place.start_teacher(median=0.8)


def _generate_pod(place: Place) -> str:
    name: str = place.all("pods", "sdg-operator.io/role=generate")[0]["metadata"]["name"]
    return name


def evict(place: Place) -> None:
    pod = _generate_pod(place)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": place.namespace}}
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod}/eviction"
    place.cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))


def kill_the_engine(place: Place) -> None:
    kill = "import os, signal; os.kill(1, signal.SIGTERM)"
    place.kubectl("exec", _generate_pod(place), "--container=engine", "--", "python", "-c", kill)


@pytest.mark.parametrize(
    "fault",
    [evict, pytest.param(kill_the_engine, marks=pytest.mark.faults)],
    ids=lambda fault: fault.__name__,
)
def test_a_stopped_pod_costs_only_what_was_in_flight(place: Place, fault: Callable[[Place], None]) -> None:
    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        fault(place)
        status = place.until_ended(seconds=240)
    assert status["state"] == "completed", status["message"]
    place.assert_whole(leaves=4)


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=pytest.mark.faults)])
def test_a_bucket_that_is_away_in_mid_run_costs_nothing(place: Place, seconds: int) -> None:
    store = own_store(place)
    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        with store.away():
            time.sleep(seconds)  # the length of the outage is the input of this test
        status = place.until_ended(seconds=300)
    assert status["state"] == "completed", status["message"]
    place.assert_whole(leaves=4)


def test_a_storage_key_that_is_rotated_in_mid_run_is_taken_up(place: Place) -> None:
    """The old key is refused at once; the kubelet brings the new one into the pod, where it is read again on 403."""
    store = own_store(place)
    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        store.rotate_key()
        status = place.until_ended(seconds=400)
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=4)


@pytest.mark.faults
def test_a_teachers_key_that_is_rotated_in_mid_run_is_taken_up(place: Place) -> None:
    """The kubelet brings a changed Secret into the pod within its sync period; the engine reads it again on 401."""
    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        place.apply(place.teacher_secret(api_token="rotated"))
        place.heard = place.teacher_log()  # a changed Deployment is another pod, with an empty log
        args = [{"op": "replace", "path": "/spec/template/spec/containers/0/args/1", "value": "rotated"}]
        place.kubectl("patch", "deployment", "answers", "--type=json", f"--patch={json.dumps(args)}")
        status = place.until_ended(seconds=400)
    assert status["state"] == "completed", status["message"]
    place.assert_whole(leaves=4)


@pytest.mark.alone
@pytest.mark.timeout(900, func_only=True)
def test_a_lost_node_is_named_and_the_run_goes_on_elsewhere(place: Place) -> None:
    cluster, docker = place.cluster, ensure().docker
    first = next(name for name in cluster.nodes() if name.endswith("control-plane"))
    worker = next(name for name in cluster.nodes() if name.endswith("worker"))
    place.kubectl(
        "patch", "deployment", "answers", f'--patch={{"spec":{{"template":{{"spec":{{"nodeName":"{first}"}}}}}}}}'
    )
    place.kubectl("rollout", "status", "deployment/answers", "--timeout=60s")
    # Names are to be found though the node is lost: Kubernetes gives its pods up after five minutes only.
    dns, on_first = ("--namespace=kube-system", "deployment/coredns"), {"node-role.kubernetes.io/control-plane": ""}
    selector = json.dumps({"spec": {"template": {"spec": {"nodeSelector": on_first}}}})
    cluster.kubectl("patch", *dns, f"--patch={selector}")
    cluster.kubectl("rollout", "status", *dns, "--timeout=120s")
    with operating(place):
        place.taxonomy(leaves=4)
        place.kubectl("wait", "taxonomy/lists", "--for=condition=Ready", "--timeout=60s")
        cluster.kubectl("cordon", first)
        try:
            place.run(placement={"tolerations": SOON_GONE})
            place.until_records(1)
            cluster.kubectl("uncordon", first)
            # Frozen as a whole: kubelet, containers and network. Its Node object stays.
            docker("pause", worker)
            place.until("the lost node", lambda s: worker in (s.get("message") or ""), seconds=240)
            status = place.until_ended()
        finally:
            cluster.kubectl("uncordon", first)
            docker("unpause", worker, check=False)
            cluster.kubectl("wait", f"node/{worker}", "--for=condition=Ready", "--timeout=120s")
    assert status["state"] == "completed", status["message"]
    assert "NodeLost" in place.reasons()
    place.assert_whole(leaves=4)
