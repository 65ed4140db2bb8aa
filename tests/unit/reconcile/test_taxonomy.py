"""A Taxonomy's next step, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cluster import ContainerView, EventView, JobView, PodView, pod_view
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.jobs import ValidateJob
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.plan import CreateJob, DeleteJob, ReleaseJob
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Problem, TaxonomySeen
from sdg_operator.reconcile.taxonomy import TaxonomyPlan, answers, decide
from sdg_operator.taxonomy.report import Counts, ShortReport
from sdg_operator.taxonomy.report import Problem as ReportProblem
from sdg_operator.taxonomy.request import Limits, ValidateRequest

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OWNER = Owner("Taxonomy", "team", "birds", "0a1b2c3d-0000-4000-8000-000000000001")
BUCKET = TaxonomySpec.model_validate({"source": {"bucket": {"key": "t.tar.gz"}}})
GIT = TaxonomySpec.model_validate(
    {
        "source": {"git": {"url": "https://git.example/t", "ref": "main"}},
        "credentials": [{"urlPrefix": "https://git.example/", "secretName": "git"}],
    }
)
GOOD = ShortReport(
    ok=True,
    reason="Valid",
    message="2 leaves",
    digest="sha256:" + "a" * 64,
    snapshot_key="taxonomies/.snapshots/a.tar.gz",
    revision="etag-1",
    counts=Counts(leaves=2, knowledge=1, grounded=0, freeform=1, seeds=10),
    report_key="taxonomies/.reports/x/1.json",
)


def seen(spec: TaxonomySpec = BUCKET, **changes: Any) -> TaxonomySeen:
    known = TaxonomySeen(
        owner=OWNER,
        generation=1,
        spec=spec,
        status=TaxonomyStatus(),
        settings=Settings.model_validate(
            {"images": {"engine": "e", "runner": "r"}, "allowed": {"gitSecrets": ["git"]}}
        ),
        secrets=Look(frozenset({"sdg-storage"})),
        source_revision=Look("etag-1") if spec.source.bucket else Look(),
    )
    return replace(known, **changes)


def a_job(**changes: Any) -> JobView:
    known = JobView("birds-0a1b2-validate-1", "job-uid", (OWNER.uid,), NOW - timedelta(seconds=5))
    return replace(known, **changes)


def ready(plan: TaxonomyPlan) -> tuple[str, str]:
    said = find(plan.status.conditions, "Ready")
    assert said is not None
    return said.status, said.reason


def checking(spec: TaxonomySpec = BUCKET, **check: Any) -> TaxonomyStatus:
    return TaxonomyStatus.model_validate(
        {"attempt": 1, "check": {"open": True, "generation": 1, **check}, "checkRequestedAt": "2026-01-01T11:59:55Z"}
    )


def checked(report: ShortReport = GOOD, spec: TaxonomySpec = BUCKET) -> TaxonomyStatus:
    """The status after a whole check."""
    done = a_job(finished="Complete")
    look = seen(spec, status=checking(job_uid="job-uid"), job=done, report=report.to_text())
    return decide(look, NOW).status


def test_a_check_is_on_record_before_its_job_is_made() -> None:
    first = decide(seen(), NOW)
    assert (first.status.attempt, first.status.check.open, first.actions) == (1, True, ())
    assert first.again_seconds == 0
    second = decide(seen(status=first.status), NOW)
    (create,) = second.actions
    assert isinstance(create, CreateJob)
    assert create.job.header.name == "birds-0a1b2-validate-1"
    assert decide(seen(status=first.status), NOW) == second


def test_the_jobs_own_time_is_noted() -> None:
    plan = decide(seen(status=checking(), job=a_job()), NOW)
    assert plan.status.check.job_uid == "job-uid"
    assert plan.status.check_requested_at == "2026-01-01T11:59:55Z"


def test_a_good_report_makes_it_ready() -> None:
    look = seen(status=checking(job_uid="job-uid"), job=a_job(finished="Complete"), report=GOOD.to_text())
    plan = decide(look, NOW)
    status = plan.status
    assert ready(plan) == ("True", "Valid")
    assert (status.state, status.message, status.checked_revision) == ("completed", "2 leaves", "etag-1")
    assert status.snapshot is not None
    assert status.snapshot.checked_at == "2026-01-01T11:59:55Z"
    assert status.leaves is not None
    assert (status.leaves.total, status.leaves.seed_examples) == (2, 10)
    assert [a for a in plan.actions if isinstance(a, ReleaseJob)]
    assert [(e.type, e.reason) for e in plan.events] == [("Normal", "Valid")]


def test_what_a_good_taxonomy_is_warned_of_is_in_its_status() -> None:
    warning = ReportProblem(file="knowledge/x/qna.yaml", line=3, message="trailing spaces")
    report = GOOD.model_copy(update={"warnings": (warning,) * 20, "warnings_total": 20})
    status = checked(report)
    assert (status.state, status.problems) == ("completed", [])
    assert [(each.file, each.line, each.message) for each in status.warnings] == [
        (warning.file, warning.line, warning.message)
    ] * 5


def test_a_bad_report_says_what_to_mend_and_keeps_the_old_snapshot_out_of_use() -> None:
    bad = ShortReport(
        ok=False,
        reason="InvalidTaxonomy",
        message="Failed to process invalid taxonomy files.  See detailed logs in COS.",
        revision="etag-2",
        problems=(ReportProblem(file="knowledge/x/qna.yaml", line=3, column=7, message="trailing spaces"),),
    )
    good = checked()
    opened = good.model_copy(update={"check": good.check.model_copy(update={"open": True, "job_uid": "job-uid"})})
    plan = decide(seen(status=opened, job=a_job(finished="Failed"), report=bad.to_text()), NOW)
    assert ready(plan) == ("False", "InvalidTaxonomy")
    assert plan.status.state == "failed"
    assert plan.status.problems[0].line == 3
    assert plan.status.snapshot == good.snapshot
    assert plan.status.check.not_before is None
    assert decide(seen(status=plan.status, source_revision=Look("etag-2")), NOW).status == plan.status


DUE = [
    ("the same object", {}, False),
    ("another object", {"source_revision": Look("etag-2")}, True),
    ("another spec", {"generation": 2}, True),
    ("a check is asked for", {"check_request": "now"}, True),
    ("a run waits, but a bucket's ETag says all", {"wanted_after": NOW}, False),
]


@pytest.mark.parametrize(("changes", "due"), [c[1:] for c in DUE], ids=[c[0] for c in DUE])
def test_a_bucket_is_checked_again_when_it_has_changed(changes: dict[str, Any], due: bool) -> None:
    assert decide(seen(status=checked(), **changes), NOW).status.check.open is due


def test_an_annotation_is_answered_once() -> None:
    first = decide(seen(status=checked(), check_request="now"), NOW).status
    assert first.check.request == "now"
    closed = first.model_copy(update={"check": first.check.model_copy(update={"open": False})})
    assert not decide(seen(status=closed, check_request="now"), NOW).status.check.open


@pytest.mark.parametrize(
    ("created", "due"),
    [(timedelta(seconds=-10), False), (timedelta(seconds=-5), True), (timedelta(seconds=1), True)],
    ids=["the check is younger than the run", "of the same second", "the run is younger"],
)
def test_a_repository_is_checked_for_each_run(created: timedelta, due: bool) -> None:
    status = checked(spec=GIT)
    assert decide(seen(GIT, status=status), NOW).status.check.open is False
    assert decide(seen(GIT, status=status, wanted_after=NOW + created), NOW).status.check.open is due


def test_a_check_for_a_run_is_made_when_it_can_be_told_to_be_younger() -> None:
    look = seen(GIT, status=checked(spec=GIT), wanted_after=NOW, wanted_since=NOW)
    plan = decide(look, NOW + timedelta(seconds=0.25))
    assert (plan.status, plan.actions, plan.again_seconds) == (look.status, (), 0.75)
    assert not answers(look, plan, NOW + timedelta(seconds=0.25)), "the run still waits"
    assert decide(look, NOW + timedelta(seconds=1)).status.check.open
    assert decide(look, NOW - timedelta(seconds=3)).status.check.open, "a clock that goes wrong holds nothing back"


def test_runs_that_come_without_end_do_not_put_a_check_off() -> None:
    look = seen(GIT, status=checked(spec=GIT), wanted_since=NOW, wanted_after=NOW + timedelta(seconds=1))
    assert decide(look, NOW + timedelta(seconds=1.5)).status.check.open


def test_a_run_has_its_answer_when_no_check_is_open_or_due() -> None:
    waits = {"wanted_since": NOW - timedelta(seconds=9), "wanted_after": NOW - timedelta(seconds=9)}
    done = seen(GIT, status=checked(spec=GIT), **waits)
    assert answers(done, decide(done, NOW), NOW)
    late = replace(done, wanted_after=NOW - timedelta(seconds=2))
    assert not answers(late, decide(late, NOW), NOW), "a check is opened"
    going = seen(GIT, status=checking(spec=GIT, job_uid="job-uid"), job=a_job(), **waits)
    assert not answers(going, decide(going, NOW), NOW)


@pytest.mark.parametrize("reason", ["SourceNotFound", "CloneFailed", "StorageRefused", "TimedOut", "InternalError"])
def test_what_may_heal_by_itself_is_looked_at_again(reason: str) -> None:
    bad = ShortReport.model_validate({"ok": False, "reason": reason, "message": "x", "revision": "etag-1"})
    status = checked(bad)
    assert not decide(seen(status=status), NOW).status.check.open
    assert decide(seen(status=status), NOW + timedelta(hours=1)).status.check.open


@pytest.mark.parametrize(("back", "due"), [(timedelta(minutes=1), False), (timedelta(hours=25), True)])
def test_a_clock_that_is_set_back_puts_no_repetition_off_for_long(back: timedelta, due: bool) -> None:
    status = checked(BAD.model_copy(update={"external": True}))
    assert decide(seen(status=status), NOW - back).status.check.open is due


def test_what_is_to_be_mended_in_a_document_repository_is_looked_at_again() -> None:
    """The object in the bucket stays as it is, so nothing else would call for the check."""
    status = checked(BAD.model_copy(update={"external": True}))
    assert not decide(seen(status=status), NOW).status.check.open
    assert decide(seen(status=status), NOW + timedelta(minutes=2)).status.check.open
    assert not decide(seen(status=checked(BAD)), NOW + timedelta(days=30)).status.check.open


def test_a_check_without_revision_does_not_spin() -> None:
    bad = ShortReport(ok=False, reason="InternalError", message="x")
    status = checked(bad)
    plan = decide(seen(status=status), NOW)
    assert not plan.status.check.open
    assert plan.again_seconds
    assert plan.again_seconds >= 1


def test_a_check_whose_pod_was_killed_says_nothing_of_the_taxonomy() -> None:
    plan = decide(
        seen(status=checking(job_uid="job-uid"), job=a_job(finished="Failed", reason="DeadlineExceeded")), NOW
    )
    assert ready(plan) == ("False", "CheckInconclusive")
    assert plan.status.check.inconclusive == 1
    assert not decide(seen(status=plan.status), NOW).status.check.open
    assert decide(seen(status=plan.status), NOW + timedelta(minutes=1)).status.check.open


def test_a_check_that_a_foreign_container_keeps_is_concluded_and_its_job_deleted() -> None:
    ended = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T11:59:00Z", "message": GOOD.to_text()}}
    pod = pod_view(
        {
            "metadata": {"name": "p", "ownerReferences": [{"kind": "Job", "name": "j", "uid": "job-uid"}]},
            "spec": {"containers": [{"name": "mesh"}, {"name": "validate"}]},
            "status": {
                "phase": "Running",
                "containerStatuses": [{"name": "mesh", "state": {"running": {}}}, {"name": "validate", "state": ended}],
            },
        }
    )
    checked = seen(status=checking(job_uid="job-uid"), job=a_job(), pods=(pod,), report=GOOD.to_text())
    soon = decide(checked, NOW - timedelta(seconds=40))
    assert (soon.status.check.open, soon.actions) == (True, ())
    plan = decide(checked, NOW)
    assert ready(plan) == ("True", "Valid")
    (deleted,) = plan.actions
    assert isinstance(deleted, DeleteJob)
    assert "container mesh" in deleted.reason


def a_pod(state: str = "running", **changes: Any) -> PodView:
    """The check's pod, at work on a node."""
    known = PodView(
        "birds-0a1b2-validate-1-x",
        "pod-uid",
        "birds-0a1b2-validate-1",
        "job-uid",
        node="node1",
        phase="Running" if state == "running" else "Pending",
        containers=(ContainerView("validate", "main", "running" if state == "running" else "waiting"),),
    )
    return replace(known, **changes)


