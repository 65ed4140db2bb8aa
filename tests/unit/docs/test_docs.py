"""The documents keep up with the code: every reason, alert, make target and chart value is what they say it is."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from hack.generate.chart import CHART, ROOT
from hack.generate.chart_values import Values
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.taxonomy import report

TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), CHART / "README.md"])


@pytest.mark.parametrize("reason", sorted({*Reason, *get_args(report.Reason)}))
def test_every_reason_is_explained(reason: str) -> None:
    rows = [line for line in TROUBLESHOOTING.splitlines() if line.startswith("|") and f"`{reason}`" in line]
    assert rows, "docs/troubleshooting.md has a row that says what to do"


def test_no_reason_is_explained_that_is_never_given() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TROUBLESHOOTING, flags=re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert explained - {*Reason, *get_args(report.Reason)} == set()


def test_every_alert_has_its_section() -> None:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]
    for rule in rules:
        assert f"### {rule['alert']}\n" in TROUBLESHOOTING


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = re.findall(
        r"(?:`|^| )(?:\w+=\S+ )*make ([a-z]+(?:-[a-z]+)*)(?:`| *$| +#| [A-Z])", page.read_text(), flags=re.MULTILINE
    )
    assert [name for name in named if name not in targets] == []


# The reference of the settings leaves the word `settings` out.
@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if p.name != "api-reference.md"])
def test_every_value_of_the_chart_that_is_named_exists(page: Path) -> None:
    sections = (
        "images|settings|crds|rbac|networkPolicy|podMonitor|prometheusRule|dashboard|admissionPolicy|serviceAccount"
    )
    named = re.findall(rf"(?:`|--set )((?:{sections})\.[A-Za-z0-9.]+)", page.read_text())
    assert [name for name in named if not _is_value(name)] == []


def _is_value(path: str) -> bool:
    model: type[BaseModel] = Values
    *sections, last = path.split(".")
    for name in sections:
        field = next((f for n, f in model.model_fields.items() if name in (n, f.alias)), None)
        if field is None or not isinstance(field.default, BaseModel):
            return False
        model = type(field.default)
    return any(last in (n, f.alias) for n, f in model.model_fields.items())
