"""Whether a run may use its Taxonomy, and what it freezes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.reconcile.leaves import select
from sdg_operator.reconcile.plan import CopySnapshot, PutObject
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_accept import accept, pinned
from sdg_operator.reconcile.snapshot import Look, Merge, Problem, RunSeen, TaxonomyFound
from sdg_operator.storage.records import MergeFile, MixPlan, RunInputs
from tests.property.world import DIGEST, START, World

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def a_taxonomy(git: bool = False, **status: Any) -> TaxonomyFound:
    source = {"git": {"url": "https://git.example/t"}} if git else {"bucket": {"key": "t"}}
    known: dict[str, Any] = {
        "attempt": 1,
        "check": {"open": False, "generation": 1},
        "checkedRevision": "etag",
        "checkRequestedAt": "2026-01-01T00:00:05Z",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Valid", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ],
        "snapshot": {"digest": DIGEST, "key": "k", "checkedAt": "2026-01-01T00:00:05Z", "generation": 1},
        **status,
    }
    return TaxonomyFound(
        "birds",
        "uid",
        1,
        TaxonomySpec.model_validate({"source": source}),
        TaxonomyStatus.model_validate(known),
        None if git else "etag",
    )


NOT_READY = [{"type": "Ready", "status": "False", "reason": "InvalidTaxonomy", "message": "trailing spaces",
              "lastTransitionTime": "2026-01-01T00:00:00Z"}]  # fmt: skip
CASES = [
    ("checked, and the object is the same", a_taxonomy(), DIGEST),
    ("never checked", a_taxonomy(attempt=0, check={}), "TaxonomyChecking"),
    ("being checked", a_taxonomy(check={"open": True, "generation": 1}), "TaxonomyChecking"),
    ("another spec since", a_taxonomy(check={"open": False, "generation": 0}), "TaxonomyChecking"),
    ("another object since", replace(a_taxonomy(), source_revision="newer"), "TaxonomyChecking"),
    ("the newest is broken", a_taxonomy(conditions=NOT_READY), "TaxonomyNotReady"),
    ("Git, checked after the run was created", a_taxonomy(git=True), DIGEST),
    ("Git, the same second", a_taxonomy(git=True, checkRequestedAt="2026-01-01T00:00:00Z"), "TaxonomyChecking"),
    ("Git, checked before", a_taxonomy(git=True, checkRequestedAt="2025-12-31T23:59:59Z"), "TaxonomyChecking"),
]  # fmt: skip


@pytest.mark.parametrize(("taxonomy", "outcome"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_only_what_was_checked_after_the_run_was_created_is_used(taxonomy: TaxonomyFound, outcome: str) -> None:
    found = pinned(None, taxonomy, CREATED)
    assert (found.reason if isinstance(found, Problem) else found) == outcome


def _says(status: str, reason: str, message: str) -> list[dict[str, str]]:
    at = "2026-01-01T00:00:00Z"
    return [{"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": at}]


QUOTA: dict[str, Any] = {
    "check": {"open": True, "generation": 1},
    "conditions": _says("Unknown", "QuotaExceeded", "exceeded quota: x"),
}
KILLED: dict[str, Any] = {
    "checkedRevision": "",
    "conditions": _says("False", "CheckInconclusive", "It is repeated in 5 s."),
}
NO_SECRET: dict[str, Any] = {
    "checkedRevision": None,
    "conditions": _says("False", "SecretNotFound", "Secret git does not exist."),
}
OLD: dict[str, Any] = {"conditions": _says("False", "InvalidTaxonomy", "trailing spaces")}
WAITS = [
    ("its Job is refused", a_taxonomy(**QUOTA), "Taxonomy birds is being checked. exceeded quota: x"),
    ("its pod was killed", a_taxonomy(**KILLED), "Taxonomy birds is being checked. It is repeated in 5 s."),
    ("a Secret is missing", a_taxonomy(**NO_SECRET), "Taxonomy birds is being checked. Secret git does not exist."),
    ("a Git Secret is missing", a_taxonomy(True, checkRequestedAt=None, **NO_SECRET),
     "The repository of Taxonomy birds is being looked at anew. Secret git does not exist."),
    ("nothing is in its way", replace(a_taxonomy(), source_revision="newer"),
     "The source of Taxonomy birds has changed and is being checked."),
    ("what was broken is mended", replace(a_taxonomy(**OLD), source_revision="newer"),
     "The source of Taxonomy birds has changed and is being checked."),
]  # fmt: skip


@pytest.mark.parametrize(("taxonomy", "text"), [c[1:] for c in WAITS], ids=[c[0] for c in WAITS])
def test_a_run_that_waits_for_a_check_says_what_the_check_waits_for(taxonomy: TaxonomyFound, text: str) -> None:
    assert pinned(None, taxonomy, CREATED) == Problem(Reason.TAXONOMY_CHECKING, text)


def test_an_older_snapshot_only_by_its_digest() -> None:
    broken = a_taxonomy(conditions=NOT_READY)
    assert pinned("sha256:" + "b" * 64, broken, CREATED) == "sha256:" + "b" * 64
    said = pinned(None, broken, CREATED)
    assert isinstance(said, Problem)
    assert "trailing spaces" in said.message


def look(**changes: Any) -> RunSeen:
    return replace(World(leaves=3).observe(), **changes)


def with_spec(seen: RunSeen, **spec: Any) -> RunSeen:
    return replace(seen, spec=type(seen.spec).model_validate({"taxonomyRef": {"name": "birds"}, **spec}))


def test_inputs_are_frozen_with_their_digest() -> None:
    plan = accept(look(), START)
    (put,) = [a for a in plan.actions if isinstance(a, PutObject)]
    inputs = RunInputs.model_validate_json(put.body)
    assert plan.status.inputs_digest is not None
    assert put.key.endswith(f"/.run/frozen/{plan.status.inputs_digest.removeprefix('sha256:')}.json")
    assert [leaf.id for leaf in inputs.leaves] == ["leaf0", "leaf1", "leaf2"]
    assert plan.status.plan is not None
    assert plan.status.plan.leaves == 3
    assert plan.status.plan.expected_samples == sum(leaf.expected_samples for leaf in inputs.leaves)
    assert plan.status.state == "queued"


def test_the_same_world_freezes_the_same_bytes() -> None:
    assert accept(look(), START) == accept(look(), START)


def test_leaves_are_chosen_by_folder() -> None:
    index = World(leaves=3).index()
    assert [leaf.id for leaf in select(index, ["knowledge/leaf1"])] == ["leaf1"]
    assert len(select(index, ["knowledge/*"])) == 3
    assert select(index, ["skills/*"]) == ()


def test_a_glob_that_matches_nothing_fails_at_once() -> None:
    plan = accept(with_spec(look(), leaves=["nothing/*"]), START)
    assert (plan.status.state, plan.status.failure and plan.status.failure.reason) == ("failed", Reason.NO_LEAVES)


def test_what_differs_in_settings_differs_in_digest() -> None:
    one = accept(with_spec(look()), START).status.inputs_digest
    other = accept(with_spec(look(), generation={"scaleFactor": 7}), START).status.inputs_digest
    assert one != other


def test_a_merge_needs_no_taxonomy_and_no_teacher() -> None:
    seen = look()
    seen = replace(
        seen,
        spec=type(seen.spec).model_validate({"dataSources": [{"skillsKey": "a.jsonl"}]}),
        surroundings=replace(
            seen.surroundings,
            taxonomy=Look(),
            index=Look(),
            teacher=Look(),
            merge=Look(Merge(MixPlan(sources=(), files=(MergeFile(key="a.jsonl", kind="skills"),)), 10)),
        ),
    )
    plan = accept(seen, START)
    assert plan.status.resolved is not None
    assert plan.status.resolved.teacher is None
    digest = (plan.status.merge_digest or "").removeprefix("sha256:")
    (body,) = [a.body for a in plan.actions if isinstance(a, PutObject) and digest in a.key]
    assert MixPlan.model_validate_json(body).files[0].key == "a.jsonl"


def test_a_snapshot_is_brought_to_another_bucket() -> None:
    plan = accept(with_spec(look(settings=open_settings()), output={"secretName": "team-b"}), START)
    assert CopySnapshot(DIGEST, "sdg-storage", "team-b") in plan.actions
    assert plan.status.resolved is not None
    assert plan.status.resolved.storage_secret_name == "team-b"


def open_settings() -> Settings:
    return Settings.model_validate(
        {"images": {"engine": "e", "runner": "r"}, "allowed": {"storageSecrets": ["sdg-storage", "team-b"]}}
    )


@pytest.mark.parametrize(
    ("spec", "state", "reason"),
    [({"suspend": True}, "queued", "Suspended"), ({"cancel": True}, "canceled", "Canceled")],
    ids=["suspended", "canceled"],
)
def test_the_users_wish_is_heard_before_anything_is_asked_for(spec: dict[str, Any], state: str, reason: str) -> None:
    plan = accept(with_spec(look(), **spec), START)
    assert (plan.status.state, plan.actions) == (state, ())
    assert next(c.reason for c in plan.status.conditions if c.type == "Progressing") == reason