def at_work(*pods: PodView, **changes: Any) -> TaxonomySeen:
    """A check whose Job has not finished."""
    known = seen(status=checking(job_uid="job-uid"), job=a_job(), pods=pods)
    return replace(known, **changes)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "lost",
    [
        a_pod(silent_since=NOW, deletion=NOW + 5 * MINUTE),
        a_pod("waiting", silent_since=NOW, deletion=NOW + 5 * MINUTE),
        a_pod(silent_since=NOW, stays_on_lost_node=True),
    ],
    ids=["deleted by Kubernetes", "not yet started", "tolerates that for ever"],
)
def test_a_check_on_a_lost_node_is_given_up_and_another_follows(lost: PodView) -> None:
    silent = decide(at_work(lost), NOW + 9 * MINUTE)
    assert silent.status.check.open
    assert (silent.actions, ready(silent)) == ((), ("Unknown", "NodeLost"))
    assert "Node node1 does not answer; nothing is heard of pod" in (silent.status.message or "")
    late = NOW + 11 * MINUTE
    given_up = decide(at_work(lost, status=silent.status), late)
    (stop,) = given_up.actions
    assert isinstance(stop, DeleteJob)
    assert (stop.name, stop.uid) == ("birds-0a1b2-validate-1", "job-uid")
    assert ready(given_up) == ("False", "CheckInconclusive")
    assert "Node node1 does not answer; its pod birds-0a1b2-validate-1-x is given up." in (
        given_up.status.message or ""
    )
    again = decide(seen(status=given_up.status), late + MINUTE).status
    assert (again.check.open, again.attempt) == (True, 2)
    # The old pod stays, and even runs on once its node is back; its Job is no more.
    other = a_job(name="birds-0a1b2-validate-2", uid="job-2")
    noted = decide(seen(status=again, job=other, pods=(lost,)), late + MINUTE).status
    its_own = a_pod(name="y", uid="pod-2", job_name=other.name, job_uid="job-2", node="node2")
    followed = decide(seen(status=noted, job=other, pods=(lost, its_own)), late + MINUTE)
    assert (followed.actions, followed.status.message) == ((), "The taxonomy is being checked.")
    done = replace(other, finished="Complete")
    ended = decide(seen(status=noted, job=done, pods=(lost, its_own), report=GOOD.to_text()), late + MINUTE)
    assert ready(ended) == ("True", "Valid")


