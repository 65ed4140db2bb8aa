"""From the last attempt to the end: freeze what to mix and how the run will end, or end it with nothing to mix."""

from datetime import datetime
from typing import Final, Literal

from sdg_operator.api.datageneration import Failure
from sdg_operator.reconcile import clock, leaves
from sdg_operator.reconcile.active import active_seconds
from sdg_operator.reconcile.cost import judged
from sdg_operator.reconcile.plan import PutObject
from sdg_operator.reconcile.reasons import STORAGE_TROUBLE, Reason
from sdg_operator.reconcile.run_progress import fruitful, progress
from sdg_operator.reconcile.run_status import FAILURE_LENGTH, RunPlan, ended, failed, kept, plan, running
from sdg_operator.reconcile.snapshot import Problem, RunSeen
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.ledger import Standing, plan_mix
from sdg_operator.storage.records import MixPlan

CANCEL_BOUND_SECONDS: Final = 120.0
"""A canceled run whose bucket or Secret cannot be used for so long ends without mixed files. For a node, an image or a
queue it waits like any other: its samples are there."""

_LOOK_AGAIN: Final = 10.0

Outcome = Literal["completed", "failed", "canceled"]


def close(seen: RunSeen, now: datetime, at: Standing) -> RunPlan:
    """All pods are gone and no attempt follows."""
    outcome, failure = _outcome(seen, at)
    resolved, inputs = seen.status.resolved, seen.inputs
    if resolved is None or inputs is None:  # pragma: no cover - a run closes only after it was accepted
        raise AssertionError("a run was closed before it was accepted")
    merged = seen.merge_plan
    if seen.status.merge_digest and merged is None:
        why = seen.ledger.problem or Problem(Reason.INPUTS_LOST, "The frozen choice of what to merge cannot be read.")
        return cut_off(seen, now, why) or plan(seen, kept(seen, now, why), again=_LOOK_AGAIN)
    mix = plan_mix(inputs, at, merged)
    if not mix.sources and not mix.files:
        return _nothing_to_mix(seen, now, at, failure)
    body = mix.to_json()
    digest = leaves.digest(body)
    attempt = seen.status.attempt
    spent = int(active_seconds(seen, now))
    status = running(
        seen,
        now,
        Reason.MIXING,
        _what(mix),
        phase="Mixing",
        outcome=outcome,
        failure=failure,
        mix_digest=digest,
        progress=progress(seen, at, now),
        attempt=attempt.model_copy(
            update={
                "active_since": None,
                "active_seconds": spent,
                "mix_number": 1,
                "outages": 0,
                "disruptions": 0,
                "not_before": None,
            }
        ),
    )
    status = judged(status, fruitful=fruitful(seen, at, now))
    layout = RunLayout.of(resolved.prefix, seen.owner.uid)
    # A merge, or a run that took over every leaf, had no attempt that wrote the inputs, which the mix reads too.
    given = PutObject(layout.inputs, inputs.to_json())
    return plan(seen, status, given, PutObject(layout.frozen(digest), body), again=0)


def _what(mix: MixPlan) -> str:
    files = f" and {len(mix.files)} training files" if mix.files else ""
    return f"Mixing the samples of {len(mix.sources)} leaves{files}."


def _outcome(seen: RunSeen, at: Standing) -> tuple[Outcome, Failure | None]:
    """How the run will end. A wish to cancel comes too late once every leaf has its record."""
    resolved = seen.status.resolved
    allowed = resolved.max_failed_leaves if resolved else 0
    if at.complete:
        if len(at.failed) <= allowed:
            return "completed", None
        first = at.failed[0]
        record = at.chosen[first.id]
        said = record.message or record.reason or "it cannot be made"
        text = f"{len(at.failed)} leaves cannot be made (maxFailedLeaves is {allowed}). {first.path}: {said}"
        return "failed", Failure(reason=Reason.LEAVES_FAILED, message=text[:FAILURE_LENGTH], leaf=first.path[:1024])
    if seen.spec.cancel:
        return "canceled", None
    return "failed", seen.status.failure or Failure(reason=Reason.NO_PROGRESS, message="Leaves are missing.")


def _nothing_to_mix(seen: RunSeen, now: datetime, at: Standing, failure: Failure | None) -> RunPlan:
    if seen.spec.cancel and not at.complete:
        why = Problem(Reason.CANCELED, "Canceled before any leaf was finished; there is nothing to mix.")
        status = ended(seen, now, "canceled", why, failure=None)
    else:
        failure = failure or Failure(reason=Reason.EMPTY_RESULT, message="No leaf gave a sample.")
        status = failed(seen, now, failure, logs(seen))
    return plan(seen, judged(status, fruitful=False))


def cut_off(seen: RunSeen, now: datetime, why: Problem) -> RunPlan | None:
    """End a run whose frozen inputs are lost for good, or a canceled one whose bucket cannot be used for too long;
    None while it is to be waited for, as for all else."""
    status = seen.status
    if why.final and not seen.spec.cancel:
        lost = Failure(reason=why.reason, message=why.message[:FAILURE_LENGTH])
        also = (unmixed(why.message),) if status.failure else ()
        return plan(seen, failed(seen, now, status.failure or lost, *also, continue_hint(seen)))
    if not seen.spec.cancel or why.reason not in STORAGE_TROUBLE:
        return None
    waited = (clock.seconds_since(since, now) for since in (status.cancel_time, status.storage_trouble_since))
    if min(waited) < CANCEL_BOUND_SECONDS:
        return None
    if status.phase == "Mixing" and status.failure:  # it had failed before
        return plan(seen, failed(seen, now, status.failure, unmixed(why.message), continue_hint(seen)))
    text = f"Canceled. {unmixed(why.message)}"
    return plan(seen, ended(seen, now, "canceled", Problem(Reason.FILES_NOT_MIXED, text), failure=None))


def unmixed(why: str) -> str:
    """What to say of a run whose mix does not come about."""
    return f"The finished samples could not be mixed: {why}"


def logs(seen: RunSeen) -> str:
    """Where to read on."""
    out = seen.status.output
    return f"Logs: s3://{out.bucket}/{out.prefix}/logs/." if out else ""


def continue_hint(seen: RunSeen) -> str:
    """How to go on after a failure without paying twice."""
    return (
        f"To go on with only what is missing, create a new DataGeneration with spec.reuse: {{name: {seen.owner.name}}}."
    )
