"""A run meets a limit of its work folder or of its time: it says which, and goes on or ends with what it has."""

import pytest

from tests.e2e.place import Place


@pytest.mark.faults
def test_a_work_folder_over_its_size_is_told_and_the_next_pod_goes_on(place: Place) -> None:
    place.hold(1)
    place.begin(leaves=2)
    (pod,) = place.at_work()
    size = place.status()["plan"]["workBytes"] + 2**20
    fill = f"f = open('/work/out/core', 'wb'); [f.write(bytes(2**20)) for _ in range({size} // 2**20 + 1)]"
    place.kubectl("exec", pod, "--container=engine", "--", "python", "-c", fill)
    place.until("told", lambda _: place.said("exceeds the limit"))
    place.release()
    status = place.until_completed(leaves=2)
    assert status["attempt"]["fruitless"] == 0


def test_deadlines_end_a_run_that_does_not_start_and_one_that_does_not_end(place: Place) -> None:
    place.hold(1)
    place.taxonomy(leaves=2)
    place.run("start", engine={"image": "localhost/none:1"}, startDeadlineSeconds=30)
    place.run("active", activeDeadlineSeconds=40)
    start = place.until_ended("start")
    assert (start["state"], start["failure"]["reason"]) == ("failed", "StartDeadlineExceeded")
    assert "localhost/none:1" in start["message"]
    assert place.at_work("start") == []
    active = place.until_ended("active")
    assert (active["state"], active["failure"]["reason"]) == ("failed", "ActiveDeadlineExceeded")
    assert len(place.manifest("active").leaves) == 1
    assert "spec.reuse: {name: active}" in active["message"]
    assert place.at_work("active") == []
