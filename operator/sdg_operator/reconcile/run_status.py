"""The ways a run's status can be written: queued, running, ended. Everything that a user reads is worded here."""

from datetime import datetime
from typing import Any, Final, Literal

from sdg_operator.api.common import TERMINAL_STATES, Condition
from sdg_operator.api.datageneration import DataGenerationStatus, Failure
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.conditions import MESSAGE_LENGTH, Said, bounded, find, with_condition, without
from sdg_operator.reconcile.cost import counted
from sdg_operator.reconcile.plan import Action, Event, Plan
from sdg_operator.reconcile.reasons import STORAGE_TROUBLE, Reason, reason_of
from sdg_operator.reconcile.snapshot import Problem, RunSeen

RunPlan = Plan[DataGenerationStatus]

USUAL: Final = frozenset(
    {
        Reason.ACCEPTED,
        Reason.SUSPENDED,
        Reason.STARTING,
        Reason.FETCHING,
        Reason.STOPPING,
        Reason.RETRYING,
        Reason.TAXONOMY_CHECKING,
        Reason.TEACHER_LOADING,
        Reason.WAITING_IN_QUEUE,
        Reason.RUNNING,
        Reason.MIXING,
    }
)
"""Reasons that are no cause for a warning."""

FAILURE_LENGTH: Final = 4096
"""Most characters that the API takes of a failure's message."""

_MOVING: Final = frozenset(
    {Reason.STARTING, Reason.FETCHING, Reason.STOPPING, Reason.TEACHER_LOADING, Reason.IMAGE_PULL}
)
"""Reasons that pass within seconds, most often without an event about the Job."""


def queued(seen: RunSeen, now: datetime, why: Problem, **changes: Any) -> DataGenerationStatus:
    """Not at work, and why."""
    conditions = _suspended(seen, list(seen.status.conditions), now, at_rest=_at_rest(seen, now))
    said = Said("Progressing", "False", why.reason, why.message)
    return _changed(
        seen,
        now,
        state="queued",
        message=bounded(why.message),
        storage_trouble_since=_storage_trouble_since(seen, now, why.reason),
        conditions=with_condition(conditions, said, seen.generation, now),
        **changes,
    )


def running(
    seen: RunSeen,
    now: datetime,
    reason: Reason,
    message: str,
    *,
    moving: bool = True,
    beside: Problem | None = None,
    **changes: Any,
) -> DataGenerationStatus:
    """Started. `moving`: something is at work; `beside`: what holds a part of it back, told by the condition alone.

    `NoSignal` when nothing new was seen for longer than is normal for this run.
    """
    conditions = _suspended(seen, list(seen.status.conditions), now, at_rest=False)
    told = beside or Problem(reason, message)
    said = Said("Progressing", "True" if moving else "False", told.reason, told.message)
    unexplained = seen.status.phase == "Generating" and reason is Reason.RUNNING and moving
    if unexplained and seen.signal and (now - seen.signal.last).total_seconds() > seen.signal.patience_seconds:
        text = f"Nothing new was seen of the run since {clock.to_text(seen.signal.last)}."
        said = Said("Progressing", "False", Reason.NO_SIGNAL, f"{text} {beside.message}" if beside else text)
    return _changed(
        seen,
        now,
        state="running",
        message=bounded(message),
        storage_trouble_since=_storage_trouble_since(seen, now, reason),
        start_time=seen.status.start_time or clock.to_text(now),
        conditions=with_condition(conditions, said, seen.generation, now),
        **changes,
    )


def kept(seen: RunSeen, now: datetime, why: Problem, **changes: Any) -> DataGenerationStatus:
    """Stay queued or running as it is: what is seen is no evidence for the one or the other."""
    if seen.status.state == "running":
        return running(seen, now, why.reason, why.message, **changes)
    return queued(seen, now, why, **changes)


def ended(
    seen: RunSeen,
    now: datetime,
    state: Literal["completed", "failed", "canceled"],
    why: Problem,
    **changes: Any,
) -> DataGenerationStatus:
    """Over for good."""
    conditions = without(seen.status.conditions, "Suspended")
    done = "True" if state == "completed" else "False"
    said: list[Said] = [Said("Progressing", "False", why.reason, why.message)]
    said.append(Said("Complete", "True" if done == "True" else "False", why.reason, why.message))
    if state == "failed":
        said += [
            Said("Failed", "True", why.reason, why.message),
            Said("Stalled", "True", why.reason, why.message),
        ]
        changes.setdefault("failure", Failure(reason=why.reason, message=bounded(why.message, FAILURE_LENGTH)))
    for one in said:
        conditions = with_condition(conditions, one, seen.generation, now)
    return _changed(
        seen,
        now,
        state=state,
        phase="Finished",
        message=bounded(why.message),
        completion_time=clock.to_text(now),
        conditions=conditions,
        **changes,
    )


