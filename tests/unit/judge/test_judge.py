"""The judge of the end-to-end tests finds each lie, and takes no truth for one."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest

from sdg_operator.storage.records import (
    Manifest,
    ManifestFile,
    ManifestLeaf,
    RunIdentity,
    SampleCounts,
    SampleSettings,
    Tokens,
)
from tests.e2e import judge
from tests.e2e.judge import Asked, Service, Written
from tests.e2e.watching import JobSeen, PodSeen, RunSeen, Sample

AT_WORK = Service(started=0.0)
UID = "uid"
LEAF = "compositional_skills_lists_list1"


def run(version: str = "1", reason: str = "", suspended: bool = False, **status: Any) -> RunSeen:
    conditions = [{"type": "Progressing", "status": "True", "reason": reason}]
    conditions += [{"type": "Suspended", "status": "True"}] if suspended else []
    return RunSeen("run", UID, version, suspended, False, {"conditions": conditions, **status})


def pod(name: str = "pod", **changes: Any) -> PodSeen:
    known: dict[str, Any] = {
        "name": name,
        "run": UID,
        "role": "generate",
        "job": "job-1",
        "phase": "Running",
        "deletion": None,
        "main": "running",
        "waiting": frozenset(),
        "restarts": 0,
        "unscheduled": False,
    }
    return PodSeen(**{**known, **changes})


def seen(at: float, *runs: RunSeen, pods: tuple[PodSeen, ...] = (), jobs: tuple[JobSeen, ...] = ()) -> Sample:
    return Sample(at, runs, jobs, pods)


def through(start: float, end: float, *runs: RunSeen, **others: Any) -> list[Sample]:
    """Looks twice a second, all the same."""
    return [seen(at / 2, *runs, **others) for at in range(int(start * 2), int(end * 2))]


GENERATING = run(state="running", message="Generating data for taxonomy path a: 1% 0/1", reason="Running")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"state": "completed"}, {"state": "failed"}, "completed became failed"),
        ({"attempt": {"number": 2}}, {"attempt": {"number": 1}}, "attempts fell"),
        ({"progress": {"leaves": "2/3"}}, {"progress": {"leaves": "1/3"}}, "leaves fell from 2 to 1"),
        ({"progress": {"samples": 9}}, {"progress": {"samples": 4}}, "samples fell from 9 to 4"),
    ],
)
def test_a_run_takes_no_step_back(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    back = [seen(1, run("1", **before)), seen(2, run("2", **after))]
    assert [words in each for each in judge.steps_back(back)] == [True]
    assert list(judge.steps_back([seen(1, run("1", **after)), seen(2, run("2", **before))])) in (
        [],
        ["run: failed became completed"],
    )


def test_samples_may_fall_where_a_pod_was_lost() -> None:
    many, few = run("1", progress={"samples": 9}), run("2", progress={"samples": 4})
    gone = [seen(1, many, pods=(pod("a"),)), seen(2, many), seen(3, few, pods=(pod("b"),))]
    failed = [seen(1, many, pods=(pod("a", phase="Failed"), pod("b"))), seen(3, few, pods=(pod("b"),))]
    assert not [*judge.steps_back(gone), *judge.steps_back(failed)]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (run(suspended=True, state="queued"), "said to be suspended, but pod"),
        (run(state="canceled"), "canceled, but pod"),
    ],
)
def test_what_stands_still_has_no_pod(status: RunSeen, words: str) -> None:
    samples = [seen(1, status, pods=(pod(),)), seen(2, status)]
    assert [words in each for each in judge.at_once(samples)] == [True]
    gone_by_then = [seen(1, status, pods=(pod(deletion=0.5),)), seen(2, status)]
    went_on = [seen(1, status, pods=(pod(),)), seen(2, run("2", state="running"))]
    assert not [*judge.at_once(gone_by_then), *judge.at_once(went_on)]


def test_two_attempts_are_never_at_work_at_once() -> None:
    two = (pod("a"), pod("b", job="job-2"))
    assert len(list(judge.at_once([seen(1, GENERATING, pods=two), seen(2, GENERATING)]))) == 1
    assert not list(judge.at_once([seen(1, GENERATING, pods=(pod("a"), pod("b"))), seen(2, GENERATING)]))


WAITING = pod(main="waiting", phase="Pending")


@pytest.mark.parametrize(
    ("status", "true", "lie", "words"),
    [
        (GENERATING, (pod(),), (WAITING,), "Generating data …”, but no such pod"),
        (
            run(state="running", message="Mixing the samples of"),
            (pod(role="mix"),),
            (pod(),),
            "Mixing the samples …”, but no such pod",
        ),
        (run(state="queued", reason="JobDeleted"), (WAITING,), (pod(),), "queued, but pod is at work"),
        (run(state="queued", reason="Unschedulable"), (pod(main="waiting", unscheduled=True),), (WAITING,), "Unsched"),
        (
            run(state="queued", reason="ImagePull"),
            (pod(main="waiting", waiting=frozenset({"ErrImagePull"})),),
            (pod(main="waiting", waiting=frozenset({"PodInitializing"})),),
            "ImagePull is its reason",
        ),
        (run(state="queued", reason="TeacherCrashLooping"), (pod(main="waiting", restarts=2),), (WAITING,), "Crash"),
        (run(state="running", reason="Starting"), (WAITING,), (pod(),), "Starting is its reason"),
        (run(state="running", reason="ForeignContainer"), (pod(main="terminated"),), (pod(),), "Foreign"),
    ],
)
def test_a_status_may_lag_but_not_lie(
    status: RunSeen, true: tuple[PodSeen, ...], lie: tuple[PodSeen, ...], words: str
) -> None:
    told = list(judge.lasting(through(20, 40, status, pods=lie), [AT_WORK]))
    assert [words in each for each in told] == [True]
    assert not list(judge.lasting(through(20, 40, status, pods=true), [AT_WORK]))
    assert not list(judge.lasting(through(20, 29, status, pods=lie), [AT_WORK])), "it may lag"


def test_a_job_that_waits_in_a_queue_is_suspended() -> None:
    status = run(state="queued", reason="WaitingInQueue")
    suspended, let_in = (JobSeen("job", UID, "generate", each, False) for each in (True, False))
    assert not list(judge.lasting(through(20, 40, status, jobs=(suspended,)), [AT_WORK]))
    assert len(list(judge.lasting(through(20, 40, status, jobs=(let_in,)), [AT_WORK]))) == 1


@pytest.mark.parametrize(
    "services",
    [[], [Service(0.0, 25.0)], [Service(18.0)], [Service(0.0, 21.0), Service(22.0)]],
    ids=["none", "ended", "just started", "followed by another"],
)
def test_without_an_operator_a_status_may_be_old(services: list[Service]) -> None:
    assert not list(judge.lasting(through(20, 40, GENERATING), services))


def test_a_run_of_which_nothing_is_said_is_told_and_an_api_server_that_was_away_is_not() -> None:
    assert list(judge.lasting(through(20, 40, run()), [AT_WORK])) == ["run: no word of it, 20 looks in a row"]
    away = through(20, 29, GENERATING) + through(60, 80, GENERATING)
    assert not list(judge.lasting(away, [AT_WORK]))


@pytest.mark.parametrize(
    ("status", "early", "late"),
    [
        (run(progress={"leaves": "1/2"}), Written({LEAF: 8.0}), Written({LEAF: 14.0})),
        (run(state="completed"), Written({}, 9.0), Written({}, 14.0)),
    ],
)
def test_a_status_is_never_ahead_of_the_bucket(status: RunSeen, early: Written, late: Written) -> None:
    samples = [seen(10, status)]
    assert not list(judge.ahead_of_the_bucket(samples, {UID: early}))
    assert len(list(judge.ahead_of_the_bucket(samples, {UID: late}))) == 1
    assert len(list(judge.ahead_of_the_bucket(samples, {}))) == 1


def test_no_leaf_may_be_asked_for_after_its_record() -> None:
    samples = through(10, 40, GENERATING, pods=(pod(),))
    written = {UID: Written({LEAF: 20.0})}
    asked = [Asked(at, ("a word of list 1,",)) for at in (19.0, 20.9, 21.5)]
    assert not list(judge.asked_too_late(samples, written, asked[:2]))
    assert len(list(judge.asked_too_late(samples, written, asked))) == 1
    assert not list(judge.asked_too_late(samples, written, [Asked(30.0, ("a word of list 11,",))]))


def test_another_run_at_work_may_ask_for_the_same_leaf() -> None:
    other = pod("other", run="other")
    both = through(10, 40, GENERATING, pods=(pod(), other))
    over = through(10, 40, GENERATING, pods=(pod(), pod("other", run="other", phase="Succeeded")))
    written, asked = {UID: Written({LEAF: 20.0})}, [Asked(30.0, ("a word of list 1,",))]
    assert not list(judge.asked_too_late(both, written, asked))
    assert len(list(judge.asked_too_late(over, written, asked))) == 1


def test_a_teacher_that_was_never_asked_is_no_judge() -> None:
    written = Written({LEAF: 20.0})
    assert len(list(judge.unheard(GENERATING, written, []))) == 1
    assert not list(judge.unheard(GENERATING, written, [Asked(1.0, ("list 1 of list 1,",))]))
    served = run(resolved={"teacher": {"server": {"image": "vllm"}}})
    assert not list(judge.unheard(served, written, []))


def manifest(samples: int = 1, missing: tuple[str, ...] = ()) -> Manifest:
    body = b"{}\n"
    identity = RunIdentity(namespace="team", name="run", uid=UID)
    return Manifest(
        run=identity,
        engine="image",
        settings=SampleSettings(pipeline="simple", scale_factor=1, batch_size=1, model="teacher"),
        versions={},
        files=(ManifestFile(path="skills.jsonl", size=3, sha256=sha256(body).hexdigest(), lines=1),),
        samples=SampleCounts(skills=samples, total=samples),
        tokens=Tokens(),
        leaves=(ManifestLeaf(path="list1", kind="freeform", expected=1, actual=1),),
        missing=missing,
    )


@pytest.mark.parametrize(
    ("bodies", "found", "words"),
    [
        ({"skills.jsonl": b"{}\n"}, manifest(), None),
        ({"skills.jsonl": b"[]\n"}, manifest(), "not the file of the manifest"),
        ({"skills.jsonl": None}, manifest(), "not in the bucket"),
        ({"skills.jsonl": b"{}\n"}, manifest(samples=2), "1 samples are told, 2"),
        ({"skills.jsonl": b"{}\n"}, manifest(missing=("a",)), "completed with 1 of 1"),
    ],
)
def test_the_final_files_are_what_the_manifest_says(
    bodies: Mapping[str, bytes | None], found: Any, words: str | None
) -> None:
    done = run(state="completed", dataMetrics={"samples": {"total": 1}}, plan={"leaves": 1})
    told = list(judge.unsound(done, found, bodies))
    assert [words in each for each in told if words] == ([True] if words else [])
    assert len(told) == (1 if words else 0)
