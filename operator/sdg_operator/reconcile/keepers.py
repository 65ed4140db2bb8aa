"""Containers that a webhook or policy added to pods of ours, and that run on when all work in the pod is done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sdg_operator.reconcile.cluster import PodView
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Problem

_PATIENCE_SECONDS: Final = 30.0
"""How long they may take to notice that they are alone. By the node's clock: one that differs makes this longer or
shorter, and a pod that is stopped has its grace all the same."""


def kept_up(pods: Sequence[PodView], now: datetime) -> Problem | None:
    """Name what keeps one of these pods, which nothing but us will end."""
    for pod in pods:
        names = [container.name for container in pod.keepers]
        ended = pod.main.ended if pod.main else None
        if names and pod.deletion is None and ended and (now - ended).total_seconds() > _PATIENCE_SECONDS:
            what = f"container {names[0]} keeps" if len(names) == 1 else f"containers {', '.join(names)} keep"
            text = f"The work of pod {pod.name} is done, but its {what} it, which this operator did not put there."
            return Problem(Reason.FOREIGN_CONTAINER, text)
    return None


def all_kept_up(pods: Sequence[PodView], now: datetime) -> Problem | None:
    """Name what keeps all of these pods, so that no work is lost if they are stopped."""
    found = [kept_up([pod], now) for pod in pods]
    return found[0] if found and all(found) else None
