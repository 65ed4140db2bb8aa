"""Runs on a real node: kubelet, scheduler, S3 server, instructlab-sdg; the teacher is scripted."""

import secrets
import time

import pytest

from tests.e2e.judge import ENDED
from tests.e2e.place import Place, condition, operating

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420, func_only=True)]


def test_two_small_files_give_training_data(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["message"] == "completed"
    assert status["progress"]["leaves"] == "2/2"
    assert status["progress"]["percent"] == 100
    assert condition(status, "Complete") == "True"
    place.assert_whole(leaves=2)
    ranks = [["queued", "running", "completed"].index(s["state"]) for s in place.seen if s.get("state")]
    assert ranks == sorted(ranks), "states went back"


def test_jobs_are_let_go_and_a_finished_run_is_not_made_again(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1)
        place.run()
        place.until_ended()
        end = time.monotonic() + 30
        while place.all("jobs", "sdg-operator.io/watch=true,sdg-operator.io/kind=DataGeneration"):
            assert time.monotonic() < end, "its Jobs stay in the watch"
            time.sleep(0.5)
        jobs = place.all("jobs", "sdg-operator.io/kind=DataGeneration")
        assert {job["spec"]["ttlSecondsAfterFinished"] for job in jobs} == {86_400}
        before = place.status()
        place.kubectl("delete", "jobs", "--all", "--wait=true")
        time.sleep(25)  # longer than a resync: the operator has looked at everything once more
        assert place.all("jobs") == []
        assert place.status() == before


def test_a_broken_taxonomy_says_what_to_mend_and_heals(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1, broken=True)
        place.run()
        status = place.until_reason("TaxonomyNotReady")
        assert status["state"] == "queued"
        taxonomy = place.get("taxonomies", "lists")["status"]
        assert taxonomy["state"] == "failed"
        assert taxonomy["problems"][0]["file"].endswith("qna.yaml")
        place.upload("lists", leaves=1)
        assert place.until_ended()["state"] == "completed"


def test_a_changed_taxonomy_is_never_used_unchecked(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1)
        place.run("first")
        first = place.until_ended("first")
        place.upload("lists", leaves=3)
        place.run("second")
        second = place.until_ended("second")
    assert "TaxonomyChecking" in place.reasons("second")
    assert first["snapshotDigest"] != second["snapshotDigest"]
    assert second["progress"]["leaves"] == "3/3"


def test_an_image_that_is_not_allowed_is_refused_at_once(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1)
        place.run(engine={"image": "localhost/none:1"})
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "NotAllowed")
    assert "administrator" in status["message"]
    assert place.all("jobs", "sdg-operator.io/role=generate") == []


def test_a_missing_secret_is_named_and_waited_for(place: Place) -> None:
    place.kubectl("delete", "secret", "sdg-teacher")
    with operating(place):
        place.taxonomy(leaves=1)
        place.run()
        status = place.until_reason("SecretNotFound")
        assert "sdg-teacher" in status["message"]
        place.apply(place.teacher_secret())
        assert place.until_ended()["state"] == "completed"


def test_quota_is_said_and_waited_for(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=1)
        place.kubectl("wait", "taxonomy/lists", "--for=condition=Ready", "--timeout=60s")
        place.kubectl("create", "quota", "none", "--hard=requests.cpu=0")
        place.run()
        status = place.until_reason("QuotaExceeded")
        assert "exceeded quota: none" in status["message"]
        assert status["state"] == "queued"
        place.kubectl("delete", "quota", "none")
        assert place.until_ended(seconds=240)["state"] == "completed"


def test_a_wrong_teacher_key_fails_at_once(place: Place) -> None:
    place.apply(place.teacher_secret(api_token="wrong"))
    with operating(place):
        place.taxonomy(leaves=1)
        place.run()
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "TeacherRefused")
    assert "401" in status["failure"]["message"]
    assert condition(status, "Stalled") == "True"
    assert status["attempt"]["number"] == 1


class TestInMidRun:
    """One leaf is finished; for the others the teacher is away until the test has done what it came for."""

    @pytest.fixture(autouse=True)
    def held(self, place: Place) -> None:
        place.hold(1, 2, 3)

    def test_a_pod_killed_by_hand_costs_only_what_was_in_flight(self, place: Place) -> None:
        with operating(place):
            place.taxonomy(leaves=3)
            place.run()
            place.until_records(1)
            (killed,) = place.at_work()
            place.kubectl("delete", "pods", "--selector=sdg-operator.io/role=generate", "--grace-period=0", "--force")
            place.until("the next pod", lambda _: not {killed}.issuperset(place.at_work()))
            place.release()
            assert place.until_ended()["state"] == "completed"
        assert len(place.records()) == 3
        place.assert_whole(leaves=3)

    def test_a_job_deleted_by_hand_is_followed_by_the_next_attempt(self, place: Place) -> None:
        with operating(place):
            place.taxonomy(leaves=3)
            place.run()
            place.until_records(1)
            place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=generate")
            place.until_attempt(2)
            place.release()
            status = place.until_ended()
        assert status["state"] == "completed"
        assert status["attempt"]["number"] == 2
        assert len(place.records()) == 3

    def test_a_job_edited_by_hand_is_replaced(self, place: Place) -> None:
        with operating(place):
            place.taxonomy(leaves=3)
            place.run()
            place.until_records(1)
            for job in place.all("jobs", "sdg-operator.io/role=generate"):
                place.kubectl("patch", "job", job["metadata"]["name"], '--patch={"spec":{"parallelism":0}}')
            place.until_attempt(2)
            place.release()
            status = place.until_ended()
        assert status["state"] == "completed"
        assert status["attempt"]["number"] == 2
        assert "JobEdited" in place.reasons()

    def test_the_operator_killed_again_and_again_loses_nothing(self, place: Place) -> None:
        """At ten random points from the check of the taxonomy to the mix, which is not let in before the last."""
        place.kubectl("create", "quota", "two", "--hard=count/jobs.batch=2")
        place.taxonomy(leaves=3)
        place.run()
        chance = secrets.SystemRandom()
        for death in range(1, 11):
            with operating(place) as operator:
                time.sleep(2.5 + chance.random() * 3)  # when it dies is the input of this test
                operator.kill()
            if death == 4:
                place.hold(2)
            if death == 7:
                place.release()
        assert place.status().get("state") not in ENDED
        place.kubectl("delete", "quota", "two")
        with operating(place):
            status = place.until_ended()
        assert len(place.operators) == 11
        assert status["state"] == "completed", status["message"]
        assert status["attempt"]["number"] == 1
        assert len(place.records()) == 3
        place.assert_whole(leaves=3)

    def test_a_teacher_away_in_mid_run_is_waited_for(self, place: Place) -> None:
        with operating(place):
            place.taxonomy(leaves=3)
            place.run()
            place.until_records(1)
            time.sleep(10)  # how long it is away
            place.release()
            status = place.until_ended()
        assert status["state"] == "completed"
        assert status["attempt"]["number"] == 1
        place.assert_whole(leaves=3)
