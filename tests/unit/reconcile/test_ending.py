"""How an attempt ended: by the pod's reason and message first, by the exit code last."""

from typing import Any

import pytest

from sdg_operator.engine.contract import EngineError, EngineResult, ExitCode
from sdg_operator.reconcile.cluster import job_view, pod_view
from sdg_operator.reconcile.ending import Meaning, ending

JOB: dict[str, Any] = {
    "metadata": {"name": "j", "uid": "job-uid"},
    "status": {
        "conditions": [
            {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "Job has failed indexes"}
        ]
    },
}


def a_pod(*, index: int = 0, phase: str = "Failed", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"pod-{index}",
            "uid": f"pod-{index}",
            "ownerReferences": [{"kind": "Job", "name": "j", "uid": "job-uid"}],
        },
        "spec": {
            "nodeName": "node1",
            "initContainers": [{"name": "fetch"}, {"name": "sync", "restartPolicy": "Always"}],
            "containers": [{"name": "engine"}],
        },
        "status": {"phase": phase, **status},
    }


def ends(code: int, message: str = "", reason: str = "Error", name: str = "engine") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}


EVICTED = {"reason": "Evicted"}
CASES = [
    ("input that cannot be used", {"containerStatuses": [ends(10)]}, Meaning.FINAL, "InvalidInput"),
    ("teacher says no at first", {"containerStatuses": [ends(20)]}, Meaning.FINAL, "TeacherRefused"),
    ("no sample is kept", {"containerStatuses": [ends(21)]}, Meaning.FINAL, "LowYield"),
    ("store says no to fetch", {"initContainerStatuses": [ends(22, name="fetch")]}, Meaning.FINAL, "StorageRefused"),
    ("teacher away", {"containerStatuses": [ends(30)]}, Meaning.OUTAGE, "TeacherUnavailable"),
    ("store away", {"initContainerStatuses": [ends(32, name="fetch")]}, Meaning.OUTAGE, "StorageUnavailable"),
    ("stopped, and nobody told it to", {"containerStatuses": [ends(31)]}, Meaning.FAULT, "Interrupted"),
    ("SIGTERM from nobody knows whom", {"containerStatuses": [ends(143)]}, Meaning.FAULT, "Interrupted"),
    ("a defect", {"containerStatuses": [ends(40)]}, Meaning.FAULT, "EngineFailed"),
    ("a code of a foreign engine", {"containerStatuses": [ends(1)]}, Meaning.FAULT, "EngineFailed"),
    ("out of memory", {"containerStatuses": [ends(137, reason="OOMKilled")]}, Meaning.FAULT, "OutOfMemory"),
    (
        "work folder over its limit: 137, and no DisruptionTarget",
        {
            **EVICTED,
            "message": 'Usage of EmptyDir volume "work" exceeds the limit "256Mi".',
            "containerStatuses": [ends(137)],
        },
        Meaning.FAULT,
        "WorkFolderFull",
    ),
    (
        "evicted for another's sake",
        {**EVICTED, "message": "The node was low on resource: memory.", "containerStatuses": [ends(137)]},
        Meaning.DISRUPTION,
        "Evicted",
    ),
    (
        "turned away by its node, whose GPU plugin is being restarted",
        {"reason": "UnexpectedAdmissionError", "message": "Allocate failed: no healthy devices"},
        Meaning.DISRUPTION,
        "Evicted",
    ),
    ("turned away by a full node", {"reason": "OutOfnvidia.com/gpu"}, Meaning.DISRUPTION, "Evicted"),
    (
        "a reason of the kubelet, but it ran",
        {"reason": "NodeShutdown", "containerStatuses": [ends(40)]},
        Meaning.FAULT,
        "EngineFailed",
    ),
    (
        "preempted",
        {
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
            "containerStatuses": [ends(20)],
        },
        Meaning.DISRUPTION,
        "Preempted",
    ),
    (
        "engine fails because sync did: the sidecar's code never counts",
        {"initContainerStatuses": [ends(32, name="sync")], "containerStatuses": [ends(40)]},
        Meaning.FAULT,
        "EngineFailed",
    ),
]


