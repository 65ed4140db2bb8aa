"""Cancel and suspend at every stage of a run, and leaves that cannot be made: the table of what a user sees.

Runs that can wait at the same time share a namespace: most of a test's time is the start of pods.
"""

import pytest

from tests.e2e.place import HOLD, Place, condition, why

_LISTS = "compositional_skills/lists"


@pytest.fixture
def held(place: Place) -> None:
    """The first leaf can be made; for the others the teacher is away."""
    place.hold(1, 2)


def test_suspend_frees_the_pods_and_resume_goes_on(place: Place, held: None) -> None:
    place.begin(leaves=3)
    place.until_running()
    place.change("run", suspend=True)
    status = place.until("suspended", lambda s: s.get("state") == "queued")
    assert condition(status, "Suspended") == "True"
    assert place.at_work() == []
    (kept,) = place.records()
    place.release()
    place.change("run", suspend=False)
    assert place.until_ended()["state"] == "completed"
    assert [r for r in place.records() if r.leaf == kept.leaf] == [kept], "a finished leaf was made again"
    place.assert_whole(leaves=3)


def test_cancel_mixes_what_is_finished_and_wins_over_suspend(place: Place, held: None) -> None:
    place.taxonomy(leaves=3)
    place.run("some", leaves=[f"{_LISTS}/list0", f"{_LISTS}/list1"])
    place.run("both", leaves=[f"{_LISTS}/list0", f"{_LISTS}/list2"])
    place.run("none", leaves=[f"{_LISTS}/list1", f"{_LISTS}/list2"])
    place.until_records(1, "some")
    place.until_records(1, "both")
    place.until_running("none")
    place.change("some", cancel=True)
    place.change("both", cancel=True, suspend=True)
    place.change("none", cancel=True)
    for name in ("some", "both"):
        status = place.until_ended(name)
        assert status["state"] == "canceled", status["message"]
        assert place.at_work(name) == []
        manifest = place.manifest(name)
        assert (len(manifest.leaves), len(manifest.missing)) == (1, 1)
        assert status["dataMetrics"]["samples"]["total"] == manifest.samples.total > 0
    status = place.until_ended("none")
    assert status["state"] == "canceled", status["message"]
    assert "nothing to mix" in status["message"]
    assert place.at_work("none") == []
    assert place.keys(place.layout("none").manifest) == []
    assert place.all("jobs", "sdg-operator.io/name=none,sdg-operator.io/role=mix") == []


@pytest.mark.faults
def test_once_all_is_made_suspend_and_cancel_come_too_late_and_are_told_so(place: Place) -> None:
    # Room for the Job of the check and for two that generate: the mixes are not let in.
    place.kubectl("create", "quota", "three", "--hard=count/jobs.batch=3")
    place.taxonomy(leaves=1)
    for name in ("suspended", "canceled"):
        place.run(name)
    for name in ("suspended", "canceled"):
        place.until("mixing", lambda s: s.get("phase") == "Mixing", name)
    place.change("suspended", suspend=True)
    place.change("canceled", cancel=True)
    told = place.until("told", lambda s: "Suspend comes too late" in s["message"], "suspended")
    assert told["state"] == "queued", "the cluster holds its mix back"
    told = place.until("told", lambda s: "Cancel comes too late" in s["message"], "canceled")
    assert told["state"] == "queued"
    assert "QuotaExceeded" in place.reasons("canceled")
    place.kubectl("delete", "quota", "three")
    for name in ("suspended", "canceled"):
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        place.assert_whole(1, name)
    assert "Cancel came too late" in place.status("canceled")["message"]


@pytest.mark.faults
def test_a_leaf_that_cannot_be_made_fails_a_run_that_allows_none_and_the_others_are_mixed(place: Place) -> None:
    place.script({"action": "status", "status": 400, "text": "too long", "times": -1, "contains": "of list 1,"})
    place.taxonomy(leaves=2)
    place.run("strict")
    place.run("lenient", maxFailedLeaves=1)
    strict, lenient = place.until_ended("strict"), place.until_ended("lenient")
    assert (strict["state"], strict["failure"]["reason"]) == ("failed", "LeavesFailed")
    assert strict["failure"]["leaf"].endswith("list1")
    assert "spec.reuse: {name: strict}" in strict["message"]
    assert condition(strict, "Stalled") == "True"
    assert lenient["state"] == "completed", lenient["message"]
    assert "Leaves that could not be made: 1." in lenient["message"]
    for name in ("strict", "lenient"):
        manifest = place.manifest(name)
        assert [leaf.path.rsplit(">", 1)[-1] for leaf in manifest.leaves] == ["list0"]
        assert [leaf.path.rsplit(">", 1)[-1] for leaf in manifest.failed] == ["list1"]


@pytest.mark.faults
def test_cancel_before_a_pod_has_started_and_while_another_is_suspended(place: Place) -> None:
    place.script(HOLD)
    place.taxonomy(leaves=1)
    place.run("early", placement={"nodeSelector": {"disk": "none"}})
    place.run("resting")
    place.until_running("resting")
    place.change("resting", suspend=True)
    place.until("suspended", lambda s: condition(s, "Suspended") == "True", "resting")
    place.until_reason("Unschedulable", "early")
    for name in ("early", "resting"):
        place.change(name, cancel=True)
    for name in ("early", "resting"):
        status = place.until_ended(name)
        assert status["state"] == "canceled", status["message"]
        assert "nothing to mix" in status["message"]
        assert place.at_work(name) == []


@pytest.mark.faults
def test_cancel_without_a_bucket_ends_and_says_that_nothing_was_mixed(place: Place, held: None) -> None:
    place.begin(leaves=2)
    place.apply(place.storage_secret(AWS_SECRET_ACCESS_KEY="revoked"))
    place.change("run", cancel=True)
    status = place.until_ended()
    assert status["state"] == "canceled", status["message"]
    assert "could not be mixed" in status["message"]
    assert why(status) == "FilesNotMixed"
    assert place.at_work() == []
