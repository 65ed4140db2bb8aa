"""Helm 3 and Helm 4 make the same of the chart. What that is: tests/integration/chart."""

from typing import Any

import pytest
import yaml

from hack.cluster.steps import StepFailed, run
from hack.cluster.tools import tool
from hack.generate.chart import CHART
from tests.integration.chart.charting import VALUE_SETS, render, template
from tests.integration.chart.test_values import REFUSED

# What the two have read differently: a null, and an empty map in the place of a default.
NULLS: dict[str, dict[str, Any]] = {
    "no start deadline": {"settings": {"defaults": {"startDeadlineSeconds": None}}},
    "no limits but those of the engine": {"settings": {"allowed": None}},
    "no security context": {"podSecurityContext": None, "securityContext": {}},
    "the cluster's own security context": {"podSecurityContext": {}},
    "no resources": {"resources": None},
}
SETS = {**VALUE_SETS, **NULLS}


@pytest.mark.parametrize("name", SETS)
def test_helm_3_and_helm_4_make_the_same_objects(name: str) -> None:
    assert render(SETS[name], "helm3") == render(SETS[name], "helm4")


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_linter_of_helm_3_has_nothing_to_say(name: str) -> None:
    said = run([tool("helm3"), "lint", "--strict", CHART, "--values=-"], stdin=yaml.safe_dump(VALUE_SETS[name]))
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize(("values", "named"), REFUSED.values(), ids=REFUSED)
def test_helm_3_too_refuses_a_bad_value_by_its_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(StepFailed, match=named):
        template(values, "helm3")
