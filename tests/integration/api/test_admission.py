"""What the API server takes and refuses: the tables in taxonomy.yaml and datageneration.yaml."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api.kube import Kube, Refused


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    kind: str
    name: str
    body: dict[str, Any]
    then: dict[str, Any] | None
    refused: str | None


def _cases(kind: str) -> list[Case]:
    rows = yaml.safe_load((Path(__file__).parent / f"{kind.lower()}.yaml").read_text())
    cases = []
    for row in rows:
        ((name, given),) = row.items()
        known = {"spec", "object", "then", "refused"}
        assert given.keys() <= known, f"{name}: unknown keys {given.keys() - known}"
        default_name = re.sub(r"[^a-z0-9]+", "-", name.lower())[:25].strip("-")
        body = given["object"] if "object" in given else {"spec": given["spec"]}
        body.setdefault("metadata", {"generateName": f"{default_name[:20]}-"})
        cases.append(Case(kind, name, body, given.get("then"), given.get("refused")))
    return cases


CASES = [*_cases("Taxonomy"), *_cases("DataGeneration")]


def _apply(kube: Kube, case: Case) -> None:
    if case.then is None:
        kube.create(case.kind, case.body, dry_run=True)
        return
    current = kube.create(case.kind, case.body)
    try:
        kube.replace(case.kind, current, case.then)
    finally:
        kube.delete(case.kind, current)


@pytest.mark.parametrize("case", [c for c in CASES if not c.refused], ids=lambda case: f"{case.kind}: {case.name}")
def test_is_accepted(kube: Kube, case: Case) -> None:
    _apply(kube, case)


@pytest.mark.parametrize("case", [c for c in CASES if c.refused], ids=lambda case: f"{case.kind}: {case.name}")
def test_is_refused_in_words(kube: Kube, case: Case) -> None:
    with pytest.raises(Refused, match=re.escape(case.refused or "")):
        _apply(kube, case)


def test_there_are_enough_cases_and_no_name_is_used_twice() -> None:
    names = [(case.kind, case.name) for case in CASES]
    assert len(names) >= 60
    assert len(names) == len(set(names))
