"""What one Taxonomy needs next: a check when its source may have changed, and the truth about the latest one.

A check is opened (its number is in the status), made (POST), noted (its Job's uid is in the status) and concluded by
the short report in the termination message of its pod. One whose spec is edited meanwhile is stopped: what a check
finds is said of no generation but its own.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal

from sdg_operator.api.taxonomy import Check, LeafCounts, SnapshotStatus, TaxonomyStatus
from sdg_operator.api.taxonomy import Problem as ProblemStatus
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.build import validate_job
from sdg_operator.reconcile.cluster import JobView
from sdg_operator.reconcile.conditions import Said, bounded, find, with_condition
from sdg_operator.reconcile.ending import ending
from sdg_operator.reconcile.keepers import all_kept_up
from sdg_operator.reconcile.plan import Action, CreateJob, DeleteJob, Event, Plan, ReleaseJob
from sdg_operator.reconcile.reasons import OBSTACLES, Reason, refusal_of_store
from sdg_operator.reconcile.resolve import taxonomy_refusal
from sdg_operator.reconcile.run_guards import has_started
from sdg_operator.reconcile.snapshot import Problem, TaxonomySeen
from sdg_operator.reconcile.why import given_up, refused_pods, silent_node, waiting
from sdg_operator.taxonomy.report import Counts, ShortReport
from sdg_operator.taxonomy.report import Problem as Found

TaxonomyPlan = Plan[TaxonomyStatus]

_SOON: Final = 2.0
_LOOK_AGAIN: Final = 10.0
_LONGEST_PAUSE: Final = 600.0
_ITS_OWN_FAULT: Final = frozenset({"InvalidTaxonomy", "NoLeaves", "ArchiveRefused", "TooLarge", "InvalidRequest"})
"""Only another content cures these; everything else is looked at again now and then, and so heals by itself."""

_UNKNOWN: Final = ""
"""Revision of a check that could read none; such a check is repeated after a pause, not compared."""


def decide(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    """Return the next step of a Taxonomy."""
    if seen.deleting:
        return TaxonomyPlan(seen.status)
    if seen.status.check.open:
        return _open(seen, now)
    if refused := taxonomy_refusal(seen.spec, seen.settings):
        return _plan(seen, _unready(seen, now, refused))
    for problem in (seen.secrets.problem, seen.source_revision.problem):
        if problem:
            return _blocked(seen, now, problem)
    if _due(seen, now):
        wait = _rest_of_the_second(seen, now)
        return _plan(seen, seen.status, again=wait) if wait else _open_next(seen, now)
    return _plan(seen, seen.status, again=_until_next_look(seen, now))


def _interval(seen: TaxonomySeen) -> float:
    return float(seen.spec.interval_seconds or seen.settings.taxonomies.interval_seconds)


def _until_next_look(seen: TaxonomySeen, now: datetime) -> float | None:
    """Seconds until a bucket is looked into again or a check is repeated, whichever comes first."""
    look = _interval(seen) if seen.spec.source.bucket else None
    repeat = _until_repeated(seen, now) or None
    return min((seconds for seconds in (look, repeat) if seconds is not None), default=None)


def _due(seen: TaxonomySeen, now: datetime) -> bool:
    """Whether the source may hold something that the latest check did not see, or that check is to be repeated."""
    status, check = seen.status, seen.status.check
    if status.checked_revision is None or check.generation != seen.generation:
        return True
    if seen.check_request and seen.check_request != check.request:
        return True
    known = status.checked_revision != _UNKNOWN
    if seen.spec.source.bucket and known and seen.source_revision.found != status.checked_revision:
        return True
    if seen.snapshot_lost and _rested(seen, now):
        return True
    if seen.spec.source.git and seen.wanted_after is not None:
        requested = clock.from_text(status.check_requested_at)
        if requested is None or requested <= seen.wanted_after:
            return True
    return check.not_before is not None and _until_repeated(seen, now) == 0


def _until_repeated(seen: TaxonomySeen, now: datetime) -> float:
    """Seconds until the latest check is repeated; a longer pause than any is of a clock that was set back since."""
    return clock.seconds_until(seen.status.check.not_before, now, max(_interval(seen), _LONGEST_PAUSE))


def _rest_of_the_second(seen: TaxonomySeen, now: datetime) -> float:
    """Seconds until a check would be known to be younger than the run that waits for it.

    The API server's times are whole seconds: of a check made in the same one nobody could tell, and a second check
    would follow. Only the first of several runs is waited for: they may come without end.
    """
    if not seen.spec.source.git or seen.wanted_since is None:
        return 0.0
    since = (now - seen.wanted_since).total_seconds()
    return 1.0 - since if 0 <= since < 1 else 0.0


def answers(seen: TaxonomySeen, plan: TaxonomyPlan, now: datetime) -> bool:
    """Whether a pass leaves nothing to be done for the runs that wait for a look at the source."""
    return not (seen.status.check.open or plan.status.check.open or _rest_of_the_second(seen, now))


def _rested(seen: TaxonomySeen, now: datetime) -> bool:
    """Whether the latest check lies an interval back, or ahead where the clock was set back since."""
    last = clock.from_text(seen.status.last_source_check_time)
    return last is None or abs((now - last).total_seconds()) >= _interval(seen)


def _open_next(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    """Open the next check: its number goes on record before its Job exists."""
    check = Check(
        open=True,
        generation=seen.generation,
        request=seen.check_request or seen.status.check.request,
        inconclusive=seen.status.check.inconclusive,
    )
    why = Problem(Reason.CHECKING, "Waiting to be checked.")
    return _plan(seen, _checking(seen, now, "queued", why, attempt=seen.status.attempt + 1, check=check), again=0)


def _open(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    status, job = seen.status, seen.job
    if status.check.generation != seen.generation:
        return _superseded(seen, now)
    if job is not None and not job.owned_by(seen.owner.uid):
        return _plan(seen, status.model_copy(update={"attempt": status.attempt + 1}), again=0)
    if status.check.job_uid is None:
        if job is None:
            return _make(seen, now)
        noted = status.check.model_copy(update={"job_uid": job.uid})
        requested = clock.to_text(job.created or now)
        return _plan(seen, status.model_copy(update={"check": noted, "check_requested_at": requested}), again=0)
    if job is not None and job.uid == status.check.job_uid and not job.finished and not job.deleting:
        return _follow(seen, now, job)
    return _conclude(seen, now)


def _superseded(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    """The spec was edited since the check was opened: whatever it finds says nothing of the spec as it is now.

    The check is only closed here. Whether another can follow, and at once, the next pass sees.
    """
    job = seen.job
    actions: tuple[Action, ...] = ()
    if job is not None and job.owned_by(seen.owner.uid) and not job.deleting:
        stop = DeleteJob(job.name, job.uid, "the spec was edited since the check began")
        actions = (_release(seen, job) if job.finished else stop,)
    closed = seen.status.check.model_copy(update={"open": False, "inconclusive": 0, "not_before": None})
    why = Problem(Reason.CHECKING, "The spec was edited; it waits to be checked.")
    return _plan(seen, _checking(seen, now, "queued", why, check=closed), *actions, again=0)


def _make(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    problem = taxonomy_refusal(seen.spec, seen.settings) or seen.secrets.problem or seen.refused
    if problem:
        return _plan(seen, _checking(seen, now, "queued", problem), again=_LOOK_AGAIN)
    why = Problem(Reason.CHECKING, "The check is being started.")
    return _plan(seen, _checking(seen, now, "queued", why), CreateJob(validate_job(seen)), again=0)


def _follow(seen: TaxonomySeen, now: datetime, job: JobView) -> TaxonomyPlan:
    mine = [pod for pod in seen.pods if pod.job_uid == job.uid]
    alive = [pod for pod in mine if pod.alive]
    if stop := _lost(seen, now) or all_kept_up(alive, now):
        told = _conclude(seen, now)
        return replace(told, actions=(*told.actions, DeleteJob(job.name, job.uid, stop.message)))
    started = bool(mine) and all(has_started(pod) for pod in alive) and not job.suspended
    why = None if job.suspended else silent_node(alive)
    if why is None and started:
        refused = None if alive else refused_pods(job, seen.events)
        why = refused or Problem(Reason.CHECKING, "The taxonomy is being checked.")
    why = why or waiting(job, seen.pods, seen.events, seen.queue_message)
    held = job.suspended or why.reason in OBSTACLES
    running = (started or seen.status.state == "running") and not held
    return _plan(seen, _checking(seen, now, "running" if running else "queued", why), again=_SOON)


def _lost(seen: TaxonomySeen, now: datetime) -> Problem | None:
    """Whether the check's pod is lost with its node: neither its Job nor the Job's deadline ends before it does."""
    timeout, uid = seen.settings.limits.node_lost_timeout_seconds, seen.status.check.job_uid
    return given_up(pod for pod in seen.pods if pod.job_uid == uid and pod.lost(now, timeout))


def _conclude(seen: TaxonomySeen, now: datetime) -> TaxonomyPlan:
    """The check's Job has finished or is gone, or nothing more will come of it."""
    job = seen.job
    release: tuple[Action, ...] = ()
    if job is not None and job.finished and job.uid == seen.status.check.job_uid:
        release = (_release(seen, job),)
    report = ShortReport.from_text(seen.report) if seen.report else None
    if report is None:
        return _inconclusive(seen, now, release)
    check = seen.status.check
    changes: dict[str, Any] = {
        "leaves": _counts(report.counts),
        "problems": _said(report.problems),
        "warnings": _said(report.warnings),
        "report_key": report.report_key,
        "checked_revision": report.revision,
        "last_source_check_time": clock.to_text(now),
    }
    closed = check.model_copy(update={"open": False, "inconclusive": 0, "not_before": None})
    if report.ok and report.digest and report.snapshot_key:
        snapshot = SnapshotStatus(
            digest=report.digest,
            key=report.snapshot_key,
            revision=report.revision,
            checked_at=seen.status.check_requested_at or clock.to_text(now),
            generation=seen.generation,
        )
        said = Said("Ready", "True", Reason.VALID, report.message)
        status = _changed(
            seen, now, said, state="completed", message=report.message, check=closed, snapshot=snapshot, **changes
        )
        return _plan(seen, status, *release, again=0)
    if report.external or report.reason not in _ITS_OWN_FAULT or report.revision == _UNKNOWN:
        pause = max(_interval(seen), _pause(check.inconclusive))
        closed = closed.model_copy(
            update={"inconclusive": check.inconclusive + 1, "not_before": clock.after(now, pause)}
        )
    reason = refusal_of_store(report.detail) if report.reason == "StorageRefused" else report.reason
    said = Said("Ready", "False", reason, report.message)
    status = _changed(seen, now, said, state="failed", message=bounded(report.message), check=closed, **changes)
    return _plan(seen, status, *release, again=0)


