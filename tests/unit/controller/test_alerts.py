"""Alerts and dashboard ask for metrics that the operator has. What the alerts say of them: tests/chart."""

import json
import re

import pytest
import yaml

from hack.generate.chart import CHART
from sdg_operator.controller.metrics import Metrics

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"


def expressions() -> dict[str, str]:
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    asked = {rule["alert"]: rule["expr"] for rule in rules}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        asked |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return asked


def series() -> set[str]:
    """Names of all series that the operator shows, with the endings that their types bring."""
    metrics = Metrics()
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    return {metric.name + end for metric in metrics.registry.collect() for end in endings[metric.type]}


@pytest.mark.parametrize(("name", "expression"), expressions().items(), ids=expressions())
def test_an_expression_asks_for_metrics_that_exist(name: str, expression: str) -> None:
    asked = set(re.findall(r"\b(?:sdg_operator|process)_\w+", expression))
    assert asked
    assert asked <= series()
