"""A run's decisions, case by case, in the model world."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sdg_operator.api.datageneration import Failure, ResolvedNetworkPolicy
from sdg_operator.engine.contract import ExitCode
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.datageneration import decide
from sdg_operator.reconcile.plan import CreateJob, DeleteJob, DeleteNetworkPolicy, PutObject
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_close import CANCEL_BOUND_SECONDS
from sdg_operator.reconcile.snapshot import Ledger, Look, Problem, RunSeen, Signal
from sdg_operator.storage.records import ShardProgress, Tokens
from tests.property.world import LAYOUT, SimPod, World, a_settings
from tests.unit.reconcile.runs import at_work, heed, kept_up, operate_until, outcome, reason, the_pod, with_settings

# --- attempts ---


def test_an_attempt_has_its_plan_and_inputs_in_the_bucket_before_its_job() -> None:
    world = World()
    world.operate()
    world.operate()
    plan = decide(world.observe(), world.now)
    kinds = [type(action) for action in plan.actions]
    assert kinds == [PutObject, PutObject, CreateJob]
    assert plan.status.attempt.job_uid is None


def test_where_the_administrator_wants_it_a_policy_closes_the_pods_in_before_there_are_any() -> None:
    world = World(leaves=1)
    world.settings = a_settings("engine:1", networkPolicy={"create": True, "ports": [9000]})
    world.operate()
    world.operate()
    (made,) = (action for action in decide(world.observe(), world.now).actions if isinstance(action, CreateJob))
    assert made.job.pod.network_policy == ResolvedNetworkPolicy(ports=[9000])
    world.settle()
    assert world.status.state == "completed"
    assert world.status.observed_generation is None, "it has observed every generation: nothing counts any more"
    assert DeleteNetworkPolicy("birds-1-0a1b2") in decide(world.observe(), world.now).actions


def test_the_mix_finds_the_inputs_though_no_attempt_wrote_them() -> None:
    """As in a merge, or where every leaf was taken over."""
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 0)
    inputs = world.bucket.pop(LAYOUT.inputs)
    operate_until(world, lambda s: s.phase == "Mixing")
    assert world.bucket[LAYOUT.inputs] == inputs


def test_the_next_attempt_makes_only_what_is_missing() -> None:
    world = at_work(leaves=3)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 1)
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.state == "queued"
    assert reason(world.status) == "Retrying"
    assert "2 of 3 leaves" in (world.status.message or "")
    assert world.status.attempt.fruitless == 0


def test_attempts_without_a_finished_leaf_spend_the_budget() -> None:
    world = at_work(leaves=1, max_fruitless=0)
    world.end_pod(the_pod(world), int(ExitCode.INTERNAL))
    operate_until(world, lambda s: s.state == "failed")
    assert world.status.failure is not None
    assert world.status.failure.reason == Reason.ENGINE_FAILED
    assert "1 attempts in a row finished no leaf" in world.status.failure.message
    assert "synthetic_data/" in world.status.failure.message, "it says where the logs are"


@pytest.mark.parametrize("fault", ["preempted", "deleted"])
def test_what_others_do_to_a_run_costs_no_budget(fault: str) -> None:
    world = at_work(leaves=1, max_fruitless=0)
    if fault == "deleted":
        world.delete_job(next(iter(world.jobs)))
    else:
        the_pod(world).disruption = "PreemptionByScheduler"
        world.end_pod(the_pod(world), 143)
        next(iter(world.jobs.values())).finished = "Failed"
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.attempt.fruitless == 0


@pytest.mark.parametrize("code", [143, int(ExitCode.INTERRUPTED)])
def test_an_engine_that_stops_by_itself_spends_the_budget(code: int) -> None:
    world = at_work(leaves=1, max_fruitless=0)
    world.end_pod(the_pod(world), code)
    operate_until(world, lambda s: s.state == "failed")
    assert outcome(world) == ("failed", "Interrupted")


def test_who_is_disrupted_again_and_again_without_progress_pauses() -> None:
    world = at_work(leaves=2, max_fruitless=0)
    pauses = []
    for attempt in range(2, 7):
        if attempt == 5:
            world.make_leaf(the_pod(world))
        world.delete_job(next(iter(world.jobs)))
        operate_until(world, lambda s, n=attempt: s.attempt.number == n)  # type: ignore[misc]
        pauses.append(clock.seconds_until(world.status.attempt.not_before, world.now, 600))
        world.now += timedelta(seconds=pauses[-1])
        operate_until(world, lambda s: s.attempt.job_uid is not None)
        world.run_job_controller()
        world.start_pods()
        world.operate()
    assert pauses == [0, 10, 20, 0, 10]
    assert world.status.attempt.fruitless == 0


def test_a_jobs_time_to_live_begins_with_the_next_attempt() -> None:
    world = at_work(leaves=2)
    world.end_pod(the_pod(world), 1)
    operate_until(world, lambda s: s.attempt.number == 2)
    (job,) = world.jobs.values()
    assert job.ttl == 86_400


def test_an_outage_after_progress_begins_the_count_anew() -> None:
    world = at_work(leaves=2)
    world.status = world.status.model_copy(
        update={"attempt": world.status.attempt.model_copy(update={"outages": 5, "fruitless": 1})}
    )
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
    operate_until(world, lambda s: s.attempt.number == 2)
    assert (world.status.attempt.outages, world.status.attempt.fruitless) == (1, 0)


def test_an_outage_frees_the_gpu_and_is_waited_for_longer_and_longer() -> None:
    world = at_work(leaves=1, max_fruitless=0)
    pauses = []
    for attempt in range(2, 5):
        world.end_pod(the_pod(world), int(ExitCode.TEACHER_UNAVAILABLE))
        operate_until(world, lambda s, n=attempt: s.attempt.number == n)  # type: ignore[misc]
        assert reason(world.status) == Reason.TEACHER_UNAVAILABLE
        assert world.status.state == "queued"
        assert not [p for p in world.pods.values() if p.alive]
        plan = decide(world.observe(), world.now)
        assert not plan.actions, "nothing is made before the pause is over"
        pauses.append(world.status.attempt.outages)
        world.now += timedelta(seconds=3600)
        operate_until(world, lambda s: s.attempt.job_uid is not None)
        world.run_job_controller()
        world.start_pods()
    assert pauses == [1, 2, 3]


def test_a_refusal_at_first_fails_at_once_and_says_what_the_engine_said() -> None:
    world = at_work(leaves=1)
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_REFUSED))
    operate_until(world, lambda s: s.state == "failed")
    assert world.status.failure is not None
    assert world.status.failure.reason == Reason.TEACHER_REFUSED
    stalled = find(world.status.conditions, "Stalled")
    assert stalled is not None
    assert stalled.status == "True"


def test_a_refusal_at_first_fails_at_once_though_leaves_were_taken_over() -> None:
    """They were made with the key of another run."""
    world = at_work(leaves=2, reused=1)
    assert decide(world.observe(), world.now).status.progress is not None
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_REFUSED))
    world.settle()
    assert outcome(world) == ("failed", "TeacherRefused")
    assert world.status.data_metrics is not None, "what was taken over is mixed"


def test_a_refusal_after_it_worked_is_waited_for() -> None:
    world = at_work(leaves=2, max_fruitless=0)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(ExitCode.TEACHER_REFUSED))
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.state == "queued"


@pytest.mark.parametrize("made", [0, 1])
def test_low_yield_is_the_end_only_of_a_run_without_samples(made: int) -> None:
    """Of two shards one may have kept nothing when the other has."""
    world = at_work(leaves=3)
    for _ in range(made):
        world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(ExitCode.LOW_YIELD))
    operate_until(world, lambda s: s.state == "failed" or s.attempt.number == 2)
    assert outcome(world) == (("queued", "") if made else ("failed", "LowYield"))


@pytest.mark.parametrize(("allowed", "state"), [(0, "failed"), (1, "completed")])
def test_a_leaf_that_cannot_be_made_does_not_stop_the_others(allowed: int, state: str) -> None:
    world = at_work(leaves=3, max_failed=allowed)
    pod = the_pod(world)
    world.make_leaf(pod, "failed")
    operate_until(world, lambda s: s.state == "running")
    world.make_leaf(pod)
    world.make_leaf(pod)
    world.settle()
    assert world.status.state == state
    assert world.status.data_metrics is not None, "the others are mixed"
    if state == "failed":
        assert world.status.failure is not None
        assert world.status.failure.reason == Reason.LEAVES_FAILED
        assert world.status.failure.leaf == "knowledge->leaf0"
        assert "spec.reuse: {name: birds-1}" in world.status.failure.message


# --- deadlines and lost nodes ---


def test_the_active_deadline_counts_over_all_attempts() -> None:
    world = at_work(leaves=2)
    with_settings(world, active_deadline_seconds=100)
    world.now += timedelta(seconds=60)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 1)
    operate_until(world, lambda s: s.attempt.number == 2 and s.attempt.job_uid is not None)
    assert 55 <= world.status.attempt.active_seconds <= 65
    world.now += timedelta(seconds=3600)  # waiting for a node does not count
    world.operate()
    world.run_job_controller()
    world.start_pods()
    world.operate()
    assert world.status.failure is None
    world.now += timedelta(seconds=50)
    heed(world)
    assert outcome(world) == ("failed", "ActiveDeadlineExceeded")
    assert world.status.data_metrics is not None, "what was made is mixed"


def test_while_the_store_is_away_between_attempts_no_active_time_passes() -> None:
    world = at_work(leaves=2)
    with_settings(world, active_deadline_seconds=100)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), int(ExitCode.STORAGE_UNAVAILABLE))
    world.run_job_controller()
    world.reachable = False
    world.operate()
    assert outcome(world) == ("queued", "")
    world.now += timedelta(hours=5)
    world.operate()
    world.reachable = True
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.attempt.active_seconds < 60
    world.now += timedelta(hours=1)
    world.settle()
    assert outcome(world) == ("completed", "")


def test_the_start_deadline_counts_only_while_a_node_is_held() -> None:
    world = World(leaves=1)
    for _ in range(4):
        world.operate()
    with_settings(world, start_deadline_seconds=600)
    world.run_job_controller()
    world.now += timedelta(hours=5)
    world.operate()
    assert world.status.failure is None, "no node, no deadline"
    the_pod(world).node = "node1"  # scheduled at the beginning of this world's time, by its condition
    world.operate()
    assert outcome(world) == ("queued", "StartDeadlineExceeded")
    assert "node1" in (world.status.message or "")


def test_a_lost_node_is_named_and_the_next_attempt_follows() -> None:
    world = at_work(leaves=1)
    pod = the_pod(world)
    pod.unreachable, pod.deletion = True, world.now
    world.operate()
    assert world.status.attempt.number == 1, "its grace and the time-out come first"
    world.now += timedelta(seconds=301)
    plan = decide(world.observe(), world.now)
    assert [type(action) for action in plan.actions] == [DeleteJob]
    assert "Node node1 does not answer" in (plan.status.message or "")
    operate_until(world, lambda s: s.attempt.number == 2)
    assert world.status.attempt.fruitless == 0


def test_a_node_is_lost_though_its_pod_tolerates_that_for_ever() -> None:
    """Kubernetes never deletes such a pod; its condition Ready alone tells."""
    world = at_work(leaves=1)
    pod = the_pod(world)
    pod.unreachable, pod.tolerant, pod.silent_since = True, True, world.now
    world.operate()
    assert (world.status.state, reason(world.status)) == ("running", Reason.NODE_LOST)
    assert f"Node {pod.node} does not answer" in (world.status.message or "")
    world.now += timedelta(seconds=599)
    world.operate()
    assert world.status.attempt.number == 1, "Kubernetes' own time and ours come first"
    world.now += timedelta(seconds=2)
    operate_until(world, lambda s: s.attempt.number == 2)


def test_a_job_that_keeps_the_pods_of_a_namespace_that_is_being_deleted_is_deleted() -> None:
    world = at_work(leaves=2, parallelism=2)
    first, second = world.pods.values()
    for pod in (first, second):
        pod.deletion = world.now
        world.end_pod(pod, 137)
    world.now += timedelta(seconds=60)
    assert not decide(world.observe(), world.now).actions, "the next pod may be on its way"
    world.now += timedelta(seconds=1)
    (action,) = decide(world.observe(), world.now).actions
    assert isinstance(action, DeleteJob)
    second.phase = "Running"
    assert not decide(world.observe(), world.now).actions, "another shard is at work"


# --- a started run whose pods are not at work ---


def test_a_foreign_container_that_keeps_a_pod_is_named_and_ended_once_all_is_made() -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    pod = kept_up(world, 0)
    world.operate()
    assert reason(world.status) == Reason.FOREIGN_CONTAINER
    assert f"pod {pod.name}" in (world.status.message or "")
    assert "container mesh" in (world.status.message or "")
    assert pod.deletion is not None
    world.settle()
    assert outcome(world) == ("completed", "")
    assert world.status.attempt.number == 1


@pytest.mark.parametrize(
    ("code", "why"), [(ExitCode.INTERNAL, Reason.ENGINE_FAILED), (ExitCode.TEACHER_REFUSED, Reason.TEACHER_REFUSED)]
)
def test_how_work_ended_in_a_pod_that_a_foreign_container_keeps_counts_as_in_any_other(code: int, why: Reason) -> None:
    world = at_work(leaves=1, max_fruitless=0)
    pod = kept_up(world, int(code))
    operate_until(world, lambda s: s.state == "failed")
    assert outcome(world) == ("failed", why)
    assert "container mesh" in (world.status.message or "")
    assert pod.name not in world.pods


def test_an_outage_in_a_pod_that_a_foreign_container_keeps_is_waited_for_without_its_gpu() -> None:
    world = at_work(leaves=1, max_fruitless=0)
    pod = kept_up(world, int(ExitCode.TEACHER_UNAVAILABLE))
    operate_until(world, lambda s: s.attempt.number == 2)
    world.operate()
    assert pod.name in world.pods
    assert reason(world.status) == Reason.TEACHER_UNAVAILABLE
    operate_until(world, lambda _: pod.name not in world.pods)
    world.settle()
    assert outcome(world) == ("completed", "")


def test_a_shard_that_is_done_and_kept_is_told_while_others_are_at_work() -> None:
    world = at_work(leaves=2, parallelism=2)
    done, other = (pod for pod in world.pods.values())
    world.make_leaf(done)
    done.added = True
    world.end_pod(done, 0)
    world.now += timedelta(seconds=31)
    world.operate()
    assert reason(world.status) == Reason.FOREIGN_CONTAINER
    assert (done.deletion, other.deletion) == (None, None)
    world.settle()
    assert outcome(world) == ("completed", "")


@pytest.mark.parametrize(("code", "state"), [(0, "completed"), (ExitCode.EMPTY_RESULT, "failed")])
def test_a_mix_that_a_foreign_container_keeps_is_ended(code: int, state: str) -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 0)
    operate_until(world, lambda _: any(pod.role == "mix" for pod in world.pods.values()))
    world.start_pods()
    if code == 0:
        world.mix_samples()
    pod = kept_up(world, int(code))
    for _ in range(2):  # while its pod goes, it still says so
        world.operate()
        assert "container mesh" in (world.status.message or "")
    operate_until(world, lambda s: s.state == state)
    assert pod.name not in world.pods or pod.deletion is not None


def taken_away(world: World) -> SimPod:
    """The pod is preempted, and its like finds no node."""
    pod = next(p for p in world.pods.values() if p.phase == "Running")
    del world.pods[pod.name]
    world.run_job_controller()
    return next(p for p in world.pods.values() if p.index == pod.index)


def test_a_started_run_says_why_the_next_pod_does_not_run() -> None:
    world = at_work(leaves=2)
    world.status = decide(with_progress(world, SHARD), world.now).status
    pod = taken_away(world)
    world.now += timedelta(hours=2)
    status = decide(with_progress(world, SHARD), world.now).status
    assert status.state == "queued", "the scheduler says so"
    assert status.message == f"Pod {pod.name} finds no node: 0/1 nodes are available"
    found = find(status.conditions, "Progressing")
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.UNSCHEDULABLE)
    assert status.attempt.active_since is None, "what it waits is no active time"
    world.status = status
    world.start_pods()
    status = decide(world.observe(), world.now).status
    assert (status.state, status.message) == ("running", "Generating data."), "the cause is past"


def test_a_started_run_without_a_pod_is_not_called_queued_for_that() -> None:
    """A Job has none for a moment before it is Complete."""
    world = at_work(leaves=2)
    world.pods.clear()
    world.operate()
    assert world.status.state == "running"


def test_the_start_deadline_counts_for_each_pod_of_a_started_run() -> None:
    world = at_work(leaves=2)
    with_settings(world, start_deadline_seconds=600)
    pod = taken_away(world)
    world.now += timedelta(hours=5)
    world.operate()
    assert outcome(world) == ("queued", ""), "no node, no deadline"
    pod.node = "node1"
    world.operate()
    assert outcome(world) == ("queued", "StartDeadlineExceeded")
    heed(world)
    assert outcome(world)[0] == "failed"


@pytest.mark.parametrize("other", ["at work", "done"])
def test_a_shard_that_finds_no_node_is_told(other: str) -> None:
    world = at_work(leaves=2, parallelism=2)
    first, second = sorted(world.pods.values(), key=lambda p: p.index)
    second.phase, second.node = "Pending", ""
    if other == "done":
        world.make_leaf(first)
        world.end_pod(first, 0)
    seen = with_progress(world, SHARD)
    status = decide(seen, world.now).status
    found = find(status.conditions, "Progressing")
    assert found is not None
    expected = ("running" if other == "at work" else "queued", Reason.UNSCHEDULABLE)
    assert (status.state, found.reason) == expected
    assert f"Pod {second.name} finds no node" in found.message
    assert found.status == ("True" if other == "at work" else "False")
    words = "Generating data for taxonomy path" if other == "at work" else f"Pod {second.name} finds no node"
    assert (status.message or "").startswith(words)


def test_a_store_that_is_away_in_mid_run_is_told() -> None:
    world = at_work(leaves=2)
    world.status = decide(with_progress(world, SHARD), world.now).status
    world.reachable = False
    status = decide(world.observe(), world.now + timedelta(seconds=200)).status
    assert (status.state, status.message) == ("running", "the store does not answer")
    assert reason(status) == Reason.STORAGE_UNAVAILABLE
    assert status.progress == world.status.progress
    world.status, world.reachable = status, True
    assert reason(decide(world.observe(), world.now).status) == Reason.RUNNING


# --- suspend and cancel ---


def test_suspend_waits_until_the_pods_are_gone() -> None:
    world = at_work(leaves=2)
    world.spec = world.spec.model_copy(update={"suspend": True})
    world.operate()
    world.operate()
    assert world.status.state == "running", "its pod is still there"
    suspended = find(world.status.conditions, "Suspended")
    assert suspended is not None
    assert (suspended.status, suspended.reason) == ("False", Reason.STOPPING)
    world.collect_garbage()
    operate_until(world, lambda s: s.state == "queued")
    world.operate()
    suspended = find(world.status.conditions, "Suspended")
    assert suspended is not None
    assert suspended.status == "True"
    assert not decide(world.observe(), world.now).actions


def test_cancel_wins_over_suspend() -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    world.spec = world.spec.model_copy(update={"suspend": True, "cancel": True})
    heed(world)
    assert outcome(world)[0] == "canceled"
    assert world.status.data_metrics is not None


def test_cancel_without_a_sample_mixes_nothing() -> None:
    world = at_work(leaves=2)
    world.spec = world.spec.model_copy(update={"cancel": True})
    heed(world)
    assert outcome(world)[0] == "canceled"
    assert not [j for j in world.jobs.values() if j.role == "mix"]


def test_a_canceled_run_whose_bucket_can_be_read_and_not_written_ends_within_its_bound() -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    world.spec = world.spec.model_copy(update={"cancel": True})
    operate_until(world, lambda s: s.phase == "Mixing" and s.attempt.mix_job_uid is None)
    refused = Problem(Reason.STORAGE_REFUSED, "the store refuses to write")
    world.status = decide(replace(world.observe(), refused=refused), world.now).status
    assert outcome(world) == ("running", "")
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    world.status = decide(replace(world.observe(), refused=refused), world.now).status
    assert outcome(world) == ("canceled", "")
    assert reason(world.status) == Reason.FILES_NOT_MIXED
    assert "the store refuses to write" in (world.status.message or "")


def test_a_long_failure_does_not_hide_how_to_go_on() -> None:
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    failure = Failure(reason=Reason.ENGINE_FAILED, message="line of the engine " * 200)
    world.status = world.status.model_copy(update={"failure": failure})
    heed(world)
    assert outcome(world) == ("failed", "EngineFailed")
    message = world.status.message or ""
    assert len(message) <= 1024
    assert message.startswith("line of the engine")
    assert "Logs: s3://" in message
    assert message.endswith("spec.reuse: {name: birds-1}.")
    assert world.status.failure is not None
    assert len(world.status.failure.message) > 3000


def test_cancel_comes_too_late_when_every_leaf_is_done() -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.spec = world.spec.model_copy(update={"cancel": True})
    world.settle()
    assert outcome(world)[0] == "completed"
    assert "too late" in (world.status.message or "")


def test_suspend_is_ignored_while_mixing_and_the_message_says_so() -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 0)
    operate_until(world, lambda s: s.phase == "Mixing")
    world.spec = world.spec.model_copy(update={"suspend": True})
    world.operate()
    assert world.status.state == "running"
    assert "Suspend comes too late" in (world.status.message or "")
    world.settle()
    assert outcome(world)[0] == "completed"


def canceled_without_its_bucket() -> World:
    """A canceled run with a finished leaf whose pods are gone, and whose bucket has been away since."""
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    world.reachable = False
    world.spec = world.spec.model_copy(update={"cancel": True})
    for _ in range(10):
        world.run_job_controller()
        world.collect_garbage()
        world.operate()
    return world


def test_a_canceled_run_ends_within_a_bound_though_its_bucket_is_broken() -> None:
    world = canceled_without_its_bucket()
    assert world.status.state != "canceled"
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    world.operate()
    assert (world.status.state, reason(world.status)) == ("canceled", Reason.FILES_NOT_MIXED)


def test_a_canceled_run_whose_records_are_being_read_keeps_its_mix() -> None:
    world = canceled_without_its_bucket()
    reading = Problem(Reason.FETCHING, "The records of finished leaves are being read: 1 of 2.")
    for _ in range(3):
        world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
        world.status = decide(replace(world.observe(), ledger=Look(problem=reading)), world.now).status
        assert (world.status.state, world.status.message) == ("queued", reading.message)
    world.reachable = True
    world.settle()
    assert outcome(world)[0] == "canceled"
    assert reason(world.status) == Reason.CANCELED


def canceled_before_its_mix() -> World:
    """A canceled run with a finished leaf, whose mix pod has not started."""
    world = at_work(leaves=2)
    world.make_leaf(the_pod(world))
    world.spec = world.spec.model_copy(update={"cancel": True})
    operate_until(world, lambda s: s.attempt.mix_job_uid is not None)
    return world


def test_a_canceled_run_waits_for_its_mix_while_the_bucket_is_there() -> None:
    world = canceled_before_its_mix()
    for _ in range(3):
        world.now += timedelta(seconds=CANCEL_BOUND_SECONDS)
        world.run_job_controller()
        world.operate()
    assert (world.status.phase, reason(world.status)) == ("Mixing", Reason.UNSCHEDULABLE)
    world.settle()
    assert (outcome(world)[0], reason(world.status)) == ("canceled", Reason.CANCELED)
    assert world.status.data_metrics is not None


def test_the_bound_of_a_canceled_run_counts_from_when_its_bucket_fell_away() -> None:
    world = canceled_before_its_mix()
    world.now += timedelta(hours=1)
    world.reachable = False
    world.operate()
    assert world.status.state not in ("canceled", "failed")
    world.now += timedelta(seconds=CANCEL_BOUND_SECONDS + 1)
    operate_until(world, lambda s: s.state == "canceled")
    assert reason(world.status) == Reason.FILES_NOT_MIXED


def test_a_canceled_run_whose_mix_cannot_use_the_bucket_ends() -> None:
    """The operator reaches it, and the pod does not."""
    world = canceled_before_its_mix()
    for _ in range(8):
        world.run_job_controller()
        world.start_pods()
        for pod in world.pods.values():
            if pod.role == "mix" and pod.alive:
                world.end_pod(pod, int(ExitCode.STORAGE_UNAVAILABLE))
        world.run_job_controller()
        world.operate()
        world.now += timedelta(seconds=60)
    assert (world.status.state, reason(world.status)) == ("canceled", Reason.FILES_NOT_MIXED)


LOST = Look[Ledger](problem=Problem(Reason.INPUTS_LOST, "inputs/x.json is gone from the bucket."))
LOST_FOR_GOOD = Look[Ledger](problem=replace(LOST.problem, final=True)) if LOST.problem else LOST


@pytest.mark.parametrize("phase", ["Generating", "Mixing"])
def test_lost_inputs_are_waited_for_and_then_end_the_run(phase: str) -> None:
    world = at_work(leaves=1)
    if phase == "Mixing":
        world.make_leaf(the_pod(world))
        world.end_pod(the_pod(world), 0)
        operate_until(world, lambda s: s.phase == "Mixing")
    else:
        world.end_pod(the_pod(world), 1)
        next(iter(world.jobs.values())).finished = "Failed"
    seen = replace(world.observe(), inputs=None, mix_plan=None, ledger=LOST)
    assert decide(seen, world.now).status.state != "failed"
    failed = decide(replace(seen, ledger=LOST_FOR_GOOD), world.now).status
    assert (failed.state, failed.failure.reason if failed.failure else "") == ("failed", "InputsLost")
    assert "inputs/x.json" in (failed.message or "")
    assert "spec.reuse" in (failed.message or "")


def test_a_job_at_work_is_not_stopped_for_lost_inputs_that_it_has_fetched() -> None:
    world = at_work(leaves=1)
    plan = decide(replace(world.observe(), inputs=None, ledger=LOST_FOR_GOOD), world.now)
    assert (plan.status.state, plan.actions) == ("running", ())


# --- what is shown ---


def with_progress(world: World, *shards: ShardProgress, **changes: Any) -> RunSeen:
    seen = world.observe()
    return replace(seen, ledger=Look(Ledger(world.records(), shards)), **changes)


SHARD = ShardProgress(
    attempt=1,
    shard=0,
    pod="p",
    phase="generating",
    leaf="compositional_skills->STEM->math->area",
    leaf_samples=12,
    leaf_expected=100,
    samples=12,
    expected=300,
    leaves_done=0,
    leaves_total=2,
    tokens=Tokens(prompt=5, completion=7),
    seconds_left=90,
)


def test_the_message_is_the_services_own_sentence() -> None:
    world = at_work(leaves=2)
    status = decide(with_progress(world, SHARD), world.now).status
    assert status.message == (
        "Generating data for taxonomy path compositional_skills->STEM->math->area: 12% 12/100 (total qna processed 0/2)"
    )
    assert status.progress is not None
    assert (status.progress.samples, status.progress.leaves, status.progress.seconds_left) == (12, "0/2", 90)
    assert status.attempt.worked


def test_what_a_teacher_says_that_answers_nobody_is_the_message() -> None:
    world = at_work(leaves=2)
    waits = SHARD.model_copy(update={"waiting": "HTTP 503: Loading model"})
    assert decide(with_progress(world, waits), world.now).status.message == (
        "Waiting for the teacher: HTTP 503: Loading model"
    )
    status = decide(with_progress(world, waits, SHARD.model_copy(update={"shard": 1})), world.now).status
    assert (status.message or "").startswith("Generating data for taxonomy path")


def test_an_overtaken_attempts_progress_does_not_count() -> None:
    world = at_work(leaves=2)
    old = SHARD.model_copy(update={"attempt": 9})
    assert decide(with_progress(world, old), world.now).status.message == "Generating data."


def test_progress_stands_until_a_new_attempt_says_how_far_it_is() -> None:
    world = at_work(leaves=2)
    world.status = decide(with_progress(world, SHARD), world.now).status
    status = decide(with_progress(world), world.now).status
    assert status.progress is not None
    assert status.progress.samples == 12


@pytest.mark.parametrize(("quiet", "said"), [(119, "Running"), (121, "NoSignal")])
def test_silence_beyond_what_is_normal_is_said(quiet: int, said: str) -> None:
    world = at_work(leaves=2)
    signal = Signal(world.now - timedelta(seconds=quiet), 120)
    status = decide(with_progress(world, SHARD, signal=signal), world.now).status
    assert (status.state, reason(status)) == ("running", said)


def test_kueue_taking_the_job_back_is_queued_and_no_attempt() -> None:
    world = at_work(leaves=2)
    job = next(iter(world.jobs.values()))
    job.suspended, job.queue = True, "gpus"
    world.pods.clear()
    seen = replace(world.observe(), queue_message="preempted to accommodate a higher priority workload")
    plan = decide(seen, world.now)
    assert (plan.status.state, reason(plan.status)) == ("queued", Reason.WAITING_IN_QUEUE)
    assert "preempted to accommodate" in (plan.status.message or "")
    assert plan.status.attempt.number == 1
    assert not plan.actions


def test_a_job_that_the_cluster_refuses_is_explained() -> None:
    world = World()
    world.operate()
    world.operate()
    problem = Problem(Reason.QUOTA_EXCEEDED, "The cluster does not take Job x: exceeded quota: jobs")
    plan = decide(replace(world.observe(), refused=problem), world.now)
    assert (plan.status.state, reason(plan.status), plan.actions) == ("queued", Reason.QUOTA_EXCEEDED, ())


def test_a_mix_that_kueue_holds_is_queued_with_its_reason() -> None:
    world = at_work(leaves=1)
    world.make_leaf(the_pod(world))
    world.end_pod(the_pod(world), 0)
    operate_until(world, lambda s: s.attempt.mix_job_uid is not None)
    job = next(j for j in world.jobs.values() if j.role == "mix")
    job.suspended, job.queue = True, "small"
    plan = decide(replace(world.observe(), queue_message="no quota left"), world.now)
    assert (plan.status.state, plan.status.phase) == ("queued", "Mixing")
    assert reason(plan.status) == Reason.WAITING_IN_QUEUE
    assert "no quota left" in (plan.status.message or "")
    world.settle()
    assert outcome(world)[0] == "completed"


def test_a_completed_run_names_leaves_that_it_does_without() -> None:
    world = at_work(leaves=2, max_failed=1)
    world.make_leaf(the_pod(world), "failed")
    world.settle()
    assert outcome(world)[0] == "completed"
    assert (world.status.message or "").startswith("completed. Leaves that could not be made: 1. knowledge->leaf0")


def test_events_are_published_once_for_each_change() -> None:
    world = at_work(leaves=2)
    first = decide(with_progress(world, SHARD), world.now)
    world.status = first.status
    moved = SHARD.model_copy(update={"samples": 20, "leaf_samples": 20})
    assert decide(with_progress(world, moved), world.now).events == ()


def test_a_lost_node_is_still_named_when_the_next_attempt_waits() -> None:
    world = at_work()
    pod = the_pod(world)
    pod.unreachable, pod.deletion = True, world.now
    world.now += timedelta(hours=1)
    operate_until(world, lambda status: status.attempt.number == 2)
    assert world.status.state == "queued"
    assert f"Node {pod.node} does not answer" in (world.status.message or "")
    found = find(world.status.conditions, "Progressing")
    assert found is not None
    assert found.reason == Reason.NODE_LOST


def test_an_edited_job_is_named_until_the_next_attempt_begins() -> None:
    world = at_work(leaves=2)
    (job,) = world.jobs.values()
    job.parallelism = 0
    told = []
    for _ in range(4):  # the Job is deleted, its pod takes its grace
        world.operate()
        told.append(reason(world.status))
    assert set(told) == {Reason.JOB_EDITED}
    operate_until(world, lambda s: s.attempt.number == 2)
    assert reason(world.status) == Reason.JOB_EDITED