def _release(seen: TaxonomySeen, job: JobView) -> ReleaseJob:
    return ReleaseJob(job.name, job.uid, seen.settings.limits.job_ttl_seconds)


def _inconclusive(seen: TaxonomySeen, now: datetime, release: tuple[Action, ...]) -> TaxonomyPlan:
    """The check was not carried through: its pod was taken away or killed. Nothing is known of the taxonomy."""
    check = seen.status.check
    end = _lost(seen, now) or ending(seen.job, seen.pods, worked=True)
    pause = _pause(check.inconclusive)
    closed = check.model_copy(
        update={"open": False, "inconclusive": check.inconclusive + 1, "not_before": clock.after(now, pause)}
    )
    text = f"The check could not be carried through; it is repeated in {pause:.0f} s. {end.message}".strip()
    said = Said("Ready", "False", Reason.CHECK_INCONCLUSIVE, text)
    status = _changed(
        seen,
        now,
        said,
        state="queued",
        message=bounded(text),
        check=closed,
        checked_revision=_UNKNOWN,
        problems=[],
        warnings=[],
        report_key=None,
    )
    return _plan(seen, status, *release, again=pause)


def _pause(times: int) -> float:
    return min(5.0 * 2.0 ** min(times, 16), _LONGEST_PAUSE)


