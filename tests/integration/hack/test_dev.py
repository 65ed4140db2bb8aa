"""`make dev`: the operator on this machine, anew within seconds of a change."""

import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.processes import Server, free_port
from hack.cluster.steps import StepFailed, run, succeeds, wait_for
from hack.dev import ROOT

SOURCE = ROOT / "operator/sdg_operator/controller/__main__.py"


def settings(folder: Path) -> str:
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"images": {"engine": "registry.example/e:1", "runner": "registry.example/r:1"}}))
    return str(file)


def operator(dev: Server) -> set[str]:
    """Process ids of the operator that it runs."""
    return set(Path(f"/proc/{dev.pid}/task/{dev.pid}/children").read_text().split())


def test_the_operator_starts_anew_when_its_code_changes_and_ends_when_interrupted(
    api_server: ApiAccess, namespace: str, tmp_path: Path
) -> None:
    port = free_port()
    # Of the API server's objects those of this test alone: the others belong to other tests.
    flags = [f"--namespace={namespace}", f"--health-bind=127.0.0.1:{port}", f"--metrics-bind=127.0.0.1:{port}"]
    # Several files, as kubectl has it; the first need not be there.
    env = {"KUBECONFIG": f"{tmp_path / 'absent'}:{api_server.kubeconfig}", "SETTINGS": settings(tmp_path)}
    dev = Server("dev", [sys.executable, "-m", "hack.dev", *flags], tmp_path / "dev.log", env=env)
    dev.start()
    try:
        ready = ["curl", "--silent", "--fail", f"http://127.0.0.1:{port}/readyz"]
        wait_for("the operator", 120, lambda: succeeds(ready))
        first = operator(dev)
        os.utime(SOURCE)
        wait_for("the end of the first", 120, lambda: not operator(dev) & first)
        wait_for("the operator again", 120, lambda: bool(operator(dev)) and succeeds(ready))
        assert "code or settings have changed, starting anew" in dev.log.read_text()
        os.kill(dev.pid, signal.SIGINT)
        wait_for("the end", 120, lambda: not dev.alive())
    except StepFailed as late:
        raise StepFailed(f"{late}\n{dev.tail()}") from late
    finally:
        dev.stop(kill=True)
    assert not succeeds(ready)


def test_an_empty_kubeconfig_is_none_and_it_is_said_what_to_do(tmp_path: Path) -> None:
    env = {"KUBECONFIG": "", "SETTINGS": "", "CLUSTER": "not-there"}
    with pytest.raises(StepFailed, match="cluster 'not-there' is not running; start it with: make cluster-up"):
        run([sys.executable, "-m", "hack.dev"], cwd=ROOT, env=env)


def test_a_cluster_of_ones_own_needs_settings(api_server: ApiAccess) -> None:
    env = {"KUBECONFIG": str(api_server.kubeconfig), "SETTINGS": ""}
    with pytest.raises(StepFailed, match="SETTINGS must name a settings file"):
        run([sys.executable, "-m", "hack.dev"], cwd=ROOT, env=env)
