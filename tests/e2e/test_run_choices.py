"""What a user may choose of a run, on the real node: shards, leaves, reuse, a served teacher."""

import json

import pytest

from hack.cluster.cluster import GPU_RESOURCE
from tests.e2e.place import Place, operating

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420, func_only=True)]


def served(place: Place, **changes: object) -> dict[str, object]:
    server = {
        "image": place.images["sdg-teacher-scripted"],
        "modelName": "teacher",
        "resources": {"limits": {GPU_RESOURCE: 1, "memory": "256Mi"}},
    }
    return {"server": {**server, **changes}}


def test_a_served_teacher_gets_the_gpu_and_the_engine_none(place: Place) -> None:
    with operating(place, allowed={"images": ["localhost/*"]}):
        place.taxonomy(leaves=1)
        place.run(teacher=served(place))
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    [pod] = place.all("pods", "sdg-operator.io/role=generate")
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    gpus = {c["name"]: c["resources"].get("limits", {}).get(GPU_RESOURCE) for c in containers}
    assert gpus == {"fetch": None, "teacher": "1", "sync": None, "engine": None}
    assert place.asked() == 0


def test_a_served_teacher_that_crashes_at_start_is_told(place: Place) -> None:
    with operating(place, allowed={"images": ["localhost/*"]}):
        place.taxonomy(leaves=1)
        place.run(teacher=served(place, args=["--no-such-flag"]))
        status = place.until_reason("TeacherCrashLooping", seconds=150)
    assert status["state"] == "queued"


def test_two_shards_give_what_one_gives(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=3)
        place.run("one")
        place.run("two", parallelism=2)
        states = [place.until_ended(name)["state"] for name in ("one", "two")]
    assert states == ["completed", "completed"]
    one, two = (place.read(place.layout(name).file("skills_train_msgs.jsonl")) for name in ("one", "two"))
    assert one == two
    assert {record.pod.rsplit("-", 2)[-2] for record in place.records("two")} == {"0", "1"}


def test_a_run_takes_over_what_another_has_finished(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run("first")
        place.until_ended("first")
        asked = place.asked()
        place.upload("lists", leaves=3)
        place.run("second", reuse={"name": "first"})
        status = place.until_ended("second")
    assert status["state"] == "completed", status["message"]
    assert status["plan"]["reusedLeaves"] == 2
    assert 0 < place.asked() - asked < asked
    place.assert_whole(leaves=3, name="second")


def test_only_the_chosen_leaves_are_made(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=3)
        place.run(leaves=["compositional_skills/lists/list1"])
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert [record.leaf for record in place.records()] == ["compositional_skills_lists_list1"]


def test_a_preview_makes_a_few_samples_of_each_leaf(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run(preview={"samplesPerLeaf": 3})
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["plan"]["expectedSamples"] <= 6
    assert all(0 < leaf.actual <= leaf.expected <= 3 for leaf in place.manifest().leaves)
    place.assert_whole(leaves=2)


def test_a_merge_has_the_rows_of_all_its_sources_and_makes_none(place: Place) -> None:
    key = f"{place.namespace}/shared.jsonl"
    row = {"messages": [{"role": "user", "content": "Which row?"}, {"role": "assistant", "content": "One of a file."}]}
    place.bucket.put_object(Bucket=place.s3_access["bucket"], Key=key, Body=f"{json.dumps(row)}\n".encode())
    with operating(place):
        place.taxonomy(leaves=2)
        place.run("first", leaves=["compositional_skills/lists/list0"])
        place.run("second", leaves=["compositional_skills/lists/list1"])
        sources = [{"dataGeneration": "first"}, {"dataGeneration": "second"}, {"skillsKey": key}]
        place.run("merged", taxonomyRef=None, pipeline=None, generation=None, dataSources=sources)
        status = place.until_ended("merged")
        asked = place.asked()
        made = [place.until_ended(name)["dataMetrics"]["samples"]["skills"] for name in ("first", "second")]
    assert status["state"] == "completed", status["message"]
    assert place.all("jobs", "sdg-operator.io/name=merged,sdg-operator.io/role=generate") == []
    assert asked == place.asked()
    rows = place.read(place.layout("merged").file("skills_train_msgs.jsonl")).splitlines()
    assert len(rows) == status["dataMetrics"]["samples"]["total"] == sum(made) + 1
    assert any(b"One of a file." in each for each in rows)


def test_deleting_a_run_stops_its_pods_and_leaves_the_bucket_alone(place: Place) -> None:
    place.start_teacher(median=0.8)
    with operating(place):
        place.taxonomy(leaves=3)
        place.run()
        place.until_records(1)
        layout = place.layout()
        place.kubectl("delete", "datageneration", "run")
        place.kubectl("wait", "--for=delete", "pod", "--selector=sdg-operator.io/role=generate", "--timeout=90s")
        place.kubectl("wait", "--for=delete", "job", "--selector=sdg-operator.io/role=generate", "--timeout=30s")
    assert layout.inputs in place.keys(f"{layout.root}/")
    assert any(key.startswith(layout.leaf_records) for key in place.keys(f"{layout.root}/"))