def failed(seen: RunSeen, now: datetime, failure: Failure, *after: str, **changes: Any) -> DataGenerationStatus:
    """Over without success. The failure keeps its cause at length; message and conditions have the same, cut."""
    why = Problem(reason_of(failure.reason), told(failure.message, *after))
    full = failure.model_copy(update={"message": told(failure.message, *after, length=FAILURE_LENGTH)})
    return ended(seen, now, "failed", why, failure=full, **changes)


def told(cause: str, *after: str, length: int = MESSAGE_LENGTH) -> str:
    """A cause and what follows from it. A long cause is cut, so that where to read on and how to go on are read too."""
    rest = " ".join(filter(None, after))
    return f"{bounded(cause, length - len(rest) - 1)} {rest}".strip()


def _changed(seen: RunSeen, now: datetime, **changes: Any) -> DataGenerationStatus:
    changed = seen.status.model_copy(update={"observed_generation": seen.generation, **changes})
    if changed.progress and changed.progress.seconds_left is not None and changed.state != "running":
        rest = changed.progress.model_copy(update={"seconds_left": None})  # nothing is at work
        changed = changed.model_copy(update={"progress": rest})
    return counted(seen, changed, now)


def _storage_trouble_since(seen: RunSeen, now: datetime, reason: str) -> str | None:
    """Since when bucket or Secret cannot be used: by us, or by a mix that ended so and whose like has not ended yet."""
    since, problem = clock.not_ahead(seen.status.storage_trouble_since, now), seen.ledger.problem
    if reason in STORAGE_TROUBLE or (problem is not None and problem.reason in STORAGE_TROUBLE):
        return since or clock.to_text(now)
    return since if seen.status.phase == "Mixing" and seen.status.attempt.outages > 0 else None


def _at_rest(seen: RunSeen, now: datetime) -> bool:
    """Whether nothing of the run holds a GPU or may soon: its pods are gone, and no Job makes others."""
    timeout = seen.status.resolved.node_lost_timeout_seconds if seen.status.resolved else 0
    job = seen.job
    makes_pods = job is not None and job.owned_by(seen.owner.uid) and not job.finished and not job.deleting
    return not makes_pods and not any(pod.alive and not pod.lost(now, timeout) for pod in seen.pods)


def _suspended(seen: RunSeen, conditions: list[Condition], now: datetime, *, at_rest: bool) -> list[Condition]:
    """Suspended is True once the user's wish is fulfilled, False before and after, absent if never wished."""
    honoured = bool(seen.spec.suspend) and not seen.spec.cancel and seen.status.phase in (None, "Pending", "Generating")
    if honoured and not at_rest:
        said = Said("Suspended", "False", Reason.STOPPING, "Suspended by spec.suspend once its pods are gone.")
    elif honoured:
        said = Said("Suspended", "True", Reason.SUSPENDED, "Suspended by spec.suspend.")
    elif find(conditions, "Suspended"):
        said = Said("Suspended", "False", Reason.RESUMED, "Not suspended.")
    else:
        return conditions
    return with_condition(conditions, said, seen.generation, now)


def look_again(seen: RunSeen, now: datetime, why: Problem) -> float:
    """Seconds until a waiting run is looked at again without an event.

    Soon while things move. Who has long waited for quota, a queue or a Secret is looked at less and less: ten thousand
    such runs must leave the operator time for a new one.
    """
    if why.reason in _MOVING:
        return 2.0
    waited = (now - seen.created).total_seconds()
    return min(max(waited / 10, 5.0), 30.0)


def plan(seen: RunSeen, status: DataGenerationStatus, *actions: Action, again: float | None = None) -> RunPlan:
    """A plan with the events that the change of status deserves.

    An ended run has observed every generation: suspend and cancel may still be set or taken away, by Git say, and
    nothing comes of it. kstatus would wait for ever for an operator that tells of that generation.
    """
    observed = None if status.state in TERMINAL_STATES else seen.generation
    status = status.model_copy(update={"observed_generation": observed})
    return RunPlan(status, actions, tuple(_events(seen.status, status)), again)


def _events(old: DataGenerationStatus, new: DataGenerationStatus) -> list[Event]:
    said = find(new.conditions, "Progressing")
    before = find(old.conditions, "Progressing")
    reason = said.reason if said else Reason.ACCEPTED
    if new.state == old.state and (said is None or (before is not None and before.reason == reason)):
        return []
    if new.state in TERMINAL_STATES and old.state in TERMINAL_STATES:
        return []
    warning = new.state == "failed" or (new.state != "completed" and reason not in USUAL)
    return [
        Event("Warning" if warning else "Normal", reason, bounded((said.message if said else new.message) or "", 900))
    ]
