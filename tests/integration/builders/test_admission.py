"""A real API server takes every Job that we make, field by field, and restricted Pod Security takes their pods."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.tools import tool
from sdg_operator.builders import build
from tests.golden.jobs.inputs import JOBS


@pytest.fixture(scope="module")
def restricted(api_server: ApiAccess) -> Iterator[str]:
    """A namespace that enforces restricted Pod Security, with the classes that placement names."""
    name = "team-birds"
    api_server.kubectl("create", "namespace", name)
    api_server.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    api_server.kubectl("create", "priorityclass", "batch-low", "--value=1")
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "x"}
    _send(api_server, "create", runtime)
    api_server.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=120s")
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")
    api_server.kubectl("delete", "priorityclass/batch-low", "runtimeclass/nvidia")


def _send(server: ApiAccess, *arguments: object) -> subprocess.CompletedProcess[str]:
    *words, body = arguments
    command: list[str | Path] = [tool("kubectl"), f"--kubeconfig={server.kubeconfig}", *map(str, words), "--filename=-"]
    return subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", JOBS)
def test_the_api_server_takes_the_job_and_knows_each_of_its_fields(
    api_server: ApiAccess, restricted: str, name: str
) -> None:
    answer = _send(api_server, "create", "--dry-run=server", "--validate=strict", build(JOBS[name]))
    assert (answer.returncode, answer.stderr) == (0, ""), "a warning is a finding too: the pod would be refused"


@pytest.mark.parametrize("name", JOBS)
def test_restricted_pod_security_takes_the_pod(api_server: ApiAccess, restricted: str, name: str) -> None:
    template = build(JOBS[name])["spec"]["template"]
    metadata = {"name": "a-pod", "namespace": restricted, **template["metadata"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    answer = _send(api_server, "create", "--dry-run=server", pod)
    assert answer.returncode == 0, answer.stderr
