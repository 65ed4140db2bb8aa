"""The operator is killed, doubled, replaced or cut off in mid-run: nothing is lost, and nothing runs twice."""

import random
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.engine import ensure
from hack.cluster.steps import wait_for
from tests.e2e.beside import operating
from tests.e2e.judge import ENDED
from tests.e2e.line import line_to
from tests.e2e.operator import Operator
from tests.e2e.place import Place

_PACKAGE = Path(__file__).parents[2] / "operator" / "sdg_operator"
_GRACE = "GRACE_SECONDS: Final = 60"
_API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@pytest.fixture
def held(place: Place) -> None:
    """The first leaf can be made; for the others the teacher is away."""
    place.hold(1, 2)


def job_uids(place: Place, role: str) -> list[str]:
    return [job["metadata"]["uid"] for job in place.all("jobs", f"sdg-operator.io/role={role}")]


def assert_made_once(place: Place, leaves: int) -> None:
    """One attempt and one mix were enough, and the run is whole."""
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    assert [len(job_uids(place, role)) for role in ("generate", "mix")] == [1, 1]
    assert len(place.records()) == leaves
    place.assert_whole(leaves)


@pytest.mark.faults
def test_an_operator_killed_at_ten_random_points_loses_nothing(place: Place, operator: Operator) -> None:
    """From the check of the taxonomy to the mix, which is let in only after the last of them but one."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    # The check's and the generate Job: the mix's comes when this is lifted.
    place.kubectl("create", "quota", "two", "--hard=count/jobs.batch=2")
    place.hold(1, 2)
    place.run()
    place.taxonomy(leaves=3)  # after the run: one check is enough for it
    for death in range(1, 11):
        time.sleep(chance.uniform(0, 3))  # when it dies is the input of this test
        (pod,) = operator.pods()
        operator.kill_with_its_pod(pod["metadata"]["name"])
        if death == 4:
            place.hold(2)
        if death == 7:
            place.release()
        if death == 9:
            assert place.status()["state"] not in ENDED
            place.kubectl("delete", "quota", "two")
    assert_made_once(place, leaves=3)


def test_two_operators_at_once_start_one_run(place: Place, operator: Operator, tmp_path: Path) -> None:
    with operating(place, operator, tmp_path):
        place.taxonomy(leaves=3)
        place.run()
        assert_made_once(place, leaves=3)
    assert len(job_uids(place, "validate")) == place.get("taxonomies", "lists")["status"]["attempt"]


@pytest.fixture
def two_replicas(operator: Operator) -> Iterator[Operator]:
    operator.install(replicas=2)
    yield operator
    operator.install()


@pytest.mark.faults
def test_a_leader_that_is_killed_is_followed_by_another(two_replicas: Operator, place: Place, held: None) -> None:
    operator = two_replicas
    assert len(operator.pods()) == 2
    place.begin(leaves=3)
    leader = operator.leader()
    operator.kill_with_its_pod(leader)
    wait_for("another leader", 120, lambda: operator.leader() not in ("", leader))
    place.release()
    assert_made_once(place, leaves=3)


@pytest.mark.faults
def test_an_operator_upgraded_in_mid_run_takes_its_jobs_as_they_are(
    place: Place, held: None, operator: Operator, tmp_path: Path
) -> None:
    """The newer one gives pods another time to end, so it would not build the Job that is there."""
    newer = tmp_path / "newer"
    shutil.copytree(_PACKAGE, newer / "sdg_operator", ignore=shutil.ignore_patterns("__pycache__"))
    builder = newer / "sdg_operator" / "builders" / "pod.py"
    text = builder.read_text()
    assert text.count(_GRACE) == 1
    builder.write_text(text.replace(_GRACE, "GRACE_SECONDS: Final = 61"))
    place.begin(leaves=3)
    jobs = job_uids(place, "generate")
    with operator.away(), operating(place, operator, tmp_path, package=newer):
        place.release()
        assert_made_once(place, leaves=3)
        assert job_uids(place, "generate") == jobs
        place.run("next")
        assert place.until_ended("next")["state"] == "completed"
    built = {
        job["metadata"]["ownerReferences"][0]["name"]: job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for job in place.all("jobs", "sdg-operator.io/role=generate")
    }
    assert built == {"run": 60, "next": 61}


@pytest.mark.faults
def test_an_operator_that_is_restarted_in_mid_run_costs_nothing(place: Place, held: None, operator: Operator) -> None:
    place.begin(leaves=3)
    before = place.at_work()
    (old,) = operator.pods()
    operator.restart()
    assert old["metadata"]["name"] not in {pod["metadata"]["name"] for pod in operator.pods()}
    assert place.at_work() == before
    place.release()
    assert_made_once(place, leaves=3)


@pytest.mark.faults
def test_an_operator_cut_off_from_its_api_server_takes_up_what_it_has_not_been_told(
    place: Place, held: None, operator: Operator, tmp_path: Path
) -> None:
    """The attempt ends while it is cut off: of that it gets no event, for its watch begins anew with a list."""
    config = tmp_path / "kubeconfig"
    with (
        operator.away(),
        line_to(place.cluster, config) as line,
        operating(place, operator, tmp_path, kubeconfig=config) as cut_off,
    ):
        place.begin(leaves=3)
        with cut_off.interrupted(), line.cut():
            place.release()
            wait = ["wait", "jobs", "--selector=sdg-operator.io/role=generate", "--for=condition=Complete"]
            place.kubectl(*wait, "--timeout=180s")
            assert place.status()["state"] == "running"
        assert_made_once(place, leaves=3)


@pytest.mark.faults
def test_an_api_server_away_for_half_a_minute_costs_nothing(place: Place, held: None) -> None:
    docker = ensure().docker
    (node,) = place.cluster.nodes()
    place.begin(leaves=3)

    def answers() -> bool:
        return "ok" in place.cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False)

    docker("exec", node, "mv", _API_SERVER, "/etc/kubernetes/away.yaml")
    try:
        wait_for("the end of the API server", 120, lambda: not answers())
        place.release()
        time.sleep(30)  # the length of the outage is the input of this test
    finally:
        docker("exec", node, "mv", "/etc/kubernetes/away.yaml", _API_SERVER)
        wait_for("the API server", 120, answers)
    assert_made_once(place, leaves=3)


@pytest.mark.faults
def test_a_namespace_with_a_run_can_be_deleted_while_no_operator_is_there(
    place: Place, held: None, operator: Operator
) -> None:
    """Nothing of ours blocks a delete: no finalizer waits for somebody who is not there."""
    place.begin(leaves=2)
    place.lose_teacher()
    with operator.away():
        place.cluster.kubectl("delete", "namespace", place.namespace, "--timeout=180s")


@pytest.mark.faults
def test_a_namespace_with_a_run_of_two_engines_can_be_deleted(place: Place, held: None) -> None:
    """Their Job keeps its pods; the operator deletes it."""
    place.begin(leaves=3, parallelism=2)
    place.lose_teacher()
    place.cluster.kubectl("delete", "namespace", place.namespace, "--timeout=400s")
