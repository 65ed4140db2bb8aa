"""The kernel or somebody kills what makes the samples: the run says so, and only a kill without progress costs it."""

import pytest

from hack.cluster.cluster import Cluster
from tests.e2e.ownimages import image_of
from tests.e2e.place import Place

_ENGINE = "sdg_operator.engine.instructlab"


@pytest.fixture(scope="module")
def careless(cluster: Cluster, images: dict[str, str]) -> str:
    """An engine that pays no heed to how its workers end: each takes far more memory than there is, and it exits 0."""
    greedy = "import sys; b = bytearray(b'1') * (1 << 32)"
    engine = "import subprocess, sys; [subprocess.run([sys.executable, '-c', sys.argv[1]]) for _ in range(3)]"
    words = ", ".join(f'"{word}"' for word in ("python", "-c", engine, greedy))
    return image_of(cluster, "sdg-careless", f"FROM {images['sdg-engine']}\nENTRYPOINT [{words}]\n")


@pytest.mark.faults
def test_memory_that_runs_out_is_told_though_the_engine_exits_0(place: Place, careless: str) -> None:
    place.taxonomy(leaves=1)
    place.run(engine={"image": careless, "resources": {"limits": {"memory": "256Mi"}}}, maxFruitlessAttempts=1)
    status = place.until_attempt(2)
    assert "needed more memory than its limit" in status["message"]
    status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "OutOfMemory")
    assert "Container engine of pod" in status["message"]
    assert status["attempt"]["number"] == 2


@pytest.mark.faults
def test_an_engine_out_of_memory_is_told_from_its_first_pod_on(place: Place) -> None:
    place.taxonomy(leaves=1)
    place.run(engine={"resources": {"limits": {"memory": "48Mi"}}}, maxFruitlessAttempts=0)
    place.until("told", lambda _: place.said("Kubernetes starts it again"))
    status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "OutOfMemory")
    assert "Container engine of pod" in status["message"]
    assert "needed more memory than its limit" in status["message"]


@pytest.mark.faults
def test_memory_that_runs_out_beside_an_engine_costs_no_finished_leaf(place: Place) -> None:
    """Which process the kernel takes, or whether all of the container, depends on the node's cgroups."""
    place.hold(1)
    place.begin(leaves=2, engine={"resources": {"limits": {"memory": "512Mi"}}}, maxFruitlessAttempts=0)
    (pod,) = place.at_work()
    said = place.kubectl(
        *(
            "exec",
            pod,
            "--container=engine",
            "--",
            "python",
            "-c",
            "b = bytearray(b'1') * (1 << 32); print('unharmed')",
        ),
        check=False,
    )
    assert "unharmed" not in said
    place.release()
    status = place.until_completed(leaves=2)
    assert (status["attempt"]["number"], status["attempt"]["fruitless"]) == (1, 0)


def test_a_kill_from_nobody_knows_whom_is_followed_by_the_next_pod(place: Place) -> None:
    """Exit code 137, and no condition of the pod that tells of a disruption."""
    place.hold(1)
    place.taxonomy(leaves=2)
    # The first attempt without a finished leaf would be the last.
    place.run(maxFruitlessAttempts=0)
    place.until_records(1)
    (killed,) = place.at_work()
    place.kill(_ENGINE)
    place.until("the next pod", lambda _: not {killed}.issuperset(place.at_work()))
    place.until("told", lambda _: place.said("ended with exit code 137"))
    place.release()
    status = place.until_completed(leaves=2)
    assert status["attempt"]["fruitless"] == 0


@pytest.mark.faults
def test_an_attempt_that_was_killed_to_its_end_costs_no_budget_if_it_finished_a_leaf(place: Place) -> None:
    place.hold(1, 2)
    place.begin(leaves=3, maxFruitlessAttempts=0)
    killed: set[str] = set()
    while (status := place.status())["attempt"]["number"] == 1:
        for pod in set(place.at_work()) - killed:
            place.until("its engine is at work", lambda _, pod=pod: _engine_runs(place, pod))  # type: ignore[misc]
            place.kill(_ENGINE)
            killed.add(pod)
        place.until("another pod or the next attempt", lambda s: _moved(place, s, killed))
    assert len(killed) == 4, "a pod and the three that Kubernetes starts in its place"
    assert (status["state"], status["attempt"]["fruitless"]) == ("queued", 0), status["message"]
    place.until("told", lambda _: place.said("exit code 137"))
    place.release()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == 2


def _engine_runs(place: Place, name: str) -> bool:
    (pod,) = (pod for pod in place.all("pods") if pod["metadata"]["name"] == name)
    return any("running" in each["state"] for each in pod["status"].get("containerStatuses", []))


def _moved(place: Place, status: dict[str, object], killed: set[str]) -> bool:
    attempt = status["attempt"]
    assert isinstance(attempt, dict)
    return attempt["number"] > 1 or bool(set(place.at_work()) - killed)
