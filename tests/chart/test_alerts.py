"""Alerts and dashboard ask for metrics that exist, and alerts say what they should when an operator fails."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from hack.cluster.steps import run
from hack.cluster.tools import tool
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.controller.metrics import Metrics
from tests.chart.charting import CHART

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


def scraped(metrics: Metrics, name: str) -> dict[str, float]:
    """What a scrape says of a series now, by its name with labels."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)}


@pytest.mark.integration
def test_the_first_run_that_fails_after_a_start_is_told(tmp_path: Path) -> None:
    """A series that begins at 1 has not increased, so what real scrapes say is tried."""
    metrics = Metrics()
    before = scraped(metrics, "sdg_operator_runs_ended_total")
    metrics.run_ended(datetime(2026, 1, 1, tzinfo=UTC), DataGenerationStatus(state="failed"))
    after = scraped(metrics, "sdg_operator_runs_ended_total")
    series = [{"series": name, "values": f"{before.get(name, '_')}x10 {value}x20"} for name, value in after.items()]
    asked = {"eval_time": "9m", "alertname": "SdgOperatorRunFailed", "exp_alerts": []}
    rule = next(r for r in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"] if r["alert"] == asked["alertname"])
    fires = {"exp_labels": {"severity": "info", "state": "failed"}, "exp_annotations": rule["annotations"]}
    tests = [
        {
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": [asked, asked | {"eval_time": "12m", "exp_alerts": [fires]}],
        }
    ]
    shutil.copy(ALERTS, tmp_path)
    (tmp_path / "scraped.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": tests}))
    assert "SUCCESS" in run([tool("promtool"), "test", "rules", "scraped.yaml"], cwd=tmp_path)


@pytest.mark.integration
def test_alerts_fire_on_the_metrics_of_a_failing_operator(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    run([tool("promtool"), "check", "rules", "--lint=all", "alerts.yaml"], cwd=tmp_path)
    said = run([tool("promtool"), "test", "rules", "alerts_test.yaml"], cwd=tmp_path)
    assert "SUCCESS" in said
