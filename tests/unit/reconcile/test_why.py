"""Why a run waits, from objects as the API server gives them."""

from typing import Any

import pytest

from sdg_operator.reconcile.cluster import EventView, event_view, job_view, pod_view
from sdg_operator.reconcile.why import refused_pods, waiting

JOB: dict[str, Any] = {
    "metadata": {"name": "birds-1-abcde-generate-1", "uid": "job-uid"},
    "spec": {"parallelism": 1, "completions": 1},
    "status": {"active": 1},
}


def a_pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "pod-0",
            "uid": "pod-uid",
            "ownerReferences": [{"kind": "Job", "name": "birds-1-abcde-generate-1", "uid": "job-uid"}],
        },
        "spec": {
            "nodeName": status.pop("node", "node1"),
            "initContainers": [{"name": "fetch"}, {"name": "teacher", "restartPolicy": "Always"}],
            "containers": [{"name": "engine"}],
        },
        "status": {"phase": "Pending", **status},
    }


def waits(name: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}, **more}


CASES = [
    (
        "unschedulable",
        a_pod(
            node="",
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                }
            ],
        ),
        "Unschedulable",
        "3 Insufficient nvidia.com/gpu",
    ),
    (
        "image cannot be pulled",
        a_pod(containerStatuses=[waits("engine", "ImagePullBackOff", 'Back-off pulling image "quay.io/x:1"')]),
        "ImagePull",
        "container engine of pod pod-0 cannot be had: Back-off pulling image",
    ),
    (
        "key missing in a Secret",
        a_pod(
            containerStatuses=[waits("engine", "CreateContainerConfigError", "couldn't find key api_token in Secret")]
        ),
        "ContainerConfig",
        "couldn't find key api_token",
    ),
    (
        "container cannot be created",
        a_pod(containerStatuses=[waits("engine", "CreateContainerError", "no such file: /bin/engine")]),
        "ContainerStart",
        "Container engine of pod pod-0 cannot be started: no such file",
    ),
    (
        "teacher crash-looping",
        a_pod(
            initContainerStatuses=[
                {"name": "fetch", "state": {"terminated": {"exitCode": 0}}},
                waits(
                    "teacher",
                    "CrashLoopBackOff",
                    restartCount=3,
                    lastState={"terminated": {"exitCode": 1, "message": "CUDA out of memory"}},
                ),
            ]
        ),
        "TeacherCrashLooping",
        "ended 3 times (exit code 1): CUDA out of memory",
    ),
    (
        "teacher crash-looping, at this moment running again",
        a_pod(
            initContainerStatuses=[
                {
                    "name": "teacher",
                    "started": False,
                    "restartCount": 2,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                    "lastState": {"terminated": {"exitCode": 1, "message": "no such model"}},
                }
            ]
        ),
        "TeacherCrashLooping",
        "no such model",
    ),
    (
        "teacher loading",
        a_pod(
            initContainerStatuses=[
                {"name": "teacher", "started": False, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
            ]
        ),
        "TeacherLoading",
        "is loading its model",
    ),
    (
        "fetching",
        a_pod(initContainerStatuses=[{"name": "fetch", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]),
        "Fetching",
        "fetching its leaves and documents",
    ),
    ("just assigned", a_pod(), "Starting", "Pod pod-0 is being started on node node1."),
    (
        "being stopped",
        {**a_pod(), "metadata": {**a_pod()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
        "Stopping",
        "is being stopped",
    ),
]


@pytest.mark.parametrize(("pod", "reason", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_pods_own_words_are_found(pod: dict[str, Any], reason: str, words: str) -> None:
    problem = waiting(job_view(JOB), [pod_view(pod)], (), "")
    assert problem.reason == reason
    assert words in problem.message


def test_quota_is_read_from_the_jobs_events() -> None:
    event = {
        "reason": "FailedCreate",
        "message": 'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1',
        "involvedObject": {"uid": "job-uid"},
    }
    problem = waiting(job_view(JOB), [], [event_view(event)], "")
    assert (problem.reason, "exceeded quota: gpus" in problem.message) == ("QuotaExceeded", True)


def test_admission_is_read_from_the_jobs_events() -> None:
    event = {
        "reason": "FailedCreate",
        "message": 'pods "x" is forbidden: violates PodSecurity "restricted:latest"',
        "involvedObject": {"uid": "job-uid"},
    }
    problem = waiting(job_view(JOB), [], [event_view(event)], "")
    assert (problem.reason, "violates PodSecurity" in problem.message) == ("AdmissionRefused", True)


def test_a_refusal_counts_until_a_later_pod_was_taken() -> None:
    refused = {
        "reason": "FailedCreate",
        "message": "exceeded quota: gpus",
        "lastTimestamp": "2026-01-01T00:00:10Z",
        "involvedObject": {"uid": "job-uid"},
    }
    taken = {**refused, "reason": "SuccessfulCreate", "message": "Created pod: x"}
    before = event_view({**taken, "lastTimestamp": "2026-01-01T00:00:05Z"})
    after = event_view({**taken, "lastTimestamp": "2026-01-01T00:00:15Z"})
    assert refused_pods(job_view(JOB), [event_view(refused), before]) is not None
    assert refused_pods(job_view(JOB), [event_view(refused), after]) is None


def test_another_jobs_events_do_not_count() -> None:
    event = {"reason": "FailedCreate", "message": "exceeded quota", "involvedObject": {"uid": "other"}}
    assert waiting(job_view(JOB), [], [event_view(event)], "").reason == "Starting"


def pod_event(reason: str, message: str, when: str | None = None) -> EventView:
    return event_view(
        {"reason": reason, "message": message, "lastTimestamp": when, "involvedObject": {"uid": "pod-uid"}}
    )


def test_a_volume_that_cannot_be_mounted_is_named() -> None:
    event = pod_event("FailedMount", 'MountVolume.SetUp failed for volume "storage" : secret "sdg-storage" not found')
    problem = waiting(job_view(JOB), [pod_view(a_pod())], [event], "")
    assert (problem.reason, 'secret "sdg-storage" not found' in problem.message) == ("VolumeMount", True)


def test_a_volume_that_was_mounted_at_last_is_not_blamed_for_a_long_pull() -> None:
    failed = pod_event("FailedMount", "timed out", "2026-01-01T00:00:10Z")
    pulling = pod_event("Pulling", "Pulling", "2026-01-01T00:00:10Z")
    assert waiting(job_view(JOB), [pod_view(a_pod())], [failed, pulling], "").reason == "Starting"


def test_a_pod_without_a_network_is_told() -> None:
    event = pod_event("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=calico failed")
    problem = waiting(job_view(JOB), [pod_view(a_pod())], [event], "")
    assert problem.reason == "ContainerStart"
    assert problem.message.startswith("Pod pod-0 cannot be started on node node1: Failed to create pod sandbox")


def test_kueue_speaks_for_itself() -> None:
    job = {
        **JOB,
        "metadata": {**JOB["metadata"], "labels": {"kueue.x-k8s.io/queue-name": "gpus"}},
        "spec": {"suspend": True},
    }
    problem = waiting(job_view(job), [], (), "couldn't assign flavors to pod set main: insufficient quota")
    assert problem.reason == "WaitingInQueue"
    assert "queue gpus: couldn't assign flavors" in problem.message


def test_a_job_suspended_by_a_stranger_is_said_so() -> None:
    problem = waiting(job_view({**JOB, "spec": {"suspend": True}}), [], (), "")
    assert problem.reason == "JobSuspended"


def test_objects_of_odd_shapes_do_no_harm() -> None:
    odd: dict[str, Any] = {"metadata": None, "spec": {"containers": "x"}, "status": {"conditions": [1, "a"]}}
    assert pod_view(odd).containers == ()
    assert job_view({"status": {"conditions": {"type": "Complete"}}}).finished is None
