"""A Taxonomy in a cruel world: no run ever uses what was not checked for it, and every check that is wanted ends.

The world (`taxonomy_world.py`) changes the source at any time, loses and kills checks, loses nodes for a while or for
ever, crashes the operator between any two calls, lets a second one wake up late, and sets the operator's clock forward
and back.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.property.examples import examples
from tests.property.taxonomy_world import SimCheck, TaxonomyWorld


class Taxonomies(RuleBasedStateMachine):
    world: TaxonomyWorld

    @initialize(source=st.sampled_from(["bucket", "git"]), checked=st.booleans(), good=st.booleans())
    def begin(self, source: str, checked: bool, good: bool) -> None:
        self.world = TaxonomyWorld(source)
        self.world.content = replace(self.world.content, good=good)
        if checked:  # begin where things are interesting
            self.world.settle()

    # the operator

    @rule(times=st.integers(1, 3))
    def operate(self, times: int) -> None:
        for _ in range(times):
            self.world.operate()

    @rule(calls=st.integers(0, 2))
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

    @rule(skew=st.sampled_from([0, 0, 400, -400, 90_000]))
    def the_operators_clock_steps(self, skew: int) -> None:
        self.world.skew = skew

    @rule(seconds=st.sampled_from([1, 5, 61, 700]))
    def time_passes(self, seconds: int) -> None:
        self.world.api_now += timedelta(seconds=seconds)

    # the source

    @rule(good=st.booleans())
    def the_source_changes(self, good: bool) -> None:
        content = self.world.content
        self.world.content = replace(content, revision=content.revision + 1, good=good)

    @precondition(lambda self: self.world.generation < 3)
    @rule(good=st.booleans())
    def the_spec_changes(self, good: bool) -> None:
        self.world.generation += 1
        self.world.content = replace(self.world.content, generation=self.world.generation, good=good)

    @rule(reachable=st.booleans())
    def the_store_comes_and_goes(self, reachable: bool) -> None:
        self.world.reachable = reachable

    @rule(there=st.booleans())
    def the_secret_comes_and_goes(self, there: bool) -> None:
        self.world.secret = there

    @rule(quota=st.booleans())
    def quota_comes_and_goes(self, quota: bool) -> None:
        self.world.quota = quota

    @rule(there=st.booleans())
    def the_documents_come_and_go(self, there: bool) -> None:
        self.world.documents = there

    @rule()
    def the_secret_names_another_bucket_with_the_same_object(self) -> None:
        self.world.snapshots.clear()

    # checks

    def at_work(self) -> list[SimCheck]:
        """Checks with a pod that runs, be it on a node that came back after their Job was given up."""
        return [check for check in self.world.ever if not check.finished and not check.gone]

    def heard_of(self) -> list[SimCheck]:
        return [check for check in self.at_work() if check.silent_since is None]

    @precondition(lambda self: self.at_work())
    @rule()
    def a_check_reads_the_source(self) -> None:
        for check in self.at_work():
            self.world.read_source(check)

    @precondition(lambda self: self.heard_of())
    @rule(killed=st.booleans())
    def a_check_ends(self, killed: bool) -> None:
        for check in self.heard_of():
            self.world.end(check, killed=killed)

    @precondition(lambda self: self.heard_of())
    @rule(tolerant=st.booleans())
    def a_node_is_lost(self, tolerant: bool) -> None:
        for check in self.heard_of():
            check.silent_since, check.tolerant = self.world.api_now, tolerant

    @rule()
    def the_lost_nodes_come_back(self) -> None:
        self.world.node_returns()

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def a_job_is_deleted(self, data: st.DataObject) -> None:
        self.world.delete(data.draw(st.sampled_from(sorted(self.world.jobs))))

    @rule()
    def another_job_takes_the_next_name(self) -> None:
        self.world.squat()

    # users

    @precondition(lambda self: len(self.world.runs) < 3)
    @rule()
    def a_run_is_created(self) -> None:
        self.world.runs.append(self.world.api_now)

    @rule()
    def a_check_is_asked_for(self) -> None:
        self.world.request = f"{self.world.api_now}"

    # what must hold

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            self.world.check_runs()
            assert not self.world.broken, self.world.broken

    def teardown(self) -> None:
        """Once the world is kind, the Taxonomy says the truth about its source, and no run waits for it any more."""
        if not hasattr(self, "world"):
            return
        self.world.held.clear()
        self.world.wanted = self.world.wanted_since = None  # they are only in memory
        self.comes_to_rest()
        self.the_source_changes(good=True)
        self.a_run_is_created()
        self.world.settle(passes=8, documents=False)
        self.comes_to_rest()
        self.world.secret = False
        self.world.operate()
        self.comes_to_rest()

    def comes_to_rest(self) -> None:
        world = self.world
        again = world.settle()
        said = f"{world.status.state}: {world.status.message}"
        assert not world.broken, world.broken
        assert not world.status.check.open, f"a check never ends: {said}"
        assert world.satisfied(), f"a run waits for ever for a check: {said}"
        assert again is None or again > 0, "it is looked at without a pause"
        assert world.status.check.request == world.request, "a check that was asked for was not made"
        assert world.status.observed_generation == world.generation, "what it says is of an earlier spec"
        if world.source == "bucket":  # of a repository only a check on demand says what it holds
            current = replace(world.content, generation=world.generation)
            assert world.status.checked_revision == current.etag, said
            assert world.ready == ("True" if current.good else "False"), said
            assert not (current.good and world.snapshot_lost), "it is ready, and its snapshot is not there"
        latest = [job for job in world.jobs.values() if job.uid == world.status.check.job_uid]
        assert not any(job.watched for job in latest), "the Job of a check that has ended is still watched"


TestTaxonomies = Taxonomies.TestCase
TestTaxonomies.settings = examples()
pytestmark = pytest.mark.timeout(1800)
