"""`cluster-down` leaves nothing, and a killed `cluster-up` is mended by the next. Takes all clusters away: run last."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hack.cluster import cache, network
from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from hack.cluster.steps import StepFailed, run, wait_for
from tests.clusterlife.traces import traces

pytestmark = pytest.mark.timeout(900, func_only=True)

ROOT = Path(__file__).parents[2]
DEAD_SERVICE = "198.19.32.250"
DEAD_POD = "198.18.47.250"
A_NODE = "198.18.16.2"


def all_down() -> None:
    """Take every cluster away that this project has made here: with the last one goes the engine."""
    for folder in sorted((cache.root() / "clusters").glob("*")):
        Cluster(folder.name).down()
    Cluster().down()
    assert traces()["mounts"] == []


def killed_up(seconds: float, *, alone: bool = False) -> None:
    """Kill a `cluster-up` with all its children, or it alone."""
    command = [sys.executable, "-m", "hack.cluster", "up"]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    time.sleep(seconds)  # the moment of the kill is the input of these tests
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()


def kill_everything() -> None:
    """Kill the engine, the nodes and all that runs in them: what names our cache, and what descends from it."""
    parents, ours = {}, set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(process.name)] = int(stat[1])
        if str(cache.root()).encode() in command:
            ours.add(int(process.name))
    assert ours
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def gpus(cluster: Cluster) -> list[str]:
    return cluster.kubectl("get", "nodes", "--output=jsonpath={.items[*].status.allocatable.nvidia\\.com/gpu}").split()


def ready(cluster: Cluster) -> bool:
    conditions = '--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    return set(cluster.kubectl("get", "nodes", conditions).split()) == {"True"}


def born(cluster: Cluster) -> str:
    """Differs for a cluster that was made anew."""
    return cluster.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")


def assert_packets_stay() -> None:
    """Where nothing answers, neither this machine's packets nor a node's leave by the default route."""
    for address in (DEAD_SERVICE, DEAD_POD):
        with socket.socket() as probe:
            probe.settimeout(5)
            assert probe.connect_ex((address, 80)) == errno.EHOSTUNREACH, address
        with pytest.raises(StepFailed, match="No route to host"):
            run(["ip", "route", "get", address, "from", A_NODE, "iif", network.BRIDGE])


def test_two_clusters_stand_side_by_side_are_mended_and_leave_nothing() -> None:
    all_down()
    before = traces()
    first, second = Cluster("life-1"), Cluster("life-2")
    first.up(gpus=3)
    engine = ensure()
    assert_packets_stay()
    second.up()
    made = born(first)

    second.down()
    assert traces() != before
    assert network.stray_routes() == [network.POD_NETWORK, network.SERVICE_NETWORK], "the first still needs them"
    assert ready(first)

    # Whatever was done to it: it is mended, and not made anew.
    network.allow_strays()
    engine.docker("pause", "life-1-control-plane")
    first.up()
    assert born(first) == made
    assert gpus(first) == ["3"], "as they were asked for"
    engine.docker("stop", "life-1-control-plane")
    status = first.status()
    assert status["running"] is False
    assert status["containers"] == {"life-1-control-plane": "exited"}
    first.up()
    assert born(first) == made
    assert ready(first)
    assert gpus(first) == ["3"], "a node forgets them when it stops"
    assert_packets_stay()

    first.down()
    assert traces() == before


def test_a_killed_up_is_mended_by_the_next_and_taken_away_by_a_down() -> None:
    all_down()
    before = traces()
    killed_up(8, alone=True)  # in the middle of kind's work
    wait_for("the end of kind", 10, lambda: not any("kind create" in line for line in traces()["processes"]))
    Cluster().down()
    assert traces() == before


def test_what_was_killed_with_all_its_processes_is_mended_and_taken_away() -> None:
    all_down()
    before = traces()
    cluster = Cluster("life-1")
    cluster.up(gpus=3)
    if ensure().host is None:
        pytest.skip("this machine's own engine runs the nodes, and is not ours to kill")
    kill_everything()
    assert not cluster.answers()
    cluster.up()
    assert ready(cluster)
    assert gpus(cluster) == ["3"]
    assert_packets_stay()
    kill_everything()
    cluster.down()
    assert traces() == before


@pytest.mark.parametrize("alone", [False, True], ids=["all", "alone"])
@pytest.mark.parametrize("seconds", [1.0, 8.0, 20.0])
def test_an_up_that_was_killed_is_mended_by_the_next(seconds: float, alone: bool) -> None:
    all_down()
    killed_up(seconds, alone=alone)
    cluster = Cluster()
    cluster.up()
    assert cluster.answers()
    assert gpus(cluster) == ["2"]


def test_nodes_have_routes_to_each_other_again() -> None:
    all_down()
    cluster = Cluster("life-2")
    cluster.up(nodes=2)
    made = born(cluster)
    engine = ensure()
    ranges = {
        node["metadata"]["name"]: node["spec"]["podCIDR"]
        for node in json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    }
    engine.docker("exec", "life-2-control-plane", "ip", "route", "del", ranges["life-2-worker"])
    engine.docker("pause", "life-2-worker")
    cluster.up()
    assert born(cluster) == made
    assert ready(cluster)
    assert ranges["life-2-worker"] in engine.docker("exec", "life-2-control-plane", "ip", "route")
    cluster.down()
