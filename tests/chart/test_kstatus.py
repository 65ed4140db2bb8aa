"""What kstatus (Helm 4 ``--wait``, Flux) makes of runs in every state, on objects as a cluster gave them."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiServer
from hack.cluster.steps import StepFailed, run, until_established
from hack.cluster.tools import tool
from hack.generate.chart import ROOT
from tests.integration.chart.recorded import recorded

CURRENT = {
    "run-created",
    "run-queued",
    "run-running",
    "run-suspended",
    "run-completed",
    "run-canceled",
    "taxonomy-created",
    "taxonomy-ready",
}
NOT_CURRENT = {
    "run-failed": "Failed",
    "run-failed-at-work": "Failed",
    "taxonomy-checking": "InProgress",
    "taxonomy-invalid": "InProgress",
}


@pytest.fixture(scope="module")
def kinds(api_server: ApiServer) -> ApiServer:
    api_server.kubectl("apply", "--filename", str(ROOT / "crds"))
    until_established(api_server.kubectl)
    return api_server


def wait_for(server: ApiServer, folder: Path, found: dict[str, Any], seconds: int, **changed: bool) -> str:
    """Let Helm 4 install a chart of this one object, there already with its status; return why it gave up waiting.

    `changed` are fields of its spec that were changed after that status was written.
    """
    namespace = f"wait-{secrets.token_hex(3)}"
    server.kubectl("create", "namespace", namespace)
    name, kind = found["metadata"]["name"], found["kind"]
    wanted = {key: found[key] for key in ("apiVersion", "kind", "spec")}
    wanted["metadata"] = {"name": name, "namespace": namespace}
    made = json.loads(server.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(wanted)))
    patch = ("patch", kind, name, f"--namespace={namespace}", "--type=merge", "--patch")
    if "status" in found:
        status = {**found["status"]}
        if "observedGeneration" in status:
            status["observedGeneration"] = made["metadata"]["generation"]
        server.kubectl(*patch, json.dumps({"status": status}), "--subresource=status")
    if changed:
        server.kubectl(*patch, json.dumps({"spec": changed}))
        wanted["spec"] |= changed
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: one\nversion: 0.1.0\n")
    (folder / "templates" / "one.yaml").write_text(yaml.safe_dump(wanted))
    options = [f"--kubeconfig={server.kubeconfig}", f"--namespace={namespace}", "--take-ownership"]
    command: list[str | Path] = [tool("helm4"), "install", "one", folder, "--wait", f"--timeout={seconds}s", *options]
    try:
        run(command)
    except StepFailed as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_helm_does_not_wait_for_the_end_of_a_run(kinds: ApiServer, tmp_path: Path, name: str) -> None:
    assert wait_for(kinds, tmp_path, recorded(name), seconds=60) == ""


@pytest.mark.parametrize("name", sorted(NOT_CURRENT))
def test_helm_tells_of_what_has_failed(kinds: ApiServer, tmp_path: Path, name: str) -> None:
    assert f"status: {NOT_CURRENT[name]}" in wait_for(kinds, tmp_path, recorded(name), seconds=15)


@pytest.mark.parametrize("name", ["run-completed", "run-canceled"])
def test_what_is_changed_after_the_end_is_not_waited_for(kinds: ApiServer, tmp_path: Path, name: str) -> None:
    assert wait_for(kinds, tmp_path, recorded(name), seconds=60, suspend=True) == ""
