"""What a run has taken of the cluster: GPU-seconds held and wasted, tokens a second, and what that costs.

GPU-seconds are counted along the clock: each pass adds what pods held since the time up to which the status has
counted, so nothing is counted twice, whatever pods and attempts overlap, and what happened while the operator was away
is made up for from the times in the pods. Only pods that came and were removed unseen are not counted.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sdg_operator.api.datageneration import Cost, DataGenerationStatus, Resolved
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.active import active_seconds
from sdg_operator.reconcile.cluster import PodView
from sdg_operator.reconcile.price import pod_limits
from sdg_operator.reconcile.snapshot import RunSeen

_QUIET_SECONDS: Final = 60
"""While nothing else changes, the count is written no more often."""
_GOING_SECONDS: Final = 10
"""The same while pods are being stopped: what they held since is not counted once they are gone."""
_NO_DEVICES: Final = ("rdma/", "openshift.io/")
"""Prefixes of resources that are networks, not accelerators."""
_PARTS: Final = re.compile(r"mem|cores$|-core$|percent")
"""In names of what schedulers of shared GPUs (HAMi, Volcano) count beside the GPU: its memory and its cores."""

Span = tuple[datetime, datetime]


def gpus(resolved: Resolved) -> int:
    """Accelerators of one generate pod: every resource with a domain, but for networks and parts of accelerators."""
    limits = pod_limits(resolved.engine_resources, resolved.teacher.server if resolved.teacher else None)
    return sum(int(amount) for name, amount in limits if _is_device(name))


def _is_device(resource: str) -> bool:
    domain, _, name = resource.rpartition("/")
    return bool(domain) and not resource.startswith(_NO_DEVICES) and not _PARTS.search(name)


def counted(seen: RunSeen, status: DataGenerationStatus, now: datetime) -> DataGenerationStatus:
    """The status with what was taken up to now; as it is where nothing was, or where counting alone would change it
    and did so a moment ago."""
    before = status.cost or Cost()
    until, since = now.replace(microsecond=0), clock.from_text(before.counted_until)
    going = any(pod.alive and pod.deletion is not None for pod in seen.pods)
    quiet = timedelta(seconds=_GOING_SECONDS if going else _QUIET_SECONDS)
    moment = since is not None and until < since + quiet
    if status.resolved is None or (status == seen.status and moment):
        return status
    held, idle = _held(seen, status.resolved, since, until)
    rate = _rate(seen, status, now)
    changes: dict[str, object] = {"tokens_per_second": before.tokens_per_second if rate is None else rate}
    if held:
        changes |= {
            "gpu_seconds": before.gpu_seconds + held,
            "wasted_gpu_seconds": before.wasted_gpu_seconds + idle,
            "price": _price(status.resolved, before.gpu_seconds + held),
            "counted_until": clock.to_text(until),
        }
    after = before.model_copy(update=changes)
    return status if after == Cost() else status.model_copy(update={"cost": after})


def judged(status: DataGenerationStatus, *, fruitful: bool) -> DataGenerationStatus:
    """The status of an attempt that is over: all that it held was in vain where it made no sample."""
    cost = status.cost
    if cost is None or fruitful:
        return status
    wasted = max(cost.wasted_gpu_seconds, cost.gpu_seconds - status.attempt.useful_gpu_seconds_before)
    return status.model_copy(update={"cost": cost.model_copy(update={"wasted_gpu_seconds": wasted})})


def useful(status: DataGenerationStatus) -> int:
    """GPU-seconds that were not wasted so far."""
    return status.cost.gpu_seconds - status.cost.wasted_gpu_seconds if status.cost else 0


def _held(seen: RunSeen, resolved: Resolved, since: datetime | None, until: datetime) -> tuple[int, int]:
    """GPU-seconds from `since` to `until`: those held, and of these those beside an engine that was not at work."""
    of_pod = gpus(resolved)
    if not of_pod:
        return 0, 0
    held = idle = 0.0
    for pod in seen.pods:
        if pod.role != "generate" or pod.lost(until, resolved.node_lost_timeout_seconds):
            continue
        for there in _within(_on_node(pod, until), since, until):
            whole = _seconds(there)
            held += whole
            idle += whole - sum(_seconds(span) for span in _within(_at_work(pod, until), *there))
    return int(held) * of_pod, int(idle) * of_pod


def _on_node(pod: PodView, until: datetime) -> Span | None:
    """From when the pod was given its node to when its last container ended: so long the kubelet keeps its devices."""
    if pod.scheduled_since is None:
        return None
    ends = [container.ended for container in pod.containers if container.ended]
    return pod.scheduled_since, until if pod.alive else max(ends, default=pod.scheduled_since)


def _at_work(pod: PodView, until: datetime) -> Span | None:
    main = pod.main
    return (main.began, main.ended or until) if main and main.began else None


def _within(span: Span | None, since: datetime | None, until: datetime) -> Iterator[Span]:
    if span is not None:
        first, last = max(span[0], since or span[0]), min(span[1], until)
        if first < last:
            yield first, last


def _seconds(span: Span) -> float:
    return (span[1] - span[0]).total_seconds()


def _rate(seen: RunSeen, status: DataGenerationStatus, now: datetime) -> int | None:
    """Tokens that the teacher made for this run, a second of active time. Leaves that were taken over cost nothing."""
    ledger = seen.ledger.found
    active = active_seconds(seen, now)
    if ledger is None or status.phase != "Generating" or status.progress is None or active < 1:
        return None
    taken_over = sum(record.tokens.completion for record in ledger.records if record.attempt == 0)
    return max(0, round((status.progress.tokens - taken_over) / active))


def _price(resolved: Resolved, gpu_seconds: int) -> str | None:
    """By the price of a pod's hour, which was frozen with the run's settings: a number and a currency."""
    if resolved.pod_hour_price is None:
        return None
    number, _, currency = resolved.pod_hour_price.partition(" ")
    price = Decimal(number) * gpu_seconds / gpus(resolved) / 3600
    return f"{price.quantize(Decimal('0.01')):f} {currency}"
