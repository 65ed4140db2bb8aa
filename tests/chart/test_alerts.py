"""What the alerts say when an operator fails, by promtool. That they ask for what there is: tests/unit.

And of a run that fails on a node: tests/chart/node/test_states.py.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import generate_latest

from hack.cluster.steps import run
from hack.cluster.tools import tool
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.controller.metrics import Metrics
from tests.chart.promtool import ALERTS, assert_failed_run_is_told


def test_the_first_run_that_fails_after_a_start_is_told(tmp_path: Path) -> None:
    """A series that begins at 1 has not increased, so what real scrapes say is tried."""
    metrics = Metrics()
    before = generate_latest(metrics.registry).decode()
    metrics.run_ended(datetime(2026, 1, 1, tzinfo=UTC), DataGenerationStatus(state="failed"))
    assert_failed_run_is_told(before, generate_latest(metrics.registry).decode(), tmp_path)


def test_alerts_fire_on_the_metrics_of_a_failing_operator(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    run([tool("promtool"), "check", "rules", "--lint=all", "alerts.yaml"], cwd=tmp_path)
    assert "SUCCESS" in run([tool("promtool"), "test", "rules", "alerts_test.yaml"], cwd=tmp_path)
