"""What kube-score says of the chart, and kube-linter, where there is one: decisions/0009."""

import shutil
from pathlib import Path

import pytest

from hack.cluster.steps import run
from hack.cluster.tools import tool
from tests.integration.chart.charting import VALUE_SETS, template

# Checks of kube-score that do not hold here, and why.
IGNORED = {
    "container-image-pull-policy": "images have a tag of their own or a digest; nodes need not ask again",
    "container-security-context-user-group-id": "no uid is asked for: OpenShift gives each namespace its own",
    "container-resources": "no CPU limit: it would only make the operator late (memory and disk are limited)",
    "pod-networkpolicy": "off by default: only the administrator knows the addresses of stores",
    "deployment-replicas": "one replica is the default: Jobs go on without it",
}


@pytest.mark.parametrize("name", VALUE_SETS)
def test_kube_score_finds_nothing_that_is_not_meant_so(name: str) -> None:
    ignored = [f"--ignore-test={check}" for check in IGNORED]
    said = run(
        [tool("kube-score"), "score", "--output-format=ci", "--kubernetes-version=v1.34", *ignored, "-"],
        stdin=template(VALUE_SETS[name]),
    )
    assert [line for line in said.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))] == []


@pytest.mark.skipif(shutil.which("kube-linter") is None, reason="there is no kube-linter on the PATH")
@pytest.mark.parametrize("name", VALUE_SETS)
def test_kube_linter_finds_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "rendered.yaml").write_text(template(VALUE_SETS[name]))
    assert "No lint errors found!" in run(["kube-linter", "lint", tmp_path])
