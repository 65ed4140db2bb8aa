"""For how long pods of a run were at work: what `activeDeadlineSeconds` bounds."""

from datetime import datetime

from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.snapshot import RunSeen


def active_seconds(seen: RunSeen, now: datetime) -> float:
    """Seconds of active time in all attempts.

    A span that is under way lasts until now, or until the last pod of the attempt ended: for how long nobody looked at
    it after that (the operator was away, say) is no active time.
    """
    attempt = seen.status.attempt
    return attempt.active_seconds + clock.seconds_since(attempt.active_since, _until(seen, now))


def clocked(seen: RunSeen, status: DataGenerationStatus, now: datetime, *, active: bool) -> DataGenerationStatus:
    """The status with its account of active time: a span begins when a pod is at work and ends when none is."""
    attempt = status.attempt
    since = clock.from_text(attempt.active_since)
    if active and (since is None or since > now):  # one that lies ahead is of a clock that was set back since
        changes: dict[str, object] = {"active_since": clock.to_text(now)}
    elif not active and attempt.active_since is not None:
        changes = {"active_since": None, "active_seconds": int(active_seconds(seen, now))}
    else:
        return status
    return status.model_copy(update={"attempt": attempt.model_copy(update=changes)})


def _until(seen: RunSeen, now: datetime) -> datetime:
    job = seen.status.attempt.job_uid
    mine = [pod for pod in seen.pods if pod.role == "generate" and (job is None or pod.job_uid == job)]
    if any(pod.alive for pod in mine):
        return now
    ends = [container.ended for pod in mine for container in pod.containers if container.ended]
    idle = seen.job.suspended_since if seen.job and seen.job.suspended else None
    last = max(ends, default=idle)
    return min(now, last) if last else now
