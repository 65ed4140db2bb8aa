"""What a user may choose of a run, on the real node: leaves, shards, a preview, what to reuse, what to merge."""

import json

import pytest

from tests.e2e.place import Place


@pytest.mark.faults
def test_two_shards_give_what_one_gives_and_a_preview_a_few_samples_of_each_leaf(place: Place) -> None:
    place.taxonomy(leaves=3)
    place.run("one")
    place.run("two", parallelism=2)
    place.run("preview", preview={"samplesPerLeaf": 3})
    for name in ("one", "two", "preview"):
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        place.assert_whole(3, name)
    one, two = (place.read(place.layout(name).file("skills_train_msgs.jsonl")) for name in ("one", "two"))
    assert one == two
    assert {record.pod.rsplit("-", 2)[-2] for record in place.records("two")} == {"0", "1"}
    assert place.status("preview")["plan"]["expectedSamples"] <= 9
    assert all(leaf.actual <= leaf.expected <= 3 for leaf in place.manifest("preview").leaves)


@pytest.mark.faults
def test_a_run_takes_over_what_another_has_finished(place: Place) -> None:
    place.taxonomy(leaves=2)
    place.run("first")
    assert place.until_ended("first")["state"] == "completed"
    asked = place.asked()
    place.upload("lists", leaves=3)
    place.run("second", reuse={"name": "first"})
    status = place.until_ended("second")
    assert status["state"] == "completed", status["message"]
    assert status["plan"]["reusedLeaves"] == 2
    anew = place.teacher_log()[asked:]
    assert {number for each in anew for number in each.leaves} == {"2"}
    place.assert_whole(3, "second")


def test_a_merge_has_the_rows_of_all_its_sources_and_makes_none(place: Place) -> None:
    key = f"{place.namespace}/shared.jsonl"
    row = {"messages": [{"role": "user", "content": "Which row?"}, {"role": "assistant", "content": "One of a file."}]}
    place.bucket.put_object(Bucket=place.s3_access["bucket"], Key=key, Body=f"{json.dumps(row)}\n".encode())
    place.taxonomy(leaves=3)
    made = 0
    for name, leaf in (("first", "list0"), ("second", "list1")):
        place.run(name, leaves=[f"compositional_skills/lists/{leaf}"])
    sources = [{"dataGeneration": "first"}, {"dataGeneration": "second"}, {"skillsKey": key}]
    place.run("merged", taxonomyRef=None, pipeline=None, generation=None, dataSources=sources)
    for name, leaf in (("first", "list0"), ("second", "list1")):
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        assert [record.leaf for record in place.records(name)] == [f"compositional_skills_lists_{leaf}"]
        made += status["dataMetrics"]["samples"]["skills"]
    asked = place.asked()
    status = place.until_ended("merged")
    assert status["state"] == "completed", status["message"]
    assert "SourceNotReady" in place.reasons("merged")
    assert place.all("jobs", "sdg-operator.io/name=merged,sdg-operator.io/role=generate") == []
    assert asked == place.asked()
    rows = place.read(place.layout("merged").file("skills_train_msgs.jsonl")).splitlines()
    assert len(rows) == status["dataMetrics"]["samples"]["total"] == made + 1
    assert any(b"One of a file." in each for each in rows)