def _blocked(seen: TaxonomySeen, now: datetime, why: Problem) -> TaxonomyPlan:
    """The source or a Secret cannot be used. A store that is away for a while does not make good content bad."""
    ready = find(seen.status.conditions, "Ready")
    if why.reason is Reason.STORAGE_UNAVAILABLE and ready is not None and ready.status == "True":
        return _plan(seen, seen.status, again=_LOOK_AGAIN)
    return _plan(seen, _unready(seen, now, why), again=_LOOK_AGAIN)


def _unready(seen: TaxonomySeen, now: datetime, why: Problem) -> TaxonomyStatus:
    said = Said("Ready", "False", why.reason, why.message)
    # Once mended, the content is checked anew; and what was found in it is not why it cannot be used now.
    forgotten: dict[str, Any] = {"checked_revision": None, "problems": [], "warnings": [], "report_key": None}
    return _changed(seen, now, said, state="failed", message=bounded(why.message), **forgotten)


def _checking(
    seen: TaxonomySeen, now: datetime, state: Literal["queued", "running"], why: Problem, **changes: Any
) -> TaxonomyStatus:
    said = Said("Ready", "Unknown", why.reason, why.message)
    return _changed(seen, now, said, state=state, message=bounded(why.message), **changes)


def _changed(seen: TaxonomySeen, now: datetime, ready: Said, **changes: Any) -> TaxonomyStatus:
    conditions = with_condition(seen.status.conditions, ready, seen.generation, now)
    return seen.status.model_copy(update={"observed_generation": seen.generation, "conditions": conditions, **changes})


def _said(found: Iterable[Found]) -> list[ProblemStatus]:
    return [
        ProblemStatus(file=one.file[:512], line=one.line, column=one.column, message=one.message[:1024] or "-")
        for one in islice(found, 16)
    ]


def _counts(counts: Counts) -> LeafCounts:
    return LeafCounts(
        total=counts.leaves,
        knowledge=counts.knowledge,
        grounded=counts.grounded,
        freeform=counts.freeform,
        seed_examples=counts.seeds,
        documents=counts.documents,
        ignored=counts.ignored,
    )


def _plan(seen: TaxonomySeen, status: TaxonomyStatus, *actions: Action, again: float | None = None) -> TaxonomyPlan:
    old, new = find(seen.status.conditions, "Ready"), find(status.conditions, "Ready")
    events: tuple[Event, ...] = ()
    if new and new.status != "Unknown" and (old is None or (old.status, old.reason) != (new.status, new.reason)):
        kind: Literal["Normal", "Warning"] = "Normal" if new.status == "True" else "Warning"
        events = (Event(kind, new.reason, bounded(new.message, 900)),)
    return TaxonomyPlan(status, actions, events, again)
