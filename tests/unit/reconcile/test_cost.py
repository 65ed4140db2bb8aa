"""What a run has taken of the cluster is counted once, whoever looks when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sdg_operator.api.datageneration import Attempt, Cost, DataGenerationStatus, Resolved, RunProgress
from sdg_operator.engine.contract import ExitCode
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cluster import ContainerView, PodView
from sdg_operator.reconcile.cost import counted, gpus
from sdg_operator.reconcile.snapshot import Ledger, Look, RunSeen
from sdg_operator.storage.records import LeafRecord, Tokens
from tests.property.world import DIGEST, START, World

GPU = "nvidia.com/gpu"


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def accepted(**changes: Any) -> tuple[RunSeen, DataGenerationStatus]:
    """A run that generates, with one GPU for each pod and nothing counted yet."""
    world = World()
    world.operate()
    status = world.status.model_copy(update={"cost": None, **changes})
    return replace(world.observe(), status=status), status


def pod(began: float | None, ended: float | None = None, *, scheduled: float = 0, name: str = "p") -> PodView:
    """A generate pod: since when it has its node and its engine is at work, and when that ended."""
    state = "waiting" if began is None else "running" if ended is None else "terminated"
    engine = ContainerView(
        "engine",
        "main",
        state,  # type: ignore[arg-type]
        began=None if began is None else at(began),
        ended=None if ended is None else at(ended),
    )
    phase = "Pending" if began is None else "Running" if ended is None else "Succeeded"
    return PodView(
        name, name, role="generate", phase=phase, node="n", scheduled_since=at(scheduled), containers=(engine,)
    )


def count(seen: RunSeen, looks: list[tuple[float, list[PodView]]]) -> Cost:
    """What is counted by one look after the other; each changes the status, as progress does."""
    status = seen.status
    for seconds, pods in looks:
        changed = status.model_copy(update={"message": f"at {seconds}"})
        status = counted(replace(seen, status=status, pods=tuple(pods)), changed, at(seconds))
    return status.cost or Cost()


@pytest.mark.parametrize("step", [1, 7, 50, 300])
def test_however_often_it_is_looked_at_a_second_counts_once(step: int) -> None:
    seen, _ = accepted()
    first, second = pod(20, 120, name="a"), pod(140, None, scheduled=130, name="b")
    done = pod(140, 200, scheduled=130, name="b")
    looks = [
        (t, [pod(20, name="a")] if 20 <= t < 120 else [first, second] if t < 200 else [first, done])
        for t in [*range(20, 300, step), 300]
    ]
    cost = count(seen, looks)
    assert (cost.gpu_seconds, cost.wasted_gpu_seconds) == (120 + 70, 20 + 10)


def test_what_ended_while_no_operator_was_there_is_counted_by_the_pods_own_times() -> None:
    seen, _ = accepted()
    cost = count(seen, [(10, [pod(5)]), (5000, [pod(5, 100), pod(150, 250, scheduled=140, name="b")])])
    assert (cost.gpu_seconds, cost.wasted_gpu_seconds) == (100 + 110, 5 + 10)


def test_a_pod_that_loads_its_model_holds_its_gpu_in_vain() -> None:
    seen, _ = accepted()
    cost = count(seen, [(600, [pod(None)])])
    assert (cost.gpu_seconds, cost.wasted_gpu_seconds) == (600, 600)


def test_a_pod_without_a_node_holds_nothing() -> None:
    seen, status = accepted()
    waiting = replace(pod(None), node="", scheduled_since=None)
    assert counted(replace(seen, pods=(waiting,)), status, at(600)) == status


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    seen, _ = accepted()
    cost = count(seen, [(100, [pod(0)]), (40, [pod(0)]), (90, [pod(0)]), (150, [pod(0)])])
    assert cost.gpu_seconds == 150


def test_counting_alone_is_written_once_a_minute() -> None:
    seen, status = accepted(cost=Cost(gpu_seconds=5, counted_until=clock.to_text(at(100))))
    seen = replace(seen, pods=(pod(0),))
    assert counted(seen, status, at(159)) == status
    assert (counted(seen, status, at(160)).cost or Cost()).gpu_seconds == 65


def test_pods_of_the_mix_and_lost_ones_do_not_count() -> None:
    seen, _ = accepted()
    lost = replace(pod(0), deletion=at(0))
    assert count(seen, [(10_000, [replace(pod(0), role="mix"), lost])]) == Cost()


@pytest.mark.parametrize(
    ("engine", "server", "each"),
    [
        ({GPU: 2}, None, 2),
        ({"cpu": 4, "memory": "1Gi"}, {GPU: "4", "rdma/hca": 1, "hugepages-2Mi": "4Mi"}, 4),
        ({"nvidia.com/mig-1g.5gb": 1}, {"amd.com/gpu": 1}, 2),
        ({GPU: 1, "nvidia.com/gpumem": 3000, "nvidia.com/gpucores": 30, "volcano.sh/vgpu-memory": 9}, None, 1),
        ({"aws.amazon.com/neuroncore": 2}, None, 2),
        ({}, None, 0),
    ],
)
def test_devices_of_engine_and_server_count_and_networks_and_parts_do_not(
    engine: dict[str, Any], server: dict[str, Any] | None, each: int
) -> None:
    assert gpus(resolved(engine, server)) == each


def resolved(engine: dict[str, Any], server: dict[str, Any] | None = None, **changes: Any) -> Resolved:
    _, status = accepted()
    assert status.resolved is not None
    frozen = status.resolved.model_dump(by_alias=True, exclude_none=True)
    frozen["engineResources"] = {"limits": engine}
    if server is not None:
        frozen["teacher"]["server"] = {"image": "vllm:1", "modelName": "m", "resources": {"limits": server}}
    return Resolved.model_validate({**frozen, **changes})


def test_the_price_is_that_of_a_pods_hours() -> None:
    seen, _ = accepted(resolved=resolved({GPU: 2}, podHourPrice="5 EUR"))
    cost = count(seen, [(1800, [pod(0)])])
    assert (cost.gpu_seconds, cost.price) == (3600, "2.50 EUR")


def test_tokens_of_leaves_that_were_taken_over_are_not_this_runs() -> None:
    progress = RunProgress(tokens=1500)
    attempt = Attempt(number=1, active_seconds=60, active_since=clock.to_text(START))
    seen, status = accepted(progress=progress, attempt=attempt)
    record = LeafRecord(leaf="l", input_digest=DIGEST, attempt=0, pod="reused", outcome="done")
    taken_over = record.model_copy(update={"tokens": Tokens(prompt=9, completion=500)})
    seen = replace(seen, ledger=Look(Ledger((taken_over,))))
    changed = status.model_copy(update={"message": "more"})
    assert (counted(seen, changed, at(40)).cost or Cost()).tokens_per_second == 10


def test_an_attempt_that_made_no_sample_was_in_vain_and_those_before_were_not() -> None:
    world = World(leaves=3, max_fruitless=5)
    spent: list[Cost] = []
    for made in (True, False):
        for _ in range(5):
            world.operate()
            world.run_job_controller()
            world.start_pods()
        (working,) = [p for p in world.pods.values() if p.alive]
        world.now += timedelta(seconds=100)
        if made:
            world.make_leaf(working)
        world.end_pod(working, int(ExitCode.INTERNAL))
        number = world.status.attempt.number
        for _ in range(20):
            world.run_job_controller()
            world.operate()
            if world.status.attempt.number > number:
                break
        world.now += timedelta(seconds=1000)
        spent.append(world.status.cost or Cost())
    assert [(cost.gpu_seconds, cost.wasted_gpu_seconds) for cost in spent] == [(100, 0), (200, 100)]
    world.settle()
    assert world.status.state == "completed"
    assert world.status.cost is not None
    assert world.status.cost.wasted_gpu_seconds == 100
    assert not world.broken


def test_a_run_that_ends_without_a_leaf_wasted_all_it_held() -> None:
    world = World(leaves=1)
    for _ in range(6):
        world.operate()
        world.run_job_controller()
        world.start_pods()
    world.now += timedelta(seconds=500)
    world.spec = world.spec.model_copy(update={"cancel": True})
    world.settle(pods_end=False)
    cost = world.status.cost or Cost()
    assert world.status.state == "canceled"
    assert cost.gpu_seconds == cost.wasted_gpu_seconds >= 500
