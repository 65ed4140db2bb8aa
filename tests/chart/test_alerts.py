"""What the alerts say when an operator fails, by promtool. That they ask for what there is: tests/unit.

And of a run that fails on a node: tests/chart/node/test_states.py.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from hack.cluster.steps import run
from hack.cluster.tools import tool
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.controller.metrics import Metrics
from tests.chart.promtool import ALERTS, assert_failed_run_is_told, assert_holds
from tests.integration.chart.charting import VALUE_SETS, find, render


def test_the_first_run_that_fails_after_a_start_is_told(tmp_path: Path) -> None:
    """A series that begins at 1 has not increased, so what real scrapes say is tried."""
    metrics = Metrics()
    before = generate_latest(metrics.registry).decode()
    metrics.run_ended(datetime(2026, 1, 1, tzinfo=UTC), DataGenerationStatus(state="failed"))
    assert_failed_run_is_told(before, generate_latest(metrics.registry).decode(), tmp_path)


def test_an_operator_that_works_elsewhere_does_not_speak_for_this_one(tmp_path: Path) -> None:
    rule = find(render(VALUE_SETS["everything"]), "PrometheusRule")
    name = "SdgOperatorNotWorking"
    (alert,) = [each for each in rule["spec"]["groups"][0]["rules"] if each["alert"] == name]
    fires = {"exp_labels": {"severity": "critical"}, "exp_annotations": alert["annotations"]}
    series = [
        {"series": 'sdg_operator_leader{namespace="sdg-system"}', "values": "1x10 0x20"},
        {"series": 'sdg_operator_leader{namespace="elsewhere"}', "values": "1x30"},
    ]
    asked: list[dict[str, Any]] = [
        {"eval_time": "9m", "alertname": name, "exp_alerts": []},
        {"eval_time": "20m", "alertname": name, "exp_alerts": [fires]},
    ]
    assert_holds({"input_series": series, "alert_rule_test": asked}, tmp_path, rule["spec"])


def test_alerts_fire_on_the_metrics_of_a_failing_operator(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    run([tool("promtool"), "check", "rules", "--lint=all", "alerts.yaml"], cwd=tmp_path)
    assert "SUCCESS" in run([tool("promtool"), "test", "rules", "alerts_test.yaml"], cwd=tmp_path)
