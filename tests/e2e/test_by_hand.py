"""Somebody lays hands on the Jobs of a run: the next attempt makes what is missing, and no Job is taken for ours."""

import pytest

from tests.e2e.place import Place

_GENERATE = "--selector=sdg-operator.io/role=generate"


@pytest.fixture(autouse=True)
def held(place: Place) -> None:
    """The first leaf can be made; for the others the teacher is away."""
    place.hold(1, 2)


def assert_completed(place: Place, attempt: int) -> None:
    place.until_attempt(attempt)
    place.release()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == attempt
    assert len(place.records()) == 3


def test_a_job_that_is_deleted_is_followed_by_the_next_attempt(place: Place) -> None:
    place.begin(leaves=3)
    place.kubectl("delete", "jobs", _GENERATE)
    assert_completed(place, attempt=2)


@pytest.mark.faults
def test_a_pod_whose_job_is_deleted_without_it_is_stopped_and_followed_by_the_next_attempt(place: Place) -> None:
    """As by a plain DELETE of the API, which is what many a client sends."""
    place.begin(leaves=3)
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    place.kubectl("delete", "jobs", _GENERATE, "--cascade=orphan")
    assert_completed(place, attempt=2)
    assert pod["metadata"]["name"] not in {each["metadata"]["name"] for each in place.all("pods", "")}


@pytest.mark.faults
def test_a_job_that_is_edited_is_replaced(place: Place) -> None:
    place.begin(leaves=3)
    (job,) = place.all("jobs", "sdg-operator.io/role=generate")
    place.kubectl("patch", "job", job["metadata"]["name"], '--patch={"spec":{"parallelism":0}}')
    assert_completed(place, attempt=2)
    assert "JobEdited" in place.reasons()


@pytest.mark.faults
def test_a_job_of_an_attempts_name_that_is_not_ours_is_left_alone(place: Place) -> None:
    place.taxonomy(leaves=3)
    place.run(suspend=True)
    uid = place.get("datagenerations", "run")["metadata"]["uid"]
    name = f"run-{uid.replace('-', '')[:5]}-generate-1"
    place.apply(_stranger(place, name))
    before = place.get("jobs", name)
    place.change("run", suspend=False)
    assert_completed(place, attempt=2)
    after = place.get("jobs", name)
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert after["metadata"].get("labels") == before["metadata"].get("labels")


def _stranger(place: Place, name: str) -> dict[str, object]:
    """A Job of the user's own, at work for as long as it is let."""
    container = {
        "name": "own",
        "image": place.images["sdg-runner"],
        "command": ["sleep", "3600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    metadata = {"name": name, "labels": {"app": "own"}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
