"""The operator, its API server or its teacher are not what they should be: every leaf is made, and once."""

import importlib.util
import json
import re
import shutil
import time
from pathlib import Path

import pytest

from hack.cluster.cluster import GPU_RESOURCE
from hack.cluster.engine import ensure
from hack.cluster.steps import wait_for
from tests.e2e.line import line_to
from tests.e2e.place import Place, operating, why

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600, func_only=True)]

PACKAGE = Path(__file__).parents[2] / "operator" / "sdg_operator"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


def job_uids(place: Place, role: str) -> list[str]:
    return [job["metadata"]["uid"] for job in place.all("jobs", f"sdg-operator.io/role={role}")]


def test_two_operators_at_once_start_one_run(place: Place) -> None:
    with operating(place), operating(place):
        place.taxonomy(leaves=3)
        place.run()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert (status["attempt"]["number"], len(place.records())) == (1, 3)
    assert [len(job_uids(place, role)) for role in ("validate", "generate", "mix")] == [1, 1, 1]
    place.assert_whole(leaves=3)


def test_an_operator_upgraded_in_mid_run_takes_its_jobs_as_they_are(place: Place, tmp_path: Path) -> None:
    place.hold(1, 2)
    newer = tmp_path / "newer"
    shutil.copytree(PACKAGE, newer / "sdg_operator", ignore=shutil.ignore_patterns("__pycache__"))
    builder = newer / "sdg_operator" / "builders" / "pod.py"
    text = builder.read_text()
    assert text.count("GRACE_SECONDS: Final = 60") == 1
    builder.write_text(text.replace("GRACE_SECONDS: Final = 60", "GRACE_SECONDS: Final = 61"))
    with operating(place):
        place.taxonomy(leaves=3)
        place.run()
        place.until_records(1)
    jobs = job_uids(place, "generate")
    with operating(place, package=newer):
        place.release()
        status = place.until_ended()
        assert status["state"] == "completed", status["message"]
        place.run("next")
        assert place.until_ended("next")["state"] == "completed"
    assert [uid for uid in job_uids(place, "generate") if uid in jobs] == jobs
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=3)
    built = {
        job["metadata"]["ownerReferences"][0]["name"]: job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for job in place.all("jobs", "sdg-operator.io/role=generate")
    }
    assert built == {"run": 60, "next": 61}


def own_pipeline() -> dict[str, str]:
    """The library's simple pipeline as a ConfigMap's data: its prompts beside it instead of in folders above it."""
    found = importlib.util.find_spec("instructlab.sdg")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).parent
    flows = {file.name: file.read_text() for file in (library / "pipelines" / "simple").glob("*.yaml")}
    prompts: dict[str, str] = {}
    for name, text in flows.items():
        for path in re.findall(r"\.\./\.\./configs/\S+\.yaml", text):
            prompts[Path(path).name] = (library / "pipelines" / "simple" / path).resolve().read_text()
        flows[name] = re.sub(r"\.\./\.\./configs/\w+/", "", text)
    return flows | prompts


@pytest.mark.faults
def test_an_api_server_away_for_half_a_minute_costs_nothing(place: Place) -> None:
    docker = ensure().docker
    node = next(name for name in place.cluster.nodes() if name.endswith("control-plane"))
    place.start_teacher(median=0.8)

    def answers() -> bool:
        return "ok" in place.cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False)

    def until(wanted: bool) -> None:
        end = time.monotonic() + 120
        while answers() is not wanted:
            assert time.monotonic() < end, f"the API server does not {'come back' if wanted else 'go'}"
            time.sleep(0.5)

    with operating(place):
        place.taxonomy(leaves=4)
        place.run()
        place.until_records(1)
        docker("exec", node, "mv", MANIFEST, "/etc/kubernetes/away.yaml")
        try:
            until(False)
            time.sleep(30)  # the length of the outage is the input of this test
        finally:
            docker("exec", node, "mv", "/etc/kubernetes/away.yaml", MANIFEST)
            until(True)
        status = place.until_ended(seconds=300)
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=4)


def test_an_operator_cut_off_from_its_api_server_takes_up_where_it_was(place: Place, tmp_path: Path) -> None:
    place.hold(1, 2)
    with line_to(place.cluster, tmp_path) as (line, config), operating(place, f"--kubeconfig={config}") as operator:
        place.taxonomy(leaves=3)
        place.run()
        place.until_records(1)
        with operator.cut_off(line):
            place.release()
            place.until_records(3)
            time.sleep(5)  # the Job has ended, or is about to: nobody is there to see it
            assert place.status()["state"] == "running"
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=3)


