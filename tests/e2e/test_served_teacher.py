"""A teacher that is served beside the engine, on the real node: its GPU, and what it does wrong while it looks well."""

from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster.cluster import GPU_RESOURCE
from tests.e2e.operator import Operator
from tests.e2e.place import Place, why

_PATIENCE = 30
_SLOWLY = ("--median", "1")
_FEW = {"scaleFactor": 4, "batchSize": 4, "maxConcurrency": 2}
"""Answers asked for at once: three leaves take half a minute, and requests come all the time."""


@pytest.fixture(scope="module", autouse=True)
def _impatient(operator: Operator) -> Iterator[None]:
    """The administrator has GPUs freed soon where a teacher gives no good answer."""
    operator.install(defaults={**operator.values["settings"]["defaults"], "teacherPatienceSeconds": _PATIENCE})
    yield
    operator.install()


def served(place: Place, *args: str) -> dict[str, Any]:
    return place.served_teacher(args=list(args), resources={"limits": {GPU_RESOURCE: 1, "memory": "256Mi"}})


def tell(place: Place, pod: str, script: str) -> None:
    """Tell the teacher in this pod what happens to its next requests."""
    post = f"import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/_script', {script.encode()!r}))"
    place.kubectl("exec", pod, "--container=teacher", "--", "python", "-c", post)


@pytest.mark.faults
def test_it_gets_the_gpu_and_the_engine_none_and_is_waited_for_when_it_dies(place: Place) -> None:
    place.taxonomy(leaves=3)
    place.run(teacher=served(place, *_SLOWLY), generation=_FEW)
    place.until_running()
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    gpus = {c["name"]: c["resources"].get("limits", {}).get(GPU_RESOURCE) for c in containers}
    assert gpus == {"fetch": None, "teacher": "1", "sync": None, "engine": None}
    place.until("answered", lambda s: int(s.get("progress", {}).get("samples", 0)) > 0)
    place.kill(" ".join(_SLOWLY))
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    assert {c["name"]: c["restartCount"] for c in pod["status"]["initContainerStatuses"]}["teacher"] == 1
    assert place.asked() == 0
    place.assert_whole(leaves=3)


@pytest.mark.faults
def test_one_that_fails_every_request_while_it_looks_well_is_ended_and_the_next_goes_on(place: Place) -> None:
    place.taxonomy(leaves=3)
    place.run(teacher=served(place, *_SLOWLY), generation=_FEW)
    place.until("answered", lambda s: int(s.get("progress", {}).get("samples", 0)) > 0)
    (pod,) = place.at_work()
    tell(place, pod, '[{"action": "status", "status": 500, "times": -1}]')
    status = place.until_attempt(2)
    assert why(status) == "Retrying"
    assert "could not reach the teacher" in status["message"]
    assert "500" in status["message"]
    assert pod not in place.at_work()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == 2


def test_one_that_crashes_at_its_start_is_told_with_its_last_words(place: Place) -> None:
    place.taxonomy(leaves=1)
    place.run(teacher=served(place, "--no-such-flag"))
    status = place.until_reason("TeacherCrashLooping")
    assert status["state"] == "queued"
    assert "unrecognized arguments: --no-such-flag" in status["message"]
    place.change("run", cancel=True)
    assert place.until_ended()["state"] == "canceled"
    assert place.at_work() == []


@pytest.mark.faults
def test_one_that_never_gives_a_good_answer_fails_its_run_within_its_budget(place: Place) -> None:
    """It is the run's own and frozen with it: nobody could mend it, and each attempt holds its GPU."""
    place.taxonomy(leaves=1)
    teacher = served(place, "--script", '[{"action": "status", "status": 500, "times": -1}]')
    place.run(teacher=teacher, maxFruitlessAttempts=1)
    place.until_running()
    (pod,) = place.at_work()
    status = place.until_attempt(2)
    assert (status["state"], why(status), status["attempt"]["fruitless"]) == ("queued", "Retrying", 1)
    assert "500" in status["message"]
    place.until("the next pod", lambda _: {pod}.isdisjoint(place.at_work()) and place.at_work() != [])
    status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "TeacherUnavailable")
    assert "2 attempts in a row finished no leaf" in status["failure"]["message"]
    assert status["attempt"]["number"] == 2
    assert place.at_work() == []
