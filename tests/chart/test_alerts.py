"""What the alerts say when an operator fails, by promtool. That they ask for what there is: tests/unit."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from hack.cluster.steps import run
from hack.cluster.tools import tool
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.controller.metrics import Metrics
from tests.integration.chart.charting import CHART

ALERTS = CHART / "files" / "alerts.yaml"


def scraped(metrics: Metrics, name: str) -> dict[str, float]:
    """What a scrape says of a series now, by its name with labels."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)}


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


def test_alerts_fire_on_the_metrics_of_a_failing_operator(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    run([tool("promtool"), "check", "rules", "--lint=all", "alerts.yaml"], cwd=tmp_path)
    said = run([tool("promtool"), "test", "rules", "alerts_test.yaml"], cwd=tmp_path)
    assert "SUCCESS" in said
