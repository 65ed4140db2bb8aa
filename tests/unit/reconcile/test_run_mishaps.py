"""What a run makes of rare mishaps: nothing is waited for for ever or counted twice, and no cause is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sdg_operator.api.datageneration import Failure, TeacherServer
from sdg_operator.engine.contract import ExitCode
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.datageneration import decide
from sdg_operator.reconcile.plan import CreateJob, DeletePod, ReleaseJob
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_close import CANCEL_BOUND_SECONDS
from sdg_operator.reconcile.snapshot import Look, Problem
from tests.property.world import World
from tests.unit.reconcile.runs import at_work, heed, kept_up, operate_until, outcome, reason, the_pod, with_settings

# --- time ---


def test_what_passes_after_the_last_pod_is_no_active_time_though_nobody_looked() -> None:
    world = at_work(leaves=2)
    with_settings(world, active_deadline_seconds=6 * 3600)
    world.now += timedelta(minutes=10)
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
    world.run_job_controller()
    world.now += timedelta(hours=10)
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.attempt.active_seconds == 600
    world.settle()
    assert outcome(world) == ("completed", "")


def test_a_pause_is_not_prolonged_by_a_clock_that_is_set_back() -> None:
    world = at_work(leaves=2)
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
    operate_until(world, lambda s: s.attempt.number == 2)
    assert not decide(world.observe(), world.now).actions, "it pauses"
    world.now -= timedelta(days=1)
    assert any(isinstance(action, CreateJob) for action in decide(world.observe(), world.now).actions)


def test_the_bound_of_a_canceled_run_is_not_prolonged_by_a_clock_that_is_set_back() -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    world.reachable = False
    world.spec = world.spec.model_copy(update={"cancel": True})
    operate_until(world, lambda s: s.storage_trouble_since is not None)
    world.now -= timedelta(days=1)
    for _ in range(3):
        world.operate()
        world.collect_garbage()
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    operate_until(world, lambda s: s.state == "canceled")


def test_a_run_that_is_resumed_while_it_pauses_no_longer_says_that_it_is_suspended() -> None:
    world = at_work(leaves=2)
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
    operate_until(world, lambda s: s.attempt.number == 2)
    world.spec = world.spec.model_copy(update={"suspend": True})
    world.operate()
    assert reason(world.status) == Reason.SUSPENDED
    world.spec = world.spec.model_copy(update={"suspend": False})
    world.operate()
    suspended = find(world.status.conditions, "Suspended")
    assert suspended is not None
    assert suspended.status == "False"
    assert world.status.message == f"Resumed. The next attempt begins at {world.status.attempt.not_before}."


def test_why_it_pauses_is_said_though_the_store_is_away_meanwhile() -> None:
    world = at_work(leaves=2)
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
    operate_until(world, lambda s: s.attempt.number == 2)
    world.reachable = False
    world.operate()
    assert reason(world.status) == Reason.TEACHER_UNAVAILABLE


def test_a_waiting_run_does_not_say_how_long_it_will_take() -> None:
    world = at_work(leaves=2)
    assert world.status.progress is not None
    world.status = world.status.model_copy(
        update={"progress": world.status.progress.model_copy(update={"samples": 5, "seconds_left": 300})}
    )
    world.spec = world.spec.model_copy(update={"suspend": True})
    operate_until(world, lambda s: s.state == "queued")
    assert world.status.progress is not None
    assert (world.status.progress.samples, world.status.progress.seconds_left) == (5, None)


# --- pods and Jobs ---


@pytest.mark.parametrize("wish", [{}, {"suspend": True}, {"cancel": True}])
def test_a_pod_whose_job_was_deleted_without_it_is_stopped(wish: dict[str, bool]) -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    pod = the_pod(world)
    world.orphan_pods(next(iter(world.jobs)))
    world.spec = world.spec.model_copy(update=wish)
    for _ in range(2):  # one of them takes note of cancel
        world.operate()
    assert pod.deletion is not None
    assert not any(isinstance(action, DeletePod) for action in decide(world.observe(), world.now).actions), (
        "it is going"
    )
    world.collect_garbage()
    world.spec = world.spec.model_copy(update={"suspend": False})
    world.settle()
    assert not world.broken
    assert outcome(world)[0] == ("canceled" if wish.get("cancel") else "completed")


def test_a_job_that_somebody_suspended_is_left_to_him_though_it_keeps_a_pod() -> None:
    world = at_work(leaves=2, parallelism=2)
    for pod in world.pods.values():
        pod.deletion = world.now
        world.end_pod(pod, 137)
    next(iter(world.jobs.values())).suspended = True
    world.now += timedelta(hours=1)
    assert not decide(world.observe(), world.now).actions


def test_how_a_kept_up_attempt_ended_is_not_forgotten_in_a_crash() -> None:
    world = at_work(leaves=1, max_fruitless=0)
    kept_up(world, int(ExitCode.INTERNAL))
    world.operate(crash_after=1)
    operate_until(world, lambda s: s.state == "failed")
    assert outcome(world) == ("failed", Reason.ENGINE_FAILED)


def test_a_job_that_ended_long_ago_lives_on_for_its_time_from_now() -> None:
    """It would go at once else, and be missed if this pass does not come to its end."""
    world = at_work(leaves=2)
    world.end_pod(the_pod(world), 1)
    world.run_job_controller()
    seen = world.observe()
    assert seen.job is not None
    (action,) = decide(replace(seen, job=replace(seen.job, finished_at=world.now)), world.now).actions
    (later,) = decide(
        replace(seen, job=replace(seen.job, finished_at=world.now - timedelta(days=3))), world.now
    ).actions
    assert isinstance(action, ReleaseJob)
    assert isinstance(later, ReleaseJob)
    assert later.ttl_seconds == action.ttl_seconds + 3 * 86_400


def test_no_attempt_is_opened_before_it_is_known_what_was_taken_over() -> None:
    world = World(leaves=2, reused=1)
    world.operate()
    world.reachable = False
    world.operate()
    assert (world.status.attempt.number, reason(world.status)) == (0, Reason.STORAGE_UNAVAILABLE)
    world.reachable = True
    world.operate()
    assert (world.status.attempt.number, world.status.attempt.leaves_before) == (1, 1)


# --- what no waiting cures ---


SERVER = TeacherServer.model_validate({"image": "vllm:1", "modelName": "m", "model": {"hub": {"name": "a/b"}}})


@pytest.mark.parametrize("code", [ExitCode.TEACHER_UNAVAILABLE, ExitCode.TEACHER_REFUSED])
def test_a_teacher_of_the_runs_own_that_does_not_serve_spends_the_budget(code: int) -> None:
    world = at_work(leaves=2, max_fruitless=0)
    resolved = world.status.resolved
    assert resolved is not None
    assert resolved.teacher is not None
    with_settings(world, teacher=resolved.teacher.model_copy(update={"server": SERVER}))
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(code))
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.attempt.fruitless == 0, "it made a leaf"
    operate_until(world, lambda s: s.attempt.job_uid is not None)
    world.run_job_controller()
    world.start_pods()
    world.operate()
    world.end_pod(the_pod(world), int(code))
    operate_until(world, lambda s: s.failure is not None)
    assert "1 attempts in a row finished no leaf" in (world.status.message or "")


def test_lost_data_fails_an_attempt_within_its_budget_though_the_store_has_served_it() -> None:
    world = at_work(leaves=2, max_fruitless=0)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(ExitCode.INPUTS_LOST))
    operate_until(world, lambda s: s.attempt.job_uid is not None and s.attempt.number == 2)
    world.run_job_controller()
    world.start_pods()
    world.operate()
    world.end_pod(the_pod(world), int(ExitCode.INPUTS_LOST))
    operate_until(world, lambda s: s.failure is not None)
    heed(world)
    assert outcome(world) == ("failed", Reason.INPUTS_LOST)
    assert world.status.data_metrics is not None, "what was made is mixed"


def unmixable(world: World, code: ExitCode) -> None:
    """Let each mix of the run end so."""
    for _ in range(40):
        world.run_job_controller()
        world.start_pods()
        for pod in world.pods.values():
            if pod.role == "mix" and pod.alive:
                world.end_pod(pod, int(code))
        world.run_job_controller()
        world.operate()
        world.now += timedelta(seconds=60)


def test_a_mix_whose_samples_are_lost_is_not_tried_for_ever() -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 0)
    unmixable(world, ExitCode.INPUTS_LOST)
    assert outcome(world) == ("failed", Reason.MIX_FAILED)
    assert "did not find in the bucket what the run stands on" in (world.status.message or "")


def failing(world: World) -> World:
    """A run with a finished leaf that has failed for its own reason, and mixes what there is."""
    world.make_leaf(the_pod(world))
    failure = Failure(reason=Reason.LEAVES_FAILED, message="It has failed.", leaf="knowledge->leaf1")
    world.status = world.status.model_copy(update={"failure": failure})
    operate_until(world, lambda s: s.phase == "Mixing")
    return world


@pytest.mark.parametrize("cancel", [False, True])
def test_why_a_run_failed_is_told_though_its_samples_could_not_be_mixed_either(cancel: bool) -> None:
    world = failing(at_work(leaves=2))
    world.spec = world.spec.model_copy(update={"cancel": cancel})
    unmixable(world, ExitCode.INTERNAL)
    assert outcome(world) == ("failed", Reason.LEAVES_FAILED)
    assert world.status.failure is not None
    assert world.status.failure.leaf == "knowledge->leaf1"
    assert "could not be mixed" in (world.status.message or "")


@pytest.mark.parametrize("cancel", [False, True])
def test_why_a_run_failed_is_told_though_its_bucket_is_lost(cancel: bool) -> None:
    world = failing(at_work(leaves=2))
    world.spec = world.spec.model_copy(update={"cancel": cancel})
    world.operate()
    world.jobs.clear()
    why = Problem(Reason.INPUTS_LOST, "mix/x.json is gone.", final=True)
    lost = replace(world.observe(), inputs=None, mix_plan=None, ledger=Look(problem=why))
    world.status = decide(lost, world.now).status
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    world.status = decide(replace(lost, status=world.status), world.now).status
    assert outcome(world) == ("failed", Reason.LEAVES_FAILED)
    assert "mix/x.json is gone" in (world.status.message or "")


def test_a_canceled_run_has_no_failure() -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    failure = Failure(reason=Reason.ENGINE_FAILED, message="It was failing.")
    world.status = world.status.model_copy(update={"failure": failure})
    world.reachable = False
    world.spec = world.spec.model_copy(update={"cancel": True})
    for _ in range(6):
        world.operate()
        world.collect_garbage()
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    operate_until(world, lambda s: s.state == "canceled")
    assert world.status.failure is None
