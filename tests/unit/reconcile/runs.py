"""Runs in the model world, brought to where a test begins, and what is read of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.reconcile.conditions import find
from tests.property.world import SimPod, World


def at_work(**world: Any) -> World:
    """A world whose run has a pod at work."""
    made = World(**world)
    for _ in range(5):
        made.operate()
    made.run_job_controller()
    made.start_pods()
    made.operate()
    assert made.status.state == "running"
    return made


def the_pod(world: World) -> SimPod:
    (pod,) = [p for p in world.pods.values() if p.alive]
    return pod


def operate_until(world: World, holds: Callable[[DataGenerationStatus], bool], passes: int = 20) -> None:
    for _ in range(passes):
        if holds(world.status):
            return
        world.run_job_controller()
        world.collect_garbage()
        world.operate()
    raise AssertionError(f"never: {world.status.state}: {world.status.message}")


def heed(world: World) -> None:
    """Let the operator take note of a wish and stop the Job, then let everything go well."""
    for _ in range(3):
        world.operate()
    world.settle()


def outcome(world: World) -> tuple[str, str]:
    """State and, of a failed run, the failure's reason."""
    status = world.status
    return str(status.state), str(status.failure.reason) if status.failure else ""


def reason(status: DataGenerationStatus) -> str:
    said = find(status.conditions, "Progressing")
    return said.reason if said else ""


def with_settings(world: World, **resolved: Any) -> None:
    frozen = world.status.resolved
    assert frozen is not None
    world.status = world.status.model_copy(update={"resolved": frozen.model_copy(update=resolved)})


def kept_up(world: World, exit_code: int) -> SimPod:
    """The work of the pod ends while a container that a policy added goes on."""
    pod = the_pod(world)
    pod.added = True
    world.end_pod(pod, exit_code)
    world.operate()
    assert pod.deletion is None, "it may end by itself"
    world.now += timedelta(seconds=31)
    return pod