def test_a_lost_node_is_named_though_the_operator_was_killed_when_it_gave_it_up() -> None:
    lost = a_pod(silent_since=NOW, deletion=NOW)
    plan = decide(at_work(lost, job=None), NOW + 6 * MINUTE)
    assert "Node node1 does not answer" in (plan.status.message or "")


def test_what_a_check_has_reported_counts_though_its_node_is_lost_since() -> None:
    lost = a_pod(deletion=NOW, containers=(ContainerView("validate", "main", "terminated", exit_code=0),))
    plan = decide(at_work(lost, report=GOOD.to_text()), NOW + 6 * MINUTE)
    assert ready(plan) == ("True", "Valid")
    assert [type(action) for action in plan.actions] == [DeleteJob]


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not yet noted"])
@pytest.mark.parametrize("end", [None, "Complete"], ids=["at work", "ended"])
def test_a_check_of_an_older_spec_is_stopped_and_says_nothing_of_the_newer(end: Any, *, noted: bool) -> None:
    """`kubectl wait` and Flux go by the generation that a condition and a status are about."""
    status = checking(job_uid="job-uid" if noted else None)
    edited = seen(status=status, generation=2, job=a_job(finished=end), report=GOOD.to_text())
    plan = decide(edited, NOW)
    assert (ready(plan), plan.status.state, plan.events) == (("Unknown", "Checking"), "queued", ())
    assert (plan.status.observed_generation, plan.status.check.open, plan.again_seconds) == (2, False, 0)
    assert [type(action) for action in plan.actions] == [ReleaseJob if end else DeleteJob]
    check = decide(seen(status=plan.status, generation=2), NOW).status.check
    assert (check.open, check.generation, check.job_uid) == (True, 2, None)


