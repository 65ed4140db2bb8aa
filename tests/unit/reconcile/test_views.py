"""What is read of Jobs and pods, as the API server has them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sdg_operator.reconcile.cluster import job_view, pod_view

WHEN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": "2026-01-01T12:00:00Z"}


def test_a_job_says_since_when_it_is_suspended_or_finished() -> None:
    assert job_view({"status": {"conditions": [condition("Suspended")]}}).suspended_since == WHEN
    assert job_view({"status": {"conditions": [condition("Suspended", "False")]}}).suspended_since is None
    assert job_view({"status": {"conditions": [condition("Failed")]}}).finished_at == WHEN
    assert job_view({"status": {"conditions": [condition("FailureTarget")]}}).finished_at is None


@pytest.mark.parametrize(
    ("labels", "owners", "orphaned"),
    [
        ({"batch.kubernetes.io/job-name": "a"}, [], True),
        ({"batch.kubernetes.io/job-name": "a"}, [{"kind": "Job", "name": "a", "uid": "u"}], False),
        ({"batch.kubernetes.io/job-name": "a"}, [{"kind": "ReplicaSet", "name": "a", "uid": "u"}], False),
        ({}, [], False),
    ],
)
def test_a_pod_of_a_job_without_an_owner_is_orphaned(
    labels: dict[str, str], owners: list[dict[str, str]], orphaned: bool
) -> None:
    assert pod_view({"metadata": {"labels": labels, "ownerReferences": owners}}).orphaned == orphaned
