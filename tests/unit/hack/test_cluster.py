"""On a machine with a Docker engine of its own, clusters that we did not make are left alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.cluster import cache, machine, network
from hack.cluster.cluster import Cluster
from hack.cluster.engine import Engine
from hack.cluster.steps import StepFailed, as_root

# Stands for a machine's engine with one kind cluster on it; says nothing of networks or images.
DOCKER = """\
#!/bin/sh
echo "$*" >>{log}
case $1 in
  ps) echo "{name}-control-plane running";;
  inspect) echo /var/lib/docker/volumes/abc; echo {mount};;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a docker in front of PATH whose node has a mount; give the file that says how it was called."""
    monkeypatch.setenv("SDG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def made(name: str, mount: str) -> Path:
        log, command = tmp_path / "log", tmp_path / "docker"
        command.write_text(DOCKER.format(log=log, name=name, mount=mount))
        command.chmod(0o755)
        return log

    return made


@pytest.mark.parametrize("name", ["", "..", "../../..", "-a", "A", "a/b", "a b", "a\n", "a" * 42])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(StepFailed, match="choose another CLUSTER="):
        Cluster(name)


@pytest.mark.parametrize("name", ["a", "sdg-e2e", "0", "a" * 41])
def test_ordinary_names_are_taken(name: str) -> None:
    assert Cluster(name).folder.name == name


@pytest.mark.parametrize("act", [Cluster.up, Cluster.down], ids=["up", "down"])
def test_a_cluster_that_we_did_not_make_is_refused(
    engine: Callable[[str, str], Path], act: Callable[[Cluster], None]
) -> None:
    log = engine("kind", "/lib/modules")
    theirs = Cluster("kind")
    # What is left of one of ours that bore the same name proves nothing.
    theirs.folder.mkdir(parents=True)
    (theirs.folder / "mark").touch()
    with pytest.raises(StepFailed, match="the kind cluster 'kind' is not ours; choose another CLUSTER="):
        act(theirs)
    assert {line.split()[0] for line in log.read_text().splitlines()} == {"info", "ps", "inspect"}


@pytest.mark.parametrize("act", [Cluster.up, Cluster.down], ids=["up", "down"])
def test_a_cluster_in_the_machines_engine_is_looked_for_in_no_other(
    tmp_path: Path, engine: Callable[[str, str], Path], act: Callable[[Cluster], None]
) -> None:
    engine("ours", "")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    ours = Cluster("ours")
    ours.folder.mkdir(parents=True)
    (ours.folder / "in-the-machines-engine").touch()
    with pytest.raises(StepFailed, match="which does not answer; start it and try again"):
        act(ours)
    assert ours.folder.exists()


def test_a_cluster_with_a_node_that_cannot_be_started_is_to_be_made_anew(
    tmp_path: Path, engine: Callable[[str, str], Path]
) -> None:
    log = engine("ours", "")
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$*" >>{log}\n[ $1 = ps ] && echo "ours-control-plane dead"\n')
    assert not Cluster("ours")._revived(Engine(None))
    assert log.read_text().splitlines()[-1] == "start ours-control-plane"


def test_settings_that_may_not_be_put_back_stay_noted_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("SDG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    cache.write(cache.root() / "machine.json", json.dumps({"settings": {"kernel/panic": "77"}, "absent": []}))
    with pytest.raises(StepFailed, match="as root, and try again: sh -c 'echo 77 >/proc/sys/kernel/panic'"):
        machine.restore(another_engine=True)
    assert machine.noted()


def test_a_node_that_bears_our_mark_is_ours(engine: Callable[[str, str], Path]) -> None:
    engine("ours", str(cache.root() / "clusters/ours/mark"))
    Cluster("ours")._refuse_others(Engine(None))


def test_status_shows_what_is_half_there_and_changes_nothing(engine: Callable[[str, str], Path]) -> None:
    engine("ours", "")
    status = Cluster("ours").status()
    assert status["containers"] == {"ours-control-plane": "running"}
    assert status["running"] is False
    assert status["engine"] == "the machine's own"
    assert status["kubeconfig"] is None
    assert not cache.root().exists()


def test_who_is_not_root_asks_sudo_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert as_root(["ip", "route"]) == ["sudo", "-n", "ip", "route"]


def test_where_routes_cannot_be_set_it_is_said_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, text in (("ip", "exit 0"), ("sudo", "exit 1")):
        (tmp_path / command).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StepFailed, match=f"as root, and try again: ip route add unreachable {network.POD_NETWORK} && "):
        network.forbid_strays()
