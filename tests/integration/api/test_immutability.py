"""A run's spec cannot change: walk every field of the CRD through add, change and remove."""

from copy import deepcopy
from typing import Any

import pytest

from sdg_operator.api.kinds import DATA_GENERATION
from tests.integration.api.frozen_fields import FIELDS, ROWS
from tests.integration.api.kube import Kube, Refused

KIND = DATA_GENERATION.name
FREE = {"suspend", "cancel"}
BASE = {"taxonomyRef": {"name": "birds"}}
FROZEN = [field for field in FIELDS if field not in FREE]


def _with(field: str, row: dict[str, Any], value: Any) -> dict[str, Any]:
    """Return the row's spec with the field set, and the neighbours that it needs."""
    spec = _without(row)
    *parents, last = field.split(".")
    place = spec
    for parent in parents:
        if parent.endswith("[]"):
            place = place.setdefault(parent.removesuffix("[]"), [{}])[0]
        else:
            place = place.setdefault(parent, {})
    place.update(row.get("beside", {}))
    place[last] = value
    return spec


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(row.get("around", {}) if "dataSources" in row.get("around", {}) else BASE | row.get("around", {}))


@pytest.mark.parametrize("field", FROZEN)
def test_cannot_be_added_changed_or_removed(kube: Kube, field: str) -> None:
    row = ROWS[field]
    without, having = _without(row), _with(field, row, row["value"])
    changed = _with(field, row, row["other"])
    for before, after in ((without, having), (having, changed), (having, without)):
        current = kube.create(KIND, {"metadata": {"generateName": "frozen-"}, "spec": before})
        try:
            with pytest.raises(Refused, match="cannot be changed: a DataGeneration is one run"):
                kube.replace(KIND, current, after)
        finally:
            kube.delete(KIND, current)


@pytest.mark.parametrize("field", FROZEN)
def test_may_be_repeated_as_it_is(kube: Kube, field: str) -> None:
    spec = _with(field, ROWS[field], ROWS[field]["value"])
    current = kube.create(KIND, {"metadata": {"generateName": "same-"}, "spec": spec})
    try:
        kube.replace(KIND, current, {**spec, "suspend": True})
    finally:
        kube.delete(KIND, current)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"suspend": True}),
        ({"suspend": True}, {"suspend": False}),
        ({"suspend": True}, {}),
        ({}, {"cancel": True}),
        ({"cancel": False}, {"cancel": True}),
        ({"cancel": False}, {}),
    ],
)
def test_suspend_and_cancel_may_change(kube: Kube, before: dict[str, Any], after: dict[str, Any]) -> None:
    current = kube.create(KIND, {"metadata": {"generateName": "free-"}, "spec": BASE | before})
    try:
        assert kube.replace(KIND, current, BASE | after)["spec"] == BASE | after
    finally:
        kube.delete(KIND, current)