def test_a_check_that_waits_to_be_made_is_made_for_the_spec_as_it_is() -> None:
    """An operator that wakes up late may still make the Job of the older spec: under a name that nobody asks for."""
    closed = decide(seen(status=checking(), generation=2), NOW)
    assert closed.actions == ()
    opened = decide(seen(status=closed.status, generation=2), NOW).status
    assert (opened.attempt, opened.check.generation) == (2, 2)


def test_a_strangers_job_stays_though_the_spec_is_edited() -> None:
    stranger = a_job(owner_uids=("somebody",))
    assert decide(seen(status=checking(), generation=2, job=stranger), NOW).actions == ()


def test_a_spec_that_is_edited_into_a_refused_one_fails() -> None:
    spec = TaxonomySpec.model_validate({"source": {"bucket": {"key": "k"}}, "storageSecretName": "other"})
    closed = decide(at_work(a_pod(), spec=spec, generation=2), NOW)
    assert ready(decide(seen(spec, generation=2, status=closed.status), NOW)) == ("False", "NotAllowed")


def refused(uid: str, words: str) -> EventView:
    return EventView("FailedCreate", words, uid, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"job": a_job(suspended=True, queue="small"), "pods": ()}, "WaitingInQueue"),
        ({"job": a_job(suspended=True), "pods": ()}, "JobSuspended"),
        ({"pods": (a_pod("waiting", node="", unscheduled="0/1 nodes are available"),)}, "Unschedulable"),
        ({"pods": (a_pod(phase="Failed"),), "events": (refused("job-uid", "exceeded quota: pods"),)}, "QuotaExceeded"),
        ({"pods": (), "events": (refused("job-uid", "denied by policy"),)}, "AdmissionRefused"),
    ],
    ids=["preempted by Kueue", "suspended by hand", "no node", "no quota for another pod", "no pod is let in"],
)
def test_a_check_that_was_at_work_and_is_held_back_is_queued(changes: dict[str, Any], reason: str) -> None:
    working = decide(at_work(a_pod()), NOW)
    assert working.status.state == "running"
    held = decide(at_work(status=working.status, **changes), NOW)
    assert (held.status.state, ready(held)) == ("queued", ("Unknown", reason))


