"""What one DataGeneration needs next. Pure: equal snapshots and times give equal plans, so a crash replays to the same.

Phases: Pending (accept, freeze the inputs) → Generating (attempts until every leaf has its record) → Mixing → Finished.
"""

from datetime import datetime

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.names import policy_name
from sdg_operator.reconcile.plan import Action, DeleteJob, DeleteNetworkPolicy, ReleaseJob
from sdg_operator.reconcile.run_accept import accept
from sdg_operator.reconcile.run_generate import generate
from sdg_operator.reconcile.run_mix import mix
from sdg_operator.reconcile.run_status import RunPlan
from sdg_operator.reconcile.snapshot import RunSeen


def decide(seen: RunSeen, now: datetime) -> RunPlan:
    """Return the next step of a run.

    A terminal state never changes, whatever happens to the Jobs; a resource that is being deleted needs nothing, its
    Jobs go by their owner references.
    """
    if seen.deleting:
        return RunPlan(seen.status)
    if seen.status.state in TERMINAL_STATES:
        return RunPlan(seen.status, tuple(_let_go(seen)))
    known = clock.not_ahead(seen.status.cancel_time, now)
    if seen.spec.cancel and known is None and seen.status.phase not in (None, "Pending"):
        return RunPlan(seen.status.model_copy(update={"cancel_time": clock.to_text(now)}), again_seconds=0)
    match seen.status.phase:
        case None | "Pending":
            return accept(seen, now)
        case "Mixing":
            return mix(seen, now)
        case _:
            return generate(seen, now)


def _let_go(seen: RunSeen) -> list[Action]:
    """Jobs of an ended run: finished ones get their TTL and leave the watch, others must not be there."""
    ttl = seen.status.resolved.job_ttl_seconds if seen.status.resolved else seen.settings.limits.job_ttl_seconds
    actions: list[Action] = []
    for job in seen.jobs:
        if not job.owned_by(seen.owner.uid) or job.deleting:
            continue
        if job.finished is None:
            actions.append(DeleteJob(job.name, job.uid, "its run has ended"))
        elif job.watched:
            actions.append(ReleaseJob(job.name, job.uid, ttl))
    if seen.status.resolved and seen.status.resolved.network_policy:
        actions.append(DeleteNetworkPolicy(policy_name(seen.owner)))
    return actions
