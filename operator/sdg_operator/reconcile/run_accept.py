"""Pending: is there everything that the run needs? Then freeze its inputs. No GPU is asked for before."""

from collections.abc import Iterator
from datetime import datetime

from sdg_operator.api.datageneration import OutputStatus
from sdg_operator.api.taxonomy import TaxonomyStatus
from sdg_operator.reconcile import clock, leaves
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.plan import CopySnapshot, PutObject, PutObjects
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.resolve import choose, refusal, resolve, resolved_teacher, taxonomy_storage
from sdg_operator.reconcile.run_status import RunPlan, ended, look_again, plan, queued
from sdg_operator.reconcile.snapshot import Merge, Problem, RunSeen, TaxonomyFound
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import LeafRecord, MixPlan, RunInputs

_CHECKING_SECONDS = 1.0


def accept(seen: RunSeen, now: datetime) -> RunPlan:
    """Take the run in, or say what it waits for."""
    if seen.spec.cancel:
        why = Problem(Reason.CANCELED, "Canceled before any sample was made.")
        return plan(seen, ended(seen, now, "canceled", why))
    refused = refusal(seen.spec, seen.settings)
    if refused:
        return plan(seen, ended(seen, now, "failed", refused))
    if seen.spec.suspend:
        why = Problem(Reason.SUSPENDED, "Suspended before it was started.")
        return plan(seen, queued(seen, now, why, phase="Pending"))
    for problem in _problems(seen):
        if problem.final:
            return plan(seen, ended(seen, now, "failed", problem))
        checking = problem.reason is Reason.TAXONOMY_CHECKING
        again = _CHECKING_SECONDS if checking else look_again(seen, now, problem)
        return plan(seen, queued(seen, now, problem, phase="Pending"), again=again)
    return _freeze(seen, now)


def pinned(asked: str | None, taxonomy: TaxonomyFound, created: datetime) -> str | Problem:
    """Return the digest of the snapshot to use, or why there is none yet.

    Never a snapshot of an older generation, nor one whose source was not looked at after the run was created: a bucket
    source was (the ETag was read in this very pass), and for Git the check's Job must be younger than the run, both
    by the API server's clock.
    """
    if asked:
        return asked
    status, name = taxonomy.status, taxonomy.name
    if checking := _checking(taxonomy, created):
        return Problem(Reason.TAXONOMY_CHECKING, checking)
    ready = find(status.conditions, "Ready")
    if ready is None or ready.status != "True" or status.snapshot is None:
        said = (ready.message if ready else None) or status.message or "it has not been checked"
        return Problem(Reason.TAXONOMY_NOT_READY, f"Taxonomy {name} cannot be used: {said}")
    return status.snapshot.digest


def _checking(taxonomy: TaxonomyFound, created: datetime) -> str | None:
    status, name = taxonomy.status, taxonomy.name
    if status.check.open or status.check.generation != taxonomy.generation:
        return f"Taxonomy {name} is being checked.{_obstacle(status)}"
    if taxonomy.spec.source.bucket and taxonomy.source_revision != status.checked_revision:
        what = f"The source of Taxonomy {name} has changed and" if status.checked_revision else f"Taxonomy {name}"
        return f"{what} is being checked.{_obstacle(status)}"
    if taxonomy.spec.source.git:
        checked = clock.from_text(status.check_requested_at)
        if checked is None or checked <= created:
            return f"The repository of Taxonomy {name} is being looked at anew.{_obstacle(status)}"
    return None


def _obstacle(status: TaxonomyStatus) -> str:
    """Why a check does not come about, in the Taxonomy's own words; what an older check found is no reason."""
    ready = find(status.conditions, "Ready")
    if ready is None or ready.status == "True" or ready.reason == Reason.CHECKING:
        return ""
    return f" {ready.message}" if ready.status == "Unknown" or not status.checked_revision else ""