def test_a_wrong_model_fails_at_once(place: Place) -> None:
    place.apply(place.teacher_secret(model_name="other"))
    with operating(place):
        place.taxonomy(leaves=1)
        place.run()
        status = place.until_ended()
    assert (status["state"], status["failure"]["reason"]) == ("failed", "TeacherRefused")
    assert "other" in status["failure"]["message"]


@pytest.mark.parametrize(
    "action", ["drop", *(pytest.param(each, marks=pytest.mark.faults) for each in ("garbage", "null"))]
)
def test_a_teacher_that_misbehaves_for_a_while_costs_only_time(place: Place, action: str) -> None:
    with operating(place):
        place.taxonomy(leaves=3)
        place.script({"action": action, "times": 6, "skip": 2})
        place.run()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=3)


@pytest.mark.faults
def test_a_silent_teacher_is_told_and_its_restart_is_enough(place: Place) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.script({"action": "silence", "times": -1, "contains": "of list 1,"})
        place.run()
        place.until_records(1)
        status = place.until_reason("NoSignal", seconds=240)
        assert status["state"] == "running"
        place.heard = place.teacher_log()  # the next pod's log is empty
        place.kubectl("rollout", "restart", "deployment/answers")
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=2)


def test_nothing_that_is_changed_in_mid_run_changes_the_run(place: Place) -> None:
    """Pipeline, model and defaults were frozen with the run's inputs: the next attempt is made from those."""
    place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": own_pipeline()})
    place.hold(1, 2)
    place.taxonomy(leaves=3)
    place.run(pipeline={"configMapName": "flows"}, generation={"scaleFactor": 4})
    with operating(place):
        place.until_records(1)
    frozen, inputs = place.status()["resolved"], place.read(place.layout().inputs)
    place.kubectl("patch", "configmap", "flows", f"--patch={json.dumps({'data': {'freeform_skills.yaml': 'x'}})}")
    place.apply(place.teacher_secret(model_name="other"))
    changed = {"scaleFactor": 9, "batchSize": 2, "pipeline": "full", "maxFruitlessAttempts": 9}
    with operating(place, defaults=changed, images={"engine": "localhost/none:2"}):
        place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=generate")
        place.until_attempt(2)
        place.release()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 2
    assert status["resolved"] == frozen
    assert place.read(place.layout().inputs) == inputs
    place.assert_whole(leaves=3)


def test_a_teacher_away_for_longer_than_the_engine_waits_frees_the_gpu(place: Place) -> None:
    place.hold(1, 2)
    with operating(place, defaults={"teacherPatienceSeconds": 15}):
        place.taxonomy(leaves=3)
        place.run(engine={"resources": {"limits": {GPU_RESOURCE: 1}}})
        place.until_records(1)
        place.end_teacher()
        freed = "The GPU is free"
        status = place.until("freed", lambda seen: freed in seen["message"], seconds=180)
        assert (status["state"], why(status)) == ("queued", "TeacherUnavailable")
        assert place.at_work() == []
        place.mend_teacher()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    place.assert_whole(leaves=3)


@pytest.mark.faults
def test_a_slow_teacher_is_waited_for_and_the_run_says_how_far_it_is(place: Place) -> None:
    place.start_teacher(median=8)
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    assert "NoSignal" not in place.reasons()
    assert any("Generating data for taxonomy path" in (seen.get("message") or "") for seen in place.seen)
    place.assert_whole(leaves=2)


@pytest.mark.parametrize("what", ["pod", "job"])
def test_a_mix_that_is_killed_is_made_again(place: Place, what: str) -> None:
    with operating(place):
        place.taxonomy(leaves=2)
        place.run()
        place.until("mixing", lambda _: bool(place.all("pods", "sdg-operator.io/role=mix")))
        [pod] = place.all("pods", "sdg-operator.io/role=mix")
        if what == "pod":
            place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        else:
            place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=mix")
        status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    wait_for(
        "the end of the killed pod",
        60,
        lambda: pod["metadata"]["uid"] not in {each["metadata"]["uid"] for each in place.all("pods")},
    )
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=2)
