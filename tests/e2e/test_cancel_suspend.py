"""Cancel and suspend at every stage of a run, as the table of what a user sees promises."""

from typing import Any

import pytest

from tests.e2e.place import Place, condition, operating, why

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420, func_only=True)]


@pytest.fixture(autouse=True)
def held(place: Place) -> None:
    """The first leaf can be made; for the others the teacher is away."""
    place.hold(1, 2, 3)


def until_mixing(place: Place) -> None:
    """Bring a run of one leaf to where all is made and its mix is not let in."""
    place.kubectl("create", "quota", "one", "--hard=count/jobs.batch=2")  # the check's and the generate Job
    place.taxonomy(leaves=1)
    place.run()
    place.until("mixing", lambda s: s.get("phase") == "Mixing")


def ended(place: Place) -> dict[str, Any]:
    place.kubectl("delete", "quota", "one")
    return place.until_ended()


def test_suspend_frees_the_pods_and_resume_goes_on(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=3)
        place.run()
        place.until_records(1)
        place.until("running", lambda s: s.get("state") == "running")
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


def test_suspend_while_mixing_comes_too_late_and_is_said(place: Place) -> None:
    with operating(place):
        until_mixing(place)
        place.change("run", suspend=True)
        status = place.until("told", lambda s: "Suspend comes too late" in s["message"])
        assert status["state"] == "running"
        assert ended(place)["state"] == "completed"


def test_cancel_wins_over_suspend(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        place.until("running", lambda s: s.get("state") == "running")
        place.change("run", cancel=True, suspend=True)
        status = place.until_ended()
    assert status["state"] == "canceled"
    assert place.at_work() == []


def test_cancel_mixes_what_is_finished(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        place.change("run", cancel=True)
        status = place.until_ended()
    assert status["state"] == "canceled", status["message"]
    manifest = place.manifest()
    assert len(manifest.leaves) == 1
    assert len(manifest.missing) == 3
    assert status["dataMetrics"]["samples"]["total"] == manifest.samples.total > 0


def test_cancel_before_the_first_sample_mixes_nothing(place: Place) -> None:
    place.hold(0, 1)
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        place.until("running", lambda s: s.get("state") == "running")
        place.change("run", cancel=True)
        status = place.until_ended()
    assert status["state"] == "canceled"
    assert "nothing to mix" in status["message"]
    assert place.keys(place.layout().manifest) == []
    assert place.all("jobs", "sdg-operator.io/role=mix") == []


def test_cancel_after_the_last_leaf_comes_too_late_and_is_said(place: Place) -> None:
    with operating(place):
        until_mixing(place)
        place.change("run", cancel=True)
        place.until("told", lambda s: "Cancel comes too late" in s["message"])
        status = ended(place)
    assert status["state"] == "completed"
    assert "Cancel came too late" in status["message"]
    place.assert_whole(leaves=1)


@pytest.mark.faults
def test_cancel_without_a_bucket_ends_within_two_minutes(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        place.until_records(1)
        place.apply(place.storage_secret(AWS_SECRET_ACCESS_KEY="revoked"))
        place.change("run", cancel=True)
        status = place.until_ended(seconds=180)
    assert status["state"] == "canceled"
    assert "could not be mixed" in status["message"]
    assert why(status) == "FilesNotMixed"
    assert place.at_work() == []


def test_a_leaf_that_cannot_be_made_fails_the_run_and_the_others_are_mixed(place: Place) -> None:
    place.script({"action": "status", "status": 400, "text": "too long", "times": -1, "contains": "of list 1,"})
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "LeavesFailed")
    assert status["failure"]["leaf"].endswith("list1")
    assert "reuse" in status["message"]
    manifest = place.manifest()
    assert [leaf.path.rsplit(">", 1)[-1] for leaf in manifest.leaves] == ["list0"]
    assert [leaf.path.rsplit(">", 1)[-1] for leaf in manifest.failed] == ["list1"]
