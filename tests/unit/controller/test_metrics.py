"""What Prometheus is told."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sdg_operator.api.datageneration import DataGenerationStatus, DataMetrics, SampleMetrics, TokenMetrics
from sdg_operator.api.kinds import KINDS
from sdg_operator.controller.metrics import Metrics

ROOT = Path(__file__).parents[3]
CREATED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_the_documentation_lists_every_series_and_no_other() -> None:
    ours = {family.name for family in Metrics().registry.collect() if family.name.startswith("sdg_operator_")}
    text = (ROOT / "docs/metrics.md").read_text()
    assert set(re.findall(r"^\| `(sdg_operator_\w+)`", text, re.MULTILINE)) == ours


def test_no_series_has_a_label_that_names_an_object() -> None:
    metrics = Metrics()
    metrics.run_ended(CREATED, DataGenerationStatus(state="completed"))
    metrics.store_call("ok", 0.1)
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    assert labels <= {"kind", "state", "result", "resource", "le"}


def test_an_ended_run_counts_its_times_samples_and_tokens() -> None:
    metrics = Metrics()
    metrics.run_ended(
        CREATED,
        DataGenerationStatus(
            state="completed",
            start_time="2026-01-01T12:01:00Z",
            completion_time="2026-01-01T13:01:00Z",
            data_metrics=DataMetrics(
                samples=SampleMetrics(knowledge=3, skills=4, total=7),
                tokens=TokenMetrics(prompt=5, completion=6, total=11),
            ),
        ),
    )
    value = metrics.registry.get_sample_value
    assert value("sdg_operator_runs_ended_total", {"state": "completed"}) == 1
    assert value("sdg_operator_run_wait_seconds_sum") == 60
    assert value("sdg_operator_run_seconds_sum", {"state": "completed"}) == 3600
    assert value("sdg_operator_samples_total", {"kind": "knowledge"}) == 3
    assert value("sdg_operator_tokens_total", {"kind": "completion"}) == 6


def test_counters_are_there_before_they_count() -> None:
    value = Metrics().registry.get_sample_value
    for state in ("completed", "failed", "canceled"):
        assert value("sdg_operator_runs_ended_total", {"state": state}) == 0
    for name, kind in [("samples", "knowledge"), ("samples", "skills"), ("tokens", "prompt"), ("tokens", "completion")]:
        assert value(f"sdg_operator_{name}_total", {"kind": kind}) == 0


def test_a_state_that_nothing_is_in_is_told_as_0() -> None:
    metrics = Metrics()
    queued = {"kind": "DataGeneration", "state": "queued"}
    counts = []
    for found in ({}, {("DataGeneration", "queued"): 2}, {}):
        metrics.show_objects(found)
        counts.append(metrics.registry.get_sample_value("sdg_operator_objects", queued))
    assert counts == [0, 2, 0]
    assert metrics.registry.get_sample_value("sdg_operator_objects", {"kind": "Taxonomy", "state": "failed"}) == 0


def test_a_state_of_another_version_is_told_only_while_something_is_in_it() -> None:
    metrics = Metrics()
    metrics.show_objects({("Taxonomy", "sleeping"): 1})
    metrics.show_objects({})
    assert metrics.registry.get_sample_value("sdg_operator_objects", {"kind": "Taxonomy", "state": "sleeping"}) is None


def test_a_run_that_never_ran_counts_no_running_time() -> None:
    metrics = Metrics()
    metrics.run_ended(CREATED, DataGenerationStatus(state="failed", completion_time="2026-01-01T13:01:00Z"))
    assert metrics.registry.get_sample_value("sdg_operator_runs_ended_total", {"state": "failed"}) == 1
    assert metrics.registry.get_sample_value("sdg_operator_run_wait_seconds_count") == 0


def test_kube_state_metrics_is_pointed_at_fields_that_exist() -> None:
    config = yaml.safe_load((ROOT / "examples/kube-state-metrics/custom-resource-state.yaml").read_text())
    models = {kind.name: kind.status for kind in KINDS}
    paths = [
        (
            resource["groupVersionKind"]["kind"],
            next(iter(metric["each"][key] for key in ("gauge", "stateSet") if key in metric["each"])),
        )
        for resource in config["spec"]["resources"]
        for metric in resource["metrics"]
    ]
    assert paths
    for kind, place in paths:
        schema: dict[str, Any] = models[kind].model_json_schema(by_alias=True)
        at = schema
        for step in place["path"][1:]:
            at = _field(schema, at, step)


def _field(schema: dict[str, Any], at: dict[str, Any], name: str) -> dict[str, Any]:
    """A property of an object of a JSON schema, through references and what may be null."""
    for choice in at.get("anyOf", [at]):
        target = schema["$defs"][choice["$ref"].rpartition("/")[2]] if "$ref" in choice else choice
        if name in target.get("properties", {}):
            found: dict[str, Any] = target["properties"][name]
            return found
    raise AssertionError(f"there is no field {name}")
