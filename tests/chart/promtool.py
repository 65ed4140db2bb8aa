"""What the alert of a failed run says of two real scrapes of an operator's metrics, by promtool."""

from pathlib import Path
from typing import Any, Final

import yaml

from hack.cluster.steps import run
from hack.cluster.tools import tool
from hack.generate.chart import CHART

ALERTS: Final = CHART / "files" / "alerts.yaml"
_ALERT: Final = "SdgOperatorRunFailed"
_SERIES: Final = "sdg_operator_runs_ended_total"


def assert_failed_run_is_told(before: str, after: str, folder: Path) -> None:
    """The alert is silent as long as scrapes read as `before`, and fires once they read as `after`."""
    earlier, later = _series(before), _series(after)
    series = [{"series": name, "values": f"{earlier.get(name, '_')}x10 {value}x20"} for name, value in later.items()]
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    annotations = next(rule for rule in rules if rule["alert"] == _ALERT)["annotations"]
    fires = {"exp_labels": {"severity": "info", "state": "failed"}, "exp_annotations": annotations}
    silent: dict[str, Any] = {"eval_time": "9m", "alertname": _ALERT, "exp_alerts": []}
    asked = [silent, silent | {"eval_time": "12m", "exp_alerts": [fires]}]
    assert_holds({"input_series": series, "alert_rule_test": asked}, folder, yaml.safe_load(ALERTS.read_text()))


def assert_holds(test: dict[str, Any], folder: Path, rules: dict[str, Any]) -> None:
    """A unit test of promtool holds for these rules; its interval is a minute."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    whole = {"rule_files": ["rules.yaml"], "tests": [{"interval": "1m", **test}]}
    (folder / "test.yaml").write_text(yaml.safe_dump(whole))
    assert "SUCCESS" in run([tool("promtool"), "test", "rules", "test.yaml"], cwd=folder)


def _series(scrape: str) -> dict[str, float]:
    """The counters of ended runs by name with labels."""
    lines = [line for line in scrape.splitlines() if line.startswith(_SERIES)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
