"""A pod of a run ends before its work is done: what was finished stays, and no leaf of it is asked for again."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.place import Place


def evict(place: Place, pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": place.namespace}}
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod}/eviction"
    place.cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))


def end_the_engine(place: Place, pod: str) -> None:
    """SIGTERM to its process 1, as from a container runtime that is told to stop it."""
    end = "import os, signal; os.kill(1, signal.SIGTERM)"
    place.kubectl("exec", pod, "--container=engine", "--", "python", "-c", end)


def kill_the_engine(place: Place, pod: str) -> None:
    assert place.at_work() == [pod]
    place.kill("sdg_operator.engine")


def delete_by_force(place: Place, pod: str) -> None:
    """Its object is gone at once, whatever its processes do."""
    place.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


@pytest.mark.faults
@pytest.mark.parametrize(
    "fault", [evict, end_the_engine, kill_the_engine, delete_by_force], ids=lambda fault: fault.__name__
)
def test_a_pod_that_ends_in_mid_run_costs_only_what_was_in_flight(
    place: Place, fault: Callable[[Place, str], None]
) -> None:
    place.hold(1, 2)
    place.begin(leaves=3)
    (ended,) = place.at_work()
    fault(place, ended)
    place.until("at work in another pod", lambda _: bool(set(place.at_work()) - {ended}))
    place.release()
    place.until_completed(leaves=3)
    assert len(place.records()) == 3
