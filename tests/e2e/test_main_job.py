"""The main job on a real node: kubelet, scheduler, S3 server, instructlab-sdg; the teacher is scripted.

Leaves that a test holds are not answered until it lets go: nothing here depends on how fast the machine is.
"""

import re
from collections.abc import Iterator

import pytest

from hack.cluster.cluster import GPU_RESOURCE
from tests.e2e.operator import Operator
from tests.e2e.place import HOLD, Place, condition

_GPU = {"resources": {"limits": {GPU_RESOURCE: 1}}}


@pytest.fixture
def held(place: Place) -> None:
    """The first leaf can be made; for the others the teacher is away."""
    place.hold(1, 2)


def test_two_small_files_give_training_data(place: Place) -> None:
    # Slow, not away: while a teacher answers nobody, what it says is the run's message.
    place.script({"action": "say", "text": "{}", "delay": 30, "times": -1, "contains": "of list 1,"})
    place.begin(leaves=2, engine=_GPU)
    path, numbers = r"compositional_skills->lists->list\d", r"\d+% \d+/\d+ \(total qna processed 1/2\)"
    words = f"Generating data for taxonomy path {path}: {numbers}"
    place.until("told in the service's words", lambda s: re.fullmatch(words, s.get("message", "")) is not None)
    shown = place.kubectl("get", "dg").splitlines()
    assert shown[0].split() == ["NAME", "STATE", "PERCENT", "LEAVES", "SAMPLES", "TAXONOMY", "AGE"]
    name, state, percent, leaves, samples, taxonomy, _ = shown[1].split()
    assert (name, state, leaves, taxonomy) == ("run", "running", "1/2", "lists")
    assert 0 < int(percent) < 100
    assert int(samples) > 0
    place.release()
    status = place.until_ended()
    assert (status["state"], status["message"]) == ("completed", "completed")
    assert (status["progress"]["leaves"], status["progress"]["percent"]) == ("2/2", 100)
    assert condition(status, "Complete") == "True"
    place.assert_whole(leaves=2)
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    engine = next(each for each in pod["spec"]["containers"] if each["name"] == "engine")
    assert engine["resources"]["limits"][GPU_RESOURCE] == "1"
    ranks = [["queued", "running", "completed"].index(each["state"]) for each in place.seen if each.get("state")]
    assert ranks == sorted(ranks), "states went back"


def test_a_generate_pod_deleted_in_mid_run_costs_only_what_was_in_flight(place: Place) -> None:
    """That no leaf with a record is asked for again is for every test the judge's; this one looks at batches too."""
    place.script(*(HOLD | {"contains": words} for words in ("word 4 of list 1,", "of list 2,")))
    place.begin(leaves=3)
    batch = place.until_checkpoint("compositional_skills_lists_list1")
    finished = set(re.findall(rb"word (\d) of list 1,", batch))
    assert finished == {b"0", b"1", b"2", b"3"}
    (deleted,) = place.at_work()
    place.kubectl("delete", "pod", deleted)
    place.until("the next pod", lambda _: not {deleted}.issuperset(place.at_work()))
    before = len(place.teacher_log())
    place.release()
    place.until_completed(leaves=3)
    assert len(place.records()) == 3
    texts = [text.encode() for asked in place.teacher_log()[before:] for text in asked.texts]
    assert texts
    assert not finished & {word for text in texts for word in re.findall(rb"word (\d) of list 1,", text)}


def test_an_operator_killed_in_mid_run_takes_up_where_it_was(place: Place, held: None, operator: Operator) -> None:
    place.begin(leaves=3)
    (before,) = place.at_work()
    operator.kill()
    assert place.at_work() == [before]
    place.release()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == 1
    assert len(place.all("jobs", "sdg-operator.io/role=generate")) == 1


@pytest.fixture
def any_uid(operator: Operator) -> Iterator[int]:
    """The pods of new runs get a uid that no image knows, with group 0, as OpenShift gives."""
    uid = 1_000_680_000
    operator.install(podSecurity={"runAsUser": uid, "fsGroup": uid})
    yield uid
    operator.install()


@pytest.mark.faults
def test_a_run_under_any_uid_with_group_0(any_uid: int, place: Place) -> None:
    place.taxonomy(leaves=1)
    place.run()
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    pods = place.all("pods", "sdg-operator.io/uid")
    assert {pod["metadata"]["labels"]["sdg-operator.io/role"] for pod in pods} == {"validate", "generate", "mix"}
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in pods} == {any_uid}
    assert all("runAsGroup" not in pod["spec"]["securityContext"] for pod in pods)
    place.assert_whole(leaves=1)


def test_a_deleted_run_stops_its_jobs_and_leaves_the_bucket_alone(place: Place, held: None) -> None:
    place.begin(leaves=2)
    root = f"{place.layout().root}/"
    before = place.written(root)
    place.kubectl("delete", "dg", "run", "--timeout=120s")
    ours = "--selector=sdg-operator.io/kind=DataGeneration"
    place.kubectl("wait", "--for=delete", "jobs,pods", ours, "--timeout=120s")
    after = place.written(root)
    assert before.keys() <= after.keys()


def test_a_broken_taxonomy_starts_no_run_and_says_what_to_mend(place: Place) -> None:
    place.taxonomy(leaves=1, broken=True)
    place.run()
    status = place.until_reason("TaxonomyNotReady")
    assert status["state"] == "queued"
    taxonomy = place.get("taxonomies", "lists")["status"]
    assert taxonomy["state"] == "failed"
    (problem,) = taxonomy["problems"]
    assert problem["file"].endswith("compositional_skills/lists/list0/qna.yaml")
    assert problem["line"] > 0
    assert problem["message"]
    assert place.all("jobs", "sdg-operator.io/role=generate") == []
