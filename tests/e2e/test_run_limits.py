"""A run meets a limit of memory, work folder, time or uid: it says which, and goes on or ends."""

import pytest

from tests.e2e.place import Place, operating

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420, func_only=True)]


def test_an_engine_out_of_memory_is_told_from_its_first_pod_on(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1)
        place.run(engine={"resources": {"limits": {"memory": "48Mi"}}}, maxFruitlessAttempts=0)
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "OutOfMemory")
    assert "Container engine of pod" in status["message"]
    assert "needed more memory than its limit" in status["message"]
    assert any("Kubernetes starts it again" in (seen.get("message") or "") for seen in place.seen)


def test_a_work_folder_over_its_size_is_told_and_the_next_attempt_goes_on(place: Place) -> None:
    place.hold(1)
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        place.until_records(1)
        [pod] = place.all("pods", "sdg-operator.io/role=generate")
        size = place.status()["plan"]["workBytes"] + 2**20
        fill = f"f = open('/work/out/core', 'wb'); [f.write(bytes(2**20)) for _ in range({size} // 2**20 + 1)]"
        place.kubectl("exec", pod["metadata"]["name"], "--container=engine", "--", "python", "-c", fill)
        place.until("told", lambda _: any("exceeds the limit" in (seen.get("message") or "") for seen in place.seen))
        place.release()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    place.assert_whole(leaves=2)


def test_a_pod_that_holds_a_node_without_starting_meets_the_start_deadline(place: Place) -> None:
    with operating(place, allowed={"images": ["localhost/none:*"]}):
        place.taxonomy(leaves=1)
        place.run(engine={"image": "localhost/none:1"}, startDeadlineSeconds=30)
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "StartDeadlineExceeded")
    assert "localhost/none:1" in status["message"]
    assert place.at_work() == []


def test_the_active_deadline_ends_a_run_and_keeps_what_it_made(place: Place) -> None:
    place.hold(1)
    with operating(place):
        place.taxonomy(leaves=2)
        place.run(activeDeadlineSeconds=40)
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "ActiveDeadlineExceeded")
    assert len(place.manifest().leaves) == 1
    assert "reuse" in status["message"]


def test_any_uid_with_group_0_will_do(place: Place) -> None:
    """As OpenShift gives: a uid that no image knows, and an fsGroup."""
    with operating(place, podSecurity={"runAsUser": 1_000_680_000, "fsGroup": 1_000_680_000}):
        place.taxonomy(leaves=1)
        place.run()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    pods = place.all("pods", "sdg-operator.io/kind=DataGeneration")
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in pods} == {1_000_680_000}
    place.assert_whole(leaves=1)
