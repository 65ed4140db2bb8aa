"""A run in a cruel world: whatever happens, in whatever order, what the operator promises holds.

The world (`world.py`) crashes the operator between any two calls, lets a second one wake up late, collects garbage when
it likes, loses nodes, edits and deletes Jobs, takes the bucket away and turns the clock back.
"""

from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.engine.contract import ExitCode
from sdg_operator.reconcile.names import WATCH_LABEL
from tests.property.examples import examples
from tests.property.world import World, a_settings

EXITS = [0, 1, 137, 143, *(int(code) for code in ExitCode if code != ExitCode.OK)]
HARMLESS = [0, 1, 137, 143, int(ExitCode.INTERRUPTED), int(ExitCode.TEACHER_UNAVAILABLE), int(ExitCode.INTERNAL)]


class Runs(RuleBasedStateMachine):
    world: World
    exits = EXITS

    @initialize(
        leaves=st.integers(1, 3),
        parallelism=st.integers(1, 2),
        max_fruitless=st.integers(0, 1),
        max_failed=st.integers(0, 1),
        reused=st.sampled_from([0, 0, 1]),
        at_work=st.booleans(),
    )
    def begin(
        self, leaves: int, parallelism: int, max_fruitless: int, max_failed: int, reused: int, at_work: bool
    ) -> None:
        self.world = World(leaves, parallelism, max_fruitless, max_failed, reused)
        if at_work:  # begin where things are interesting
            self.go_to_work()

    def go_to_work(self) -> None:
        for _ in range(6):
            self.world.operate()
            self.world.run_job_controller()
            self.world.start_pods()

    # the operator

    @rule(times=st.integers(1, 4))
    def operate(self, times: int) -> None:
        for _ in range(times):
            self.world.operate()

    @rule(calls=st.integers(0, 3))
    def operate_and_crash(self, calls: int) -> None:
        self.world.operate(crash_after=calls)

    @precondition(lambda self: len(self.world.held) < 2)
    @rule()
    def stop_a_second_operator_in_mid_pass(self) -> None:
        self.world.operate(hold=True)

    @precondition(lambda self: self.world.held)
    @rule()
    def wake_the_second_operator(self) -> None:
        self.world.wake()

    @precondition(lambda self: self.world.asked and self.world.status.state not in TERMINAL_STATES)
    @rule(data=st.data())
    def a_late_operator_makes_an_old_job(self, data: st.DataObject) -> None:
        self.world.create(data.draw(st.sampled_from(self.world.asked)), fresh=False)
        self.world.run_job_controller()
        self.world.start_pods()

    # the cluster

    @rule()
    def cluster_moves(self) -> None:
        self.world.run_job_controller()
        self.world.start_pods()

    @rule()
    def job_controller(self) -> None:
        self.world.run_job_controller()

    @rule()
    def garbage_is_collected(self) -> None:
        self.world.collect_garbage()

    @rule(seconds=st.sampled_from([1, 15, 60, 400, 4000, -300]))
    def the_clock_moves(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(reachable=st.booleans())
    def the_bucket_comes_and_goes(self, reachable: bool) -> None:
        self.world.reachable = reachable

    @rule(quota=st.booleans())
    def quota_comes_and_goes(self, quota: bool) -> None:
        self.world.quota = quota

    # containers

    def pods(self, phase: str) -> list[str]:
        return sorted(n for n, p in self.world.pods.items() if p.phase == phase)

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data(), outcome=st.sampled_from(["done", "done", "done", "failed"]))
    def work_is_done(self, data: st.DataObject, outcome: str) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        if pod.role == "mix":
            self.world.mix_samples()
        else:
            self.world.make_leaf(pod, outcome)

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data())
    def a_pod_succeeds(self, data: st.DataObject) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        if pod.role == "mix":
            self.world.mix_samples()
        while pod.role == "generate" and self.world.reachable and self.world.unmade(pod):
            self.world.make_leaf(pod)
        self.world.end_pod(pod, 0)

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data())
    def a_pod_fails(self, data: st.DataObject) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        self.world.end_pod(pod, data.draw(st.sampled_from(self.exits)))

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data())
    def the_teacher_is_away(self, data: st.DataObject) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        self.world.end_pod(pod, int(ExitCode.TEACHER_UNAVAILABLE))

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data())
    def a_pod_is_preempted(self, data: st.DataObject) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        pod.disruption = "PreemptionByScheduler"
        self.world.end_pod(pod, 143)

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data())
    def a_policy_has_added_a_container(self, data: st.DataObject) -> None:
        self.world.pods[data.draw(st.sampled_from(self.pods("Running")))].added = True

    @precondition(lambda self: self.pods("Running"))
    @rule(data=st.data(), tolerant=st.booleans())
    def a_node_is_lost(self, data: st.DataObject, tolerant: bool) -> None:
        pod = self.world.pods[data.draw(st.sampled_from(self.pods("Running")))]
        pod.unreachable, pod.tolerant, pod.silent_since = True, tolerant, self.world.now
        if not tolerant:
            pod.deletion = pod.deletion or self.world.now

    # users and administrators

    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self.world.spec = self.world.spec.model_copy(update={"suspend": suspend})
        self.world.generation += 1

    @rule()
    @precondition(lambda self: len(self.world.history) > 4)
    def cancel(self) -> None:
        self.world.spec = self.world.spec.model_copy(update={"cancel": True})

    @rule()
    def the_defaults_change(self) -> None:
        self.world.settings = a_settings(f"engine:{self.world.version}")

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def a_job_is_deleted_by_hand(self, data: st.DataObject) -> None:
        self.world.delete_job(data.draw(st.sampled_from(sorted(self.world.jobs))))

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def a_job_is_deleted_without_its_pods(self, data: st.DataObject) -> None:
        self.world.orphan_pods(data.draw(st.sampled_from(sorted(self.world.jobs))))

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def a_job_is_edited_by_hand(self, data: st.DataObject) -> None:
        job = self.world.jobs[data.draw(st.sampled_from(sorted(self.world.jobs)))]
        job.parallelism = 0
        job.labels.pop(WATCH_LABEL, None)

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data(), suspended=st.booleans())
    def kueue_suspends_or_admits(self, data: st.DataObject, suspended: bool) -> None:
        job = self.world.jobs[data.draw(st.sampled_from(sorted(self.world.jobs)))]
        if not job.finished:
            job.suspended = suspended
            for name, pod in list(self.world.pods.items()):
                if suspended and pod.job_uid == job.uid and not pod.unreachable and pod.alive:
                    pod.held_until = self.world.tick()
                    del self.world.pods[name]

    @precondition(lambda self: self.world.status.resolved and self.world.status.state not in TERMINAL_STATES)
    @rule()
    def another_job_takes_the_next_name(self) -> None:
        self.world.squat()

    # what must hold

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            assert not self.world.broken, self.world.broken

    def teardown(self) -> None:
        """Once the world is kind, every run ends, says the truth, and leaves no Job at work."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.held.clear()
        if world.spec.suspend and not world.spec.cancel and world.status.phase in (None, "Pending", "Generating"):
            world.settle(passes=80, pods_end=False)
            assert not world.broken, world.broken
            if world.status.phase == "Generating":
                assert world.status.state == "queued", "a suspended run must come to rest"
                at_work = [p.name for p in world.pods.values() if p.alive and not p.unreachable]
                assert not at_work, f"a suspended run holds pods: {at_work}"
                suspended = next(c for c in world.status.conditions if c.type == "Suspended")
                assert suspended.status == "True"
            world.spec = world.spec.model_copy(update={"suspend": False})
        world.settle()
        assert not world.broken, world.broken
        assert world.status.state in TERMINAL_STATES, f"it does not end: {world.status.message}"
        left = [j.name for j in world.jobs.values() if j.finished is None]
        assert not left, f"Jobs of an ended run are at work: {left}"
        released = [j.name for j in world.jobs.values() if j.owner_uid == world.owner.uid and j.labels.get(WATCH_LABEL)]
        world.operate()
        assert not [n for n in released if n in world.jobs and world.jobs[n].labels.get(WATCH_LABEL)]
        self.nothing_follows_the_end()

    def nothing_follows_the_end(self) -> None:
        """A terminal state stays, and no Job is made again, though all Jobs have expired."""
        world, status = self.world, self.world.status
        world.jobs.clear()
        if world.asked:
            world.create(world.asked[0], fresh=False)
        world.spec = world.spec.model_copy(update={"cancel": True})
        for _ in range(3):
            world.operate()
            world.run_job_controller()
        assert world.status == status
        assert not world.jobs


class KindRuns(Runs):
    """The same world without mistakes: nothing that happens to it may make a run fail."""

    exits = HARMLESS

    @initialize(leaves=st.integers(1, 3), parallelism=st.integers(1, 2), at_work=st.booleans())
    def begin(self, leaves: int, parallelism: int, at_work: bool) -> None:
        self.world = World(leaves, parallelism, max_fruitless=100, max_failed=3)
        if at_work:
            self.go_to_work()

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "world"):
            expected = ("completed", "canceled") if self.world.spec.cancel else ("completed",)
            records = self.world.records()
            if self.world.status.attempt.mix_failures >= 3:
                return  # its mix failed by faults of its own, again and again
            if not records or any(r.outcome == "done" for r in records):
                assert self.world.status.state in expected, self.world.status.message


TestRuns = Runs.TestCase
TestRuns.settings = examples()
TestKindRuns = KindRuns.TestCase
TestKindRuns.settings = examples()
pytestmark = pytest.mark.timeout(1800)
