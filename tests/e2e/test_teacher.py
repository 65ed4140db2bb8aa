"""The teacher is away, slow, silent, wrong or talks nonsense: a run bears what passes, and says what does not."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster.cluster import GPU_RESOURCE
from tests.e2e.operator import Operator
from tests.e2e.place import Place, condition, why

_GARBAGE = {"action": "raw", "text": "<html>\xff no JSON"}


def until_completed(place: Place, leaves: int, seconds: float = 300) -> dict[str, Any]:
    """The one attempt was enough."""
    status = place.until_ended(seconds=seconds)
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves)
    return status


def test_a_teacher_that_is_away_for_a_while_is_waited_for_in_the_pod(place: Place) -> None:
    place.hold(1, 2)
    place.begin(leaves=3)
    (pod,) = place.at_work()
    place.end_teacher()
    time.sleep(20)  # how long it is away is the input of this test
    assert place.at_work() == [pod]
    place.mend_teacher()
    until_completed(place, leaves=3)


@pytest.fixture
def impatient(operator: Operator) -> Iterator[None]:
    """Engines bear a teacher without a good answer for some seconds only."""
    operator.install(defaults=operator.group("defaults", teacherPatienceSeconds=15))
    yield
    operator.install()


@pytest.mark.faults
def test_a_teacher_away_for_longer_than_the_engine_waits_frees_the_gpu(impatient: None, place: Place) -> None:
    place.hold(1, 2)
    place.begin(leaves=3, engine={"resources": {"limits": {GPU_RESOURCE: 1}}})
    place.end_teacher()
    freed = "The GPU is free"
    status = place.until("freed", lambda seen: freed in seen["message"])
    assert (status["state"], why(status)) == ("queued", "TeacherUnavailable")
    assert place.at_work() == []
    place.mend_teacher()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] > 1


@pytest.mark.faults
def test_a_slow_teacher_is_waited_for_and_the_run_says_how_far_it_is(place: Place) -> None:
    place.start_teacher(median=8)
    place.taxonomy(leaves=2)
    place.run()
    until_completed(place, leaves=2)
    assert "NoSignal" not in place.reasons()
    assert any("Generating data for taxonomy path" in (seen.get("message") or "") for seen in place.seen)


@pytest.mark.faults
def test_a_silent_teacher_is_told_and_its_restart_is_enough(place: Place) -> None:
    place.taxonomy(leaves=2)
    place.script({"action": "silence", "times": -1, "contains": "of list 1,"})
    place.run()
    place.until_records(1)
    status = place.until_reason("NoSignal", seconds=300)
    assert (status["state"], condition(status, "Progressing")) == ("running", "False")
    place.restart_teacher()
    until_completed(place, leaves=2)


@pytest.mark.parametrize(
    ("what", "wrong", "words"),
    [
        pytest.param("api_token", "not-the-teachers", "401", marks=pytest.mark.faults),
        ("model_name", "other", "other"),
    ],
    ids=["key", "model"],
)
def test_a_teacher_that_refuses_the_first_request_fails_the_run_at_once(
    place: Place, what: str, wrong: str, words: str
) -> None:
    place.apply(place.teacher_secret(**{what: wrong}))
    place.taxonomy(leaves=1)
    place.run()
    status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "TeacherRefused")
    assert words in status["failure"]["message"]
    assert condition(status, "Stalled") == "True"
    assert status["attempt"]["number"] == 1
    (asked,) = {text for each in place.teacher_log() for text in each.texts}
    assert "of list" not in asked, "the first request is enough to know"


@pytest.mark.faults
@pytest.mark.parametrize("step", [{"action": "drop"}, _GARBAGE, {"action": "null"}], ids=["drops", "garbage", "null"])
def test_a_teacher_that_misbehaves_for_a_while_costs_only_time(place: Place, step: dict[str, Any]) -> None:
    place.taxonomy(leaves=3)
    place.script({**step, "times": 6, "skip": 2})
    place.run()
    until_completed(place, leaves=3)


@pytest.mark.faults
def test_a_teachers_key_that_is_rotated_in_mid_run_is_taken_up(place: Place) -> None:
    """The kubelet brings a changed Secret into the pod within its sync period; the engine reads it again on 401."""
    place.hold(1, 2)
    place.begin(leaves=3)
    place.apply(place.teacher_secret(api_token="rotated"))
    place.start_teacher(median=0.05, token="rotated")
    until_completed(place, leaves=3, seconds=400)
