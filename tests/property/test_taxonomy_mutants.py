"""The property test of Taxonomies is itself tested: each of these mistakes in a decision must break it."""

from pathlib import Path

import pytest

from tests.property.mutants import Mutant, assert_found, cases

MUTANTS = [
    Mutant(
        "a changed object is not noticed",
        "taxonomy.py",
        "    if seen.spec.source.bucket and known and seen.source_revision.found != status.checked_revision:",
        "    if False:",
    ),
    Mutant(
        "a changed spec is not noticed",
        "taxonomy.py",
        "status.checked_revision is None or check.generation != seen.generation:",
        "status.checked_revision is None:",
    ),
    Mutant(
        "a run that waits for a repository is not heard",
        "taxonomy.py",
        "        if requested is None or requested <= seen.wanted_after:",
        "        if requested is None:",
    ),
    Mutant(
        "a check that is asked for is not made",
        "taxonomy.py",
        "    if seen.check_request and seen.check_request != check.request:",
        "    if False:",
    ),
    Mutant(
        "the number of a check is not put on record before its Job is made",
        "taxonomy.py",
        "attempt=seen.status.attempt + 1, check=check)",
        "attempt=max(1, seen.status.attempt), check=check)",
    ),
    Mutant(
        "a Job that has the name is taken for ours without asking whose it is",
        "taxonomy.py",
        "    if job is not None and not job.owned_by(seen.owner.uid):",
        "    if False:",
    ),
    Mutant(
        "when a check began is read from the operator's own clock",
        "taxonomy.py",
        "clock.to_text(job.created or now)",
        "clock.to_text(now)",
    ),
    Mutant(
        "a check that was lost stays open",
        "taxonomy.py",
        '    closed = check.model_copy(\n        update={"open": False, ',
        "    closed = check.model_copy(\n        update={",
    ),
    Mutant(
        "a check is waited for on a node that is lost",
        "taxonomy.py",
        "    if stop := _lost(seen, now) or all_kept_up(alive, now):",
        "    if stop := all_kept_up(alive, now):",
    ),
    Mutant(
        "a node that does not answer is not told of",
        "taxonomy.py",
        "    why = None if job.suspended else silent_node(alive)",
        "    why: Problem | None = None",
    ),
    Mutant(
        "what a check found is said of a spec that was edited since",
        "taxonomy.py",
        "    if status.check.generation != seen.generation:\n        return _superseded(seen, now)",
        "    if False:\n        return _superseded(seen, now)",
    ),
    Mutant(
        "the Job of a check whose spec was edited since stays at work",
        "taxonomy.py",
        "        actions = (_release(seen, job) if job.finished else stop,)",
        "        actions = (_release(seen, job),) if job.finished else ()",
    ),
    Mutant(
        "a check that said nothing is not repeated",
        "taxonomy.py",
        "    return check.not_before is not None and _until_repeated(seen, now) == 0",
        "    return False",
    ),
    Mutant(
        "a document repository that was mended is not looked at again",
        "taxonomy.py",
        "    if report.external or report.reason not in",
        "    if report.reason not in",
    ),
    Mutant(
        "a check is repeated when the bucket is looked into again",
        "taxonomy.py",
        "for seconds in (look, repeat) if",
        "for seconds in ((look,) if look else (repeat,)) if",
    ),
    Mutant(
        "a snapshot that is lost is not made again",
        "taxonomy.py",
        "    if seen.snapshot_lost and",
        "    if False and",
    ),
    Mutant(
        "a broken source leaves the old snapshot in use",
        "taxonomy.py",
        '    said = Said("Ready", "False", reason, report.message)',
        '    said = Said("Ready", "True" if seen.status.snapshot else "False", reason, report.message)',
    ),
    Mutant(
        "what was mended is not looked at again",
        "taxonomy.py",
        '{"checked_revision": None, "problems"',
        '{"problems"',
    ),
    Mutant(
        "the Job of a check that has ended stays in the watch",
        "taxonomy.py",
        "        release = (_release(",
        "        release = () and (_release(",
    ),
    Mutant(
        "a check is young enough for a run of the same second",
        "run_accept.py",
        "        if checked is None or checked <= created:",
        "        if checked is None or checked < created:",
    ),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", cases(MUTANTS))
def test_a_seeded_mistake_is_found(mutant: Mutant, tmp_path: Path) -> None:
    assert_found(mutant, ("test_taxonomy_machine.py",), tmp_path)
