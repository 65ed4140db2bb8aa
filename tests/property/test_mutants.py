"""The property test is itself tested: each of these mistakes in a decision must break it.

It tries the same examples as without the mistake, where all of them pass: what breaks is broken by the mistake.
"""

from pathlib import Path

import pytest

from tests.property.mutants import Mutant, assert_found, cases

MUTANTS = [
    Mutant(
        "a Job is made while pods of an earlier attempt are alive",
        "run_generate.py",
        "    if run.alive:\n        gone = Problem(",
        "    if False:\n        gone = Problem(",
        in_gate=True,
    ),
    Mutant(
        "the number of an attempt is not put on record before its Job is made",
        "run_next.py",
        '            "number": run.attempt.number + 1,',
        '            "number": max(1, run.attempt.number),',
        in_gate=True,
    ),
    Mutant(
        "a Job that has the name is taken for ours without asking whose it is",
        "run_generate.py",
        "foreign = job is not None and not job.owned_by(seen.owner.uid)",
        "foreign = False",
    ),
    Mutant(
        "a Job's success counts as the leaves' being done",
        "run_generate.py",
        "    if run.standing.complete or seen.spec.cancel",
        '    if run.standing.complete or (seen.job and seen.job.finished == "Complete") or seen.spec.cancel',
        in_gate=True,
    ),
    Mutant(
        "all leaves are dealt out again, not only the missing ones",
        "run_generate.py",
        "plan_attempt(run.attempt.number, run.standing.missing,",
        "plan_attempt(run.attempt.number, inputs.leaves,",
        in_gate=True,
    ),
    Mutant(
        "a suspended run is started anew",
        "run_generate.py",
        '    if seen.spec.suspend:\n        why = Problem(Reason.SUSPENDED, "Suspended. Finished',
        '    if False:\n        why = Problem(Reason.SUSPENDED, "Suspended. Finished',
    ),
    Mutant(
        "suspend does not stop the Job",
        "run_guards.py",
        "        if spec.suspend:\n            return Problem(Reason.SUSPENDED",
        "        if False:\n            return Problem(Reason.SUSPENDED",
    ),
    Mutant(
        "fruitless attempts are never counted",
        "run_next.py",
        "    fruitless = attempt.fruitless + 1",
        "    fruitless = attempt.fruitless",
    ),
    Mutant(
        "a lost node is waited for for ever",
        "run_generate.py",
        "    lost = tuple(p for p in seen.pods if p.lost(now, resolved.node_lost_timeout_seconds))",
        "    lost: tuple[PodView, ...] = ()",
    ),
    Mutant(
        "an edited Job is left as it is",
        "run_guards.py",
        "    if job.parallelism < 1 or job.parallelism != job.completions:",
        "    if False:",
    ),
    Mutant(
        "the Job of an operator that came too late is not stopped",
        "run_generate.py",
        "    late = stray(run)",
        "    late = None",
    ),
    Mutant(
        "pods whose Job was deleted without them are left at work",
        "run_generate.py",
        "    if left := orphans(run.alive):",
        "    if (left := orphans(run.alive)) and False:",
    ),
    Mutant(
        "an outage of the teacher is a failure",
        "ending.py",
        "    ExitCode.TEACHER_UNAVAILABLE: (Meaning.OUTAGE,",
        "    ExitCode.TEACHER_UNAVAILABLE: (Meaning.FINAL,",
    ),
    Mutant(
        "a terminal state is decided on again",
        "datageneration.py",
        "    if seen.status.state in TERMINAL_STATES:",
        "    if False:",
    ),
    Mutant(
        "Jobs of an ended run are left at work",
        "datageneration.py",
        "        if job.finished is None:\n            actions.append(DeleteJob",
        "        if False:\n            actions.append(DeleteJob",
    ),
    Mutant(
        "Jobs of an ended run stay in the watch",
        "datageneration.py",
        "        elif job.watched:",
        "        elif False:",
    ),
    Mutant(
        "cancel throws the finished samples away",
        "run_close.py",
        "    if not mix.sources and not mix.files:",
        "    if seen.spec.cancel or (not mix.sources and not mix.files):",
    ),
    Mutant(
        "completed though leaves are missing",
        "run_close.py",
        '    if seen.spec.cancel:\n        return "canceled", None',
        '    if seen.spec.cancel or seen.status.failure:\n        return "completed", None',
    ),
    Mutant(
        "failed leaves are allowed without limit",
        "run_close.py",
        "        if len(at.failed) <= allowed:",
        "        if True:",
    ),
    Mutant(
        "the end of the mix is believed without a manifest",
        "run_mix.py",
        "    if ledger.manifest is not None and ledger.manifest_fault is None:",
        "    if ledger.manifest is None:\n"
        '        return plan(seen, ended(seen, now, "completed", Problem(Reason.COMPLETED, "")))\n'
        "    if ledger.manifest is not None and ledger.manifest_fault is None:",
    ),
    Mutant(
        "the choice of samples is frozen anew while mixing",
        "datageneration.py",
        '        case "Mixing":\n            return mix(seen, now)',
        '        case "Mixing" if seen.status.attempt.mix_number > 1:\n            return generate(seen, now)\n'
        '        case "Mixing":\n            return mix(seen, now)',
    ),
    Mutant(
        "inputs are taken from the settings of the moment",
        "run_status.py",
        '    changed = seen.status.model_copy(update={"observed_generation": seen.generation, **changes})',
        '    resolved = changes.get("resolved") or seen.status.resolved\n'
        '    image = {"engine_image": seen.settings.images.engine}\n'
        '    changes["resolved"] = resolved.model_copy(update=image) if resolved else None\n'
        '    changed = seen.status.model_copy(update={"observed_generation": seen.generation, **changes})',
    ),
    Mutant(
        "a run that lost its Job by hand fails",
        "ending.py",
        "        return Ending(Meaning.DISRUPTION, Reason.JOB_DELETED",
        "        return Ending(Meaning.FINAL, Reason.JOB_DELETED",
    ),
    Mutant(
        "active time is forgotten with each attempt",
        "run_next.py",
        '            "active_seconds": spent,\n            "not_before"',
        '            "active_seconds": 0,\n            "not_before"',
    ),
    Mutant(
        "a started run does not say why its pods are not at work",
        "run_generate.py",
        "    held = None if job.suspended else held_back(run, job)",
        "    held = None",
    ),
    Mutant(
        "a store that is away in mid-run is not told",
        "run_generate.py",
        "not at_work(run, job) else seen.ledger.problem",
        "not at_work(run, job) else None",
    ),
    Mutant(
        "leaves that were taken over count as the teacher's having worked",
        "run_guards.py",
        "any(record.attempt > 0 for record in chosen)",
        "bool(chosen)",
    ),
    Mutant(
        "Suspended is told before the pods are gone",
        "run_status.py",
        "at_rest=_at_rest(seen, now))",
        "at_rest=True)",
    ),
    Mutant(
        "a mix that Kueue holds reads as running",
        "run_mix.py",
        "    if job.suspended:\n        return plan(seen, queued(",
        "    if False:\n        return plan(seen, queued(",
    ),
    Mutant(
        "an engine that stops by itself costs nothing",
        "ending.py",
        "    ExitCode.INTERRUPTED: (Meaning.FAULT,",
        "    ExitCode.INTERRUPTED: (Meaning.DISRUPTION,",
    ),
    Mutant(
        "GPU-seconds are counted anew at each look",
        "cost.py",
        "first, last = max(span[0], since or span[0]), min(span[1], until)",
        "first, last = span[0], min(span[1], until)",
    ),
    Mutant(
        "a lost node that its pod tolerates is waited for for ever",
        "cluster.py",
        "        if self.stays_on_lost_node and self.silent_since is not None:",
        "        if False:",
    ),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", cases(MUTANTS))
def test_a_seeded_mistake_is_found(mutant: Mutant, tmp_path: Path) -> None:
    assert_found(mutant, ("test_run_cases.py", "test_run_machine.py"), tmp_path)