@pytest.mark.parametrize(("status", "meaning", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_ending_is_told_by_its_cause(status: dict[str, Any], meaning: Meaning, reason: str) -> None:
    end = ending(job_view(JOB), [pod_view(a_pod(**status))], worked=False)
    assert (end.meaning, end.reason) == (meaning, reason)
    assert end.message


@pytest.mark.parametrize("code", [ExitCode.TEACHER_REFUSED, ExitCode.STORAGE_REFUSED])
def test_a_refusal_after_it_once_worked_is_an_outage(code: ExitCode) -> None:
    pod = pod_view(a_pod(containerStatuses=[ends(code)]))
    assert ending(job_view(JOB), [pod], worked=True).meaning is Meaning.OUTAGE


@pytest.mark.parametrize("code", [31, 137, 143])
def test_a_pod_that_was_deleted_is_nobodys_fault(code: int) -> None:
    pod = a_pod(containerStatuses=[ends(code)])
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert ending(job_view(JOB), [pod_view(pod)], worked=False).meaning is Meaning.DISRUPTION


def test_the_worst_of_several_pods_speaks() -> None:
    pods = [
        pod_view(a_pod(index=0, containerStatuses=[ends(31)])),
        pod_view(a_pod(index=1, containerStatuses=[ends(10)])),
    ]
    assert ending(job_view(JOB), pods, worked=False).reason == "InvalidInput"


def test_of_pods_that_were_killed_the_one_with_a_known_cause_speaks() -> None:
    """The kubelet does not see each container that the kernel kills: some end with the bare exit code."""
    bare = pod_view(a_pod(index=0, containerStatuses=[ends(137)]))
    seen = pod_view(a_pod(index=1, containerStatuses=[ends(137, reason="OOMKilled")]))
    assert ending(job_view(JOB), [bare, seen], worked=False).reason == "OutOfMemory"
    assert "most often because memory ran out" in ending(job_view(JOB), [bare], worked=False).message


@pytest.mark.parametrize(("code", "who"), [(40, "engine"), (0, "mesh")])
def test_an_added_container_is_told_only_where_ours_say_nothing_and_keeps_no_contract(code: int, who: str) -> None:
    pod = a_pod(containerStatuses=[ends(10, name="mesh"), ends(code)])
    pod["spec"]["containers"].insert(0, {"name": "mesh"})
    end = ending(job_view(JOB), [pod_view(pod)], worked=False)
    assert (end.meaning, end.reason) == (Meaning.FAULT, "EngineFailed")
    assert end.message.startswith(f"Container {who} ")


def test_last_words_of_our_engine_name_cause_and_leaf() -> None:
    result = EngineResult(
        exit_code=21,
        leaves_done=0,
        leaves_failed=1,
        samples=0,
        error=EngineError(reason="LowYield", message="0 of 30 samples kept", leaf="knowledge->birds"),
    )
    pod = pod_view(a_pod(containerStatuses=[ends(21, result.to_json().decode())]))
    end = ending(job_view(JOB), [pod], worked=False)
    assert end.message.endswith("could keep no sample of what the teacher answers: 0 of 30 samples kept")
    assert end.leaf == "knowledge->birds"


def test_only_the_end_of_long_last_words_is_kept() -> None:
    pod = pod_view(a_pod(containerStatuses=[ends(1, "x" * 5000 + "the error")]))
    message = ending(job_view(JOB), [pod], worked=False).message
    assert message.endswith("the error")
    assert len(message) < 1000


def test_a_deleted_job_is_nobodys_fault() -> None:
    assert ending(None, [], worked=False).meaning is Meaning.DISRUPTION


def test_a_failed_job_without_pods_says_its_own_reason() -> None:
    end = ending(job_view(JOB), [], worked=False)
    assert (end.meaning, end.reason) == (Meaning.FAULT, "EngineFailed")
    assert "FailedIndexes: Job has failed indexes" in end.message


def test_pods_of_other_jobs_do_not_count() -> None:
    pod = a_pod(containerStatuses=[ends(10)])
    pod["metadata"]["ownerReferences"][0]["uid"] = "other"
    assert ending(job_view(JOB), [pod_view(pod)], worked=False).reason == "EngineFailed"
