"""What other tools say of the chart: Helm's own linter, kube-score, and a real API server's strict reading."""

import json
import secrets

import pytest
import yaml

from hack.cluster.apiserver import ApiServer
from hack.cluster.steps import run
from hack.cluster.tools import tool
from tests.chart.charting import BOTH, CHART, VALUE_SETS, render, template
from tests.chart.others import install_kinds

pytestmark = pytest.mark.integration

# Checks of kube-score that do not hold here, and why.
IGNORED = {
    "container-image-pull-policy": "images have a tag of their own or a digest; nodes need not ask again",
    "container-security-context-user-group-id": "no uid is asked for: OpenShift gives each namespace its own",
    "container-resources": "no CPU limit: it would only make the operator late (memory and disk are limited)",
    "pod-networkpolicy": "off by default: only the administrator knows the addresses of stores",
    "deployment-strategy": "one replica without election is replaced, not doubled",
    "deployment-replicas": "one replica is the default: Jobs go on without it",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints say the same",
}


@pytest.mark.parametrize("helm", BOTH)
@pytest.mark.parametrize("name", VALUE_SETS)
def test_helm_lint_has_nothing_to_say(helm: str, name: str) -> None:
    said = run([tool(helm), "lint", "--strict", CHART, "--values=-"], stdin=yaml.safe_dump(VALUE_SETS[name]))
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize("name", VALUE_SETS)
def test_kube_score_finds_nothing_that_is_not_meant_so(name: str) -> None:
    ignored = [f"--ignore-test={check}" for check in IGNORED]
    said = run(
        [tool("kube-score"), "score", "--output-format=ci", "--kubernetes-version=v1.34", *ignored, "-"],
        stdin=template("helm4", VALUE_SETS[name]),
    )
    assert [line for line in said.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))] == []


@pytest.mark.parametrize("name", VALUE_SETS)
def test_a_real_api_server_takes_every_object_to_the_letter(api_server: ApiServer, name: str) -> None:
    install_kinds(api_server)
    namespaces = {"sdg-system", *VALUE_SETS[name].get("watchNamespaces", [])}
    wanted = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in sorted(namespaces)]
    api_server.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    objects = render("helm4", VALUE_SETS[name])
    marker = f"strict-{secrets.token_hex(3)}"
    for each in objects:
        each["metadata"].setdefault("labels", {})["test"] = marker
    said = api_server.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-",
        stdin="\n---\n".join(json.dumps(each) for each in objects),
    )  # fmt: skip
    assert len(said.splitlines()) == len(objects)