def test_a_check_whose_pod_is_replaced_reads_as_running() -> None:
    working = decide(at_work(a_pod()), NOW).status
    starting = decide(at_work(a_pod(phase="Failed"), a_pod("waiting", name="y", uid="pod-2"), status=working), NOW)
    assert (starting.status.state, ready(starting)) == ("running", ("Unknown", "Starting"))


@pytest.mark.parametrize("spec", [BUCKET, GIT], ids=["bucket", "Git"])
def test_a_check_is_repeated_when_the_message_says_so(spec: TaxonomySpec) -> None:
    """Also where the source itself is looked at less often: the write of the status calls for a pass of its own."""
    killed = seen(spec, status=checking(job_uid="job-uid"), job=a_job(finished="Failed", reason="DeadlineExceeded"))
    plan = decide(killed, NOW)
    assert "repeated in 5 s" in (plan.status.message or "")
    next_pass = decide(replace(killed, status=plan.status, job=None), NOW + timedelta(seconds=1))
    assert next_pass.again_seconds == 4


@pytest.mark.parametrize("word", ["BucketNotFound", "InvalidCredentials", "ClockSkew", "UntrustedCertificate"])
def test_what_the_store_says_to_a_check_has_its_own_reason(word: str) -> None:
    refused = ShortReport(ok=False, reason="StorageRefused", detail=word, message="x")
    said = find(checked(refused, spec=GIT).conditions, "Ready")
    assert said is not None
    assert said.reason == word


