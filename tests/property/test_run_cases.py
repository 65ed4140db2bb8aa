"""Short stories in the model world: what random sequences rarely come by, judged by the same world."""

from datetime import timedelta

import pytest

from sdg_operator.engine.contract import ExitCode
from tests.property.world import SimPod, World

pytestmark = pytest.mark.timeout(60)


def at_work(*, leaves: int = 2, reused: int = 0) -> tuple[World, SimPod]:
    """A run whose first attempt has a pod at work, and whose first fruitless attempt is its last."""
    world = World(leaves, max_fruitless=0, reused=reused)
    for _ in range(6):
        world.operate()
        world.run_job_controller()
        world.start_pods()
    (pod,) = world.pods.values()
    assert pod.phase == "Running"
    return world, pod


def mixing() -> tuple[World, SimPod]:
    """A run all of whose leaves are made, with the pod of its mix at work."""
    world, pod = at_work()
    world.make_leaf(pod)
    world.make_leaf(pod)
    world.end_pod(pod, 0)
    while not (found := [p for p in world.pods.values() if p.role == "mix" and p.phase == "Running"]):
        world.run_job_controller()
        world.start_pods()
        world.operate()
    return world, found[0]


def ended(world: World) -> str | None:
    world.settle()
    assert not world.broken, world.broken
    return world.status.state


def test_a_teacher_that_is_away_again_and_again_fails_no_run() -> None:
    world, pod = at_work()
    for _ in range(3):
        world.end_pod(pod, int(ExitCode.TEACHER_UNAVAILABLE))
        for _ in range(4):
            world.run_job_controller()
            world.now = world.now.replace(year=world.now.year + 1)
            world.operate()
            world.start_pods()
        pod = next(p for p in world.pods.values() if p.phase == "Running")
    assert ended(world) == "completed"


def test_an_engine_that_exits_0_without_its_leaves_ends_no_run() -> None:
    world, pod = at_work()
    world.make_leaf(pod)
    world.end_pod(pod, 0)
    for _ in range(3):
        world.run_job_controller()
        world.operate()
    assert world.status.attempt.number == 2
    assert ended(world) == "completed"


def test_a_pod_that_an_added_container_keeps_is_over_for_its_run() -> None:
    world, pod = at_work()
    pod.added = True
    world.make_leaf(pod)
    world.end_pod(pod, int(ExitCode.INTERNAL))
    world.operate()
    world.now += timedelta(minutes=1)
    world.operate()
    assert world.status.attempt.number == 2, "how it ended is on record before its pod is stopped"
    world.operate()
    assert pod.deletion is not None
    assert ended(world) == "completed"
    assert world.status.attempt.number == 2


def test_a_leaf_that_cannot_be_made_fails_a_run_that_allows_none() -> None:
    world, pod = at_work()
    world.make_leaf(pod, "failed")
    world.make_leaf(pod)
    world.end_pod(pod, 0)
    assert ended(world) == "failed"


def test_a_run_is_suspended_once_its_pods_are_gone() -> None:
    world, pod = at_work()
    world.spec = world.spec.model_copy(update={"suspend": True})
    world.generation += 1
    for _ in range(4):
        world.operate()
    assert pod.deletion is not None
    meanwhile = world.status.state
    world.collect_garbage()
    for _ in range(4):
        world.operate()
    assert not world.broken, world.broken
    assert (meanwhile, world.status.state) == ("running", "queued")


def test_a_teacher_that_refuses_at_first_fails_a_run_that_took_leaves_over() -> None:
    world, pod = at_work(reused=1)
    world.end_pod(pod, int(ExitCode.TEACHER_REFUSED))
    for _ in range(4):
        world.run_job_controller()
        world.operate()
    assert world.status.failure is not None
    assert world.status.failure.reason == "TeacherRefused"
    assert ended(world) == "failed"


def test_an_engine_that_stops_by_itself_spends_the_budget() -> None:
    world, pod = at_work()
    world.end_pod(pod, int(ExitCode.INTERRUPTED))
    for _ in range(4):
        world.run_job_controller()
        world.operate()
    assert world.status.failure is not None
    assert ended(world) == "failed"


def test_an_engine_that_says_it_is_done_and_made_nothing_is_followed_by_the_next_attempt() -> None:
    world, pod = at_work()
    world.make_leaf(pod)
    world.end_pod(pod, 0)
    assert ended(world) == "completed"
    assert world.status.attempt.number == 2


def test_a_mix_whose_job_was_deleted_without_its_pod_is_stopped_and_made_again() -> None:
    """Its pod might be kept for ever by a container that somebody added."""
    world, mix = mixing()
    mix.added = True
    (job,) = [name for name, job in world.jobs.items() if job.uid == mix.job_uid]
    world.orphan_pods(job)
    world.operate()
    assert mix.deletion is not None
    assert ended(world) == "completed"


def test_a_mix_that_kueue_takes_back_reads_as_queued() -> None:
    world, mix = mixing()
    (job,) = [job for job in world.jobs.values() if job.uid == mix.job_uid]
    job.suspended = True
    del world.pods[mix.name]
    world.operate()
    assert not world.broken, world.broken
    assert world.status.state == "queued"
    job.suspended = False
    assert ended(world) == "completed"


def test_a_pod_without_its_job_and_one_of_a_late_operator_are_stopped_at_once() -> None:
    world, pod = at_work()
    (job,) = world.jobs
    world.orphan_pods(job)
    world.create(world.asked[0], fresh=False)
    world.run_job_controller()
    world.start_pods()
    late = next(p for p in world.pods.values() if p is not pod and p.phase == "Running")
    world.operate()
    assert pod.deletion is not None
    assert late.deletion is not None
    assert ended(world) == "completed"
