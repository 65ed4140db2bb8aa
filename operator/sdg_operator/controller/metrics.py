"""What Prometheus is told. No label names a namespace or an object; docs/metrics.md describes each series."""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.reconcile import clock

_PASS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG_BUCKETS = (10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
# What a list can find; finished runs are not listed.
_LISTED = (
    *(("Taxonomy", state) for state in ("new", "queued", "running", "completed", "failed")),
    *(("DataGeneration", state) for state in ("new", "queued", "running")),
)


class Metrics:
    """All series, in a registry of their own, so that two operators in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.passes = Histogram(
            "sdg_operator_reconcile_seconds",
            "Duration of passes by kind and result (ok, retry, error).",
            ["kind", "result"],
            buckets=_PASS_BUCKETS,
            registry=self.registry,
        )
        self.events = Counter(
            "sdg_operator_watch_events", "Watch events by resource.", ["resource"], registry=self.registry
        )
        self.store_calls = Histogram(
            "sdg_operator_s3_seconds",
            "Duration of the operator's dealings with users' buckets by result (ok or the reason of the refusal).",
            ["result"],
            buckets=_PASS_BUCKETS,
            registry=self.registry,
        )
        self.objects = Gauge(
            "sdg_operator_objects",
            "Resources by kind and state, as of the latest list (finished runs are not listed).",
            ["kind", "state"],
            registry=self.registry,
        )
        self.ended = Counter(
            "sdg_operator_runs_ended", "Runs that ended, by their final state.", ["state"], registry=self.registry
        )
        self.waited = Histogram(
            "sdg_operator_run_wait_seconds",
            "Time from the creation of a run to its first time running.",
            buckets=_LONG_BUCKETS,
            registry=self.registry,
        )
        self.ran = Histogram(
            "sdg_operator_run_seconds",
            "Time from a run's first time running to its end, by its final state.",
            ["state"],
            buckets=_LONG_BUCKETS,
            registry=self.registry,
        )
        self.samples = Counter(
            "sdg_operator_samples", "Samples in the files of ended runs, by kind.", ["kind"], registry=self.registry
        )
        self.tokens = Counter(
            "sdg_operator_tokens",
            "Tokens of ended runs, by kind (prompt, completion).",
            ["kind"],
            registry=self.registry,
        )
        self.gpu_seconds = Counter(
            "sdg_operator_gpu_seconds",
            "GPU-seconds that ended runs held, by what came of them (useful, wasted).",
            ["result"],
            registry=self.registry,
        )
        self.queue_depth = Gauge("sdg_operator_queue_depth", "Resources that are due.", registry=self.registry)
        self.queue_oldest = Gauge(
            "sdg_operator_queue_oldest_seconds",
            "For how long the longest waiting resource has been due.",
            registry=self.registry,
        )
        self.queue_working = Gauge(
            "sdg_operator_queue_in_work", "Resources that are being looked at.", registry=self.registry
        )
        self.leader = Gauge(
            "sdg_operator_leader", "1 while this replica works, 0 while it waits.", registry=self.registry
        )
        self.published = Counter(
            "sdg_operator_events",
            "Kubernetes events by result (new, repeated, dropped).",
            ["result"],
            registry=self.registry,
        )

        # A counter that appears with its first value has not increased, so an alert would not see the first failure.
        for state in sorted(TERMINAL_STATES):
            self.ended.labels(state)
        for kind in ("knowledge", "skills"):
            self.samples.labels(kind)
        for kind in ("prompt", "completion"):
            self.tokens.labels(kind)
        for result in ("useful", "wasted"):
            self.gpu_seconds.labels(result)
        for result in ("new", "repeated", "dropped"):
            self.published.labels(result)
        self.show_objects({})

    def show_objects(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Take in what a list found, by kind and state. None is told as 0: no data means no operator."""
        self.objects.clear()
        for kind, state in {*_LISTED, *counts}:
            self.objects.labels(kind, state).set(counts.get((kind, state), 0))

    def show_queue(self, *, ready: int, oldest_seconds: float, working: int) -> None:
        """Take in the queue as it is; called right before each scrape."""
        self.queue_depth.set(ready)
        self.queue_oldest.set(oldest_seconds)
        self.queue_working.set(working)

    def run_ended(self, created: datetime, status: DataGenerationStatus) -> None:
        """Count a run whose end has just been written."""
        state = status.state or ""
        started, completed = clock.from_text(status.start_time), clock.from_text(status.completion_time)
        self.ended.labels(state).inc()
        if started:
            self.waited.observe(max(0.0, (started - created).total_seconds()))
        if started and completed:
            self.ran.labels(state).observe(max(0.0, (completed - started).total_seconds()))
        if status.data_metrics:
            made, spent = status.data_metrics.samples, status.data_metrics.tokens
            self.samples.labels("knowledge").inc(made.knowledge)
            self.samples.labels("skills").inc(made.skills)
            self.tokens.labels("prompt").inc(spent.prompt)
            self.tokens.labels("completion").inc(spent.completion)

        if status.cost:
            self.gpu_seconds.labels("wasted").inc(status.cost.wasted_gpu_seconds)
            self.gpu_seconds.labels("useful").inc(status.cost.gpu_seconds - status.cost.wasted_gpu_seconds)

    def store_call(self, result: str, seconds: float) -> None:
        self.store_calls.labels(result).observe(seconds)