BAD = ShortReport(
    ok=False,
    reason="InvalidTaxonomy",
    message="mend it",
    revision="etag-1",
    problems=(ReportProblem(file="qna.yaml", line=3, message="'answer' is a required property"),),
    warnings=(ReportProblem(file="qna.yaml", line=5, message="trailing spaces"),),
    report_key="taxonomies/.reports/x/1.json",
)


def test_what_an_older_check_found_does_not_stand_beside_another_reason() -> None:
    bad = checked(BAD)
    assert (len(bad.problems), len(bad.warnings), bad.report_key) == (1, 1, BAD.report_key)
    gone = decide(seen(status=bad, source_revision=Look(problem=PROBLEMS[1])), NOW).status
    opened = bad.model_copy(update={"check": bad.check.model_copy(update={"open": True, "job_uid": "job-uid"})})
    killed = decide(seen(status=opened, job=a_job(finished="Failed", reason="DeadlineExceeded")), NOW).status
    assert [(s.problems, s.warnings, s.report_key) for s in (gone, killed)] == [([], [], None), ([], [], None)]


def test_a_snapshot_that_is_lost_is_made_again_but_not_without_a_pause() -> None:
    """Removed from the bucket, or the Secret names another bucket with the same object."""
    status = checked()
    assert not decide(seen(status=status, snapshot_lost=True), NOW + timedelta(seconds=1)).status.check.open
    later = NOW + timedelta(seconds=60)
    assert not decide(seen(status=status), later).status.check.open
    assert decide(seen(status=status, snapshot_lost=True), later).status.check.open


def test_a_deleted_job_is_followed_by_the_next_check() -> None:
    plan = decide(seen(status=checking(job_uid="job-uid"), job=None), NOW)
    later = decide(seen(status=plan.status), NOW + timedelta(minutes=1))
    assert later.status.attempt == 2


def test_a_strangers_job_of_the_same_name_is_left_alone() -> None:
    plan = decide(seen(status=checking(), job=a_job(owner_uids=("somebody",))), NOW)
    assert (plan.status.attempt, plan.actions) == (2, ())


PROBLEMS = [
    Problem(Reason.SECRET_NOT_FOUND, "Secret sdg-storage does not exist"),
    Problem(Reason.SOURCE_NOT_FOUND, "There is no object t.tar.gz"),
    Problem(Reason.STORAGE_REFUSED, "AccessDenied"),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: str(p.reason))
def test_a_source_that_cannot_be_looked_at_is_said_so_and_heals(problem: Problem) -> None:
    broken = decide(seen(status=checked(), source_revision=Look(problem=problem)), NOW)
    assert ready(broken) == ("False", problem.reason)
    assert problem.message in (broken.status.message or "")
    assert broken.again_seconds
    assert decide(seen(status=broken.status), NOW).status.check.open, "mended: checked anew, though nothing changed"


def test_a_store_that_is_away_does_not_make_good_content_bad() -> None:
    away = Problem(Reason.STORAGE_UNAVAILABLE, "no answer")
    plan = decide(seen(status=checked(), source_revision=Look(problem=away)), NOW)
    assert ready(plan) == ("True", "Valid")