def _problems(seen: RunSeen) -> Iterator[Problem]:
    around = seen.surroundings
    if around.taxonomy.problem:
        yield around.taxonomy.problem
    if around.taxonomy.found:
        digest = pinned(asked_digest(seen), around.taxonomy.found, seen.created)
        if isinstance(digest, Problem):
            yield digest
    for look in (around.storage, around.index, around.teacher, around.pipeline_files, around.reuse, around.merge):
        if look.problem:
            yield look.problem
    if around.index.found is not None and not leaves.select(around.index.found, seen.spec.leaves):
        yield Problem(
            Reason.NO_LEAVES,
            f"None of the {len(around.index.found.leaves)} leaves of the taxonomy matches spec.leaves; "
            "a pattern is a folder of the taxonomy, for example knowledge/science/*.",
            final=True,
        )


def asked_digest(seen: RunSeen) -> str | None:
    return seen.spec.taxonomy_ref.digest if seen.spec.taxonomy_ref else None


def _freeze(seen: RunSeen, now: datetime) -> RunPlan:
    around, spec = seen.surroundings, seen.spec
    taxonomy, index, bucket = around.taxonomy.found, around.index.found, around.storage.found
    if bucket is None or (spec.taxonomy_ref and (taxonomy is None or index is None)):
        raise AssertionError("a run was accepted without its surroundings")
    snapshot = pinned(asked_digest(seen), taxonomy, seen.created) if taxonomy else None
    if isinstance(snapshot, Problem):
        raise AssertionError(snapshot.message)
    own_secret = taxonomy.spec.storage_secret_name if taxonomy else None
    choice = choose(spec, own_secret, seen.settings, seen.queue_name, seen.queue_priority)
    files = around.pipeline_files.found or {}
    digest = leaves.digest(repr(sorted(files.items())).encode()) if files else None
    teacher = resolved_teacher(choice, around.teacher.found) if taxonomy else None
    resolved = resolve(spec, seen.settings, choice, teacher, digest)
    settings = leaves.sample_settings(resolved, files)
    chosen = leaves.select(index, spec.leaves) if index else ()
    inputs = leaves.run_inputs(seen.owner, snapshot, resolved, settings, chosen)
    layout = RunLayout.of(resolved.prefix, seen.owner.uid)
    merge = around.merge.found or Merge()
    reused = _reused(inputs, around.reuse.found or (), layout)
    frozen = _Frozen(layout)
    inputs_digest = frozen.add(inputs)
    text = f"Accepted: {len(chosen)} leaves of snapshot {snapshot}." if snapshot else "Accepted: a merge."
    status = queued(
        seen,
        now,
        Problem(Reason.ACCEPTED, text),
        phase="Generating",
        snapshot_digest=snapshot,
        resolved=resolved,
        plan=leaves.plan(chosen, settings, len(reused.objects), merge),
        inputs_digest=inputs_digest,
        merge_digest=frozen.add(merge.plan) if spec.data_sources else None,
        output=OutputStatus(bucket=bucket, prefix=layout.root),
    )
    home = taxonomy_storage(taxonomy.spec, seen.settings) if taxonomy else choice.storage_secret
    copy = [CopySnapshot(snapshot, home, choice.storage_secret)] if snapshot and home != choice.storage_secret else []
    taken = [reused] if reused.objects else []
    return plan(seen, status, *copy, *taken, *frozen.actions, again=0)


class _Frozen:
    """Collects the copies under their own digest that the operator reads back."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self.actions: list[PutObject] = []

    def add(self, record: RunInputs | MixPlan) -> str:
        body = record.to_json()
        digest = leaves.digest(body)
        self.actions.append(PutObject(self._layout.frozen(digest), body))
        return digest


def _reused(inputs: RunInputs, records: tuple[LeafRecord, ...], layout: RunLayout) -> PutObjects:
    """Records of another run's leaves, taken over where everything that they depend on is the same."""
    wanted = {leaf.id: leaf.input_digest for leaf in inputs.leaves}
    best: dict[str, LeafRecord] = {}
    for record in sorted(records, key=lambda r: (r.leaf, r.attempt, r.pod)):
        if record.outcome == "done" and wanted.get(record.leaf) == record.input_digest:
            best.setdefault(record.leaf, record)
    return PutObjects(
        tuple(
            PutObject(
                layout.leaf_record(leaf, 0, "reused"),
                record.model_copy(update={"attempt": 0, "pod": "reused"}).to_json(),
            )
            for leaf, record in sorted(best.items())
        )
    )