def test_a_refused_job_is_explained_and_not_asked_for_in_the_same_pass() -> None:
    refused = Problem(Reason.QUOTA_EXCEEDED, "exceeded quota: jobs")
    plan = decide(seen(status=checking(), refused=refused), NOW)
    assert (plan.actions, ready(plan)) == ((), ("Unknown", "QuotaExceeded"))


def test_a_secret_that_is_not_listed_is_refused() -> None:
    spec = TaxonomySpec.model_validate({"source": {"bucket": {"key": "k"}}, "storageSecretName": "other"})
    assert ready(decide(seen(spec), NOW)) == ("False", "NotAllowed")


def test_a_resource_that_is_being_deleted_needs_nothing() -> None:
    plan = decide(seen(deleting=True), NOW)
    assert (plan.status, plan.actions) == (TaxonomyStatus(), ())


def test_the_request_carries_source_credentials_and_limits() -> None:
    opened = decide(seen(GIT), NOW).status
    (create,) = decide(seen(GIT, status=opened), NOW).actions
    assert isinstance(create, CreateJob)
    job = create.job
    assert isinstance(job, ValidateJob)
    request = ValidateRequest.model_validate_json(job.request)
    assert request.source.git is not None
    assert (request.source.git.url, request.source.git.ref) == ("https://git.example/t", "main")
    assert request.credentials[0].folder == "/var/run/secrets/sdg/git/0"
    assert job.git_secrets == ("git",)
    assert request.limits.total_seconds < job.deadline_seconds
    assert request.report_key == f"taxonomies/.reports/{OWNER.uid}/1.json"


def test_the_administrators_limits_reach_the_check() -> None:
    changes = {
        "maxArchiveBytes": 10_001,
        "maxUploadBytes": 10_002,
        "maxEntries": 3,
        "maxLeaves": 4,
        "maxFileBytes": 10_005,
        "maxRepositoryBytes": 10_006,
        "maxDocumentBytes": 10_007,
        "maxTaxonomyBytes": 10_008,
        "gitSeconds": 9,
        "lint": "Strict",
        "allowedHosts": ["git.internal"],
        "deniedRanges": ["203.0.113.0/24"],
    }
    settings = Settings.model_validate({"images": {"engine": "e", "runner": "r"}, "taxonomies": changes})
    opened = decide(seen(settings=settings), NOW).status
    (create,) = decide(seen(settings=settings, status=opened), NOW).actions
    assert isinstance(create, CreateJob)
    assert isinstance(create.job, ValidateJob)
    request = ValidateRequest.model_validate_json(create.job.request)
    limits = request.limits
    assert (limits.archive_bytes, limits.download_bytes, limits.entries, limits.leaves) == (10_001, 10_002, 3, 4)
    assert (limits.file_bytes, limits.repository_bytes, limits.document_bytes) == (10_005, 10_006, 10_007)
    assert request.lint == "Strict"
    assert request.network.allowed_hosts == ("git.internal",)
    assert [str(denied) for denied in request.network.denied_ranges] == ["203.0.113.0/24"]
    assert (limits.taxonomy_bytes, limits.git_seconds) == (10_008, 9)
    assert create.job.work_bytes == 10_002 + 10_008 + 2 * (10_006 + 10_007) + (64 << 20)


def test_the_default_limits_are_those_of_the_check_by_itself() -> None:
    opened = decide(seen(), NOW).status
    (create,) = decide(seen(status=opened), NOW).actions
    assert isinstance(create, CreateJob)
    assert isinstance(create.job, ValidateJob)
    assert ValidateRequest.model_validate_json(create.job.request).limits == Limits()


def test_times_survive_hostile_edits() -> None:
    status = checked().model_copy(update={"check_requested_at": "yesterday"})
    assert decide(seen(GIT, status=status, wanted_after=NOW - timedelta(seconds=1)), NOW).status.check.open
    assert clock.from_text("not a time") is None
