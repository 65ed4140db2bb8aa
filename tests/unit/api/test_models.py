"""The operator reads what the API server takes, and gives back the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from sdg_operator.api.common import Placement, Resources
from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus
from sdg_operator.api.kinds import KINDS
from sdg_operator.api.taxonomy import TaxonomySpec
from sdg_operator.taxonomy.giturl import GitUrl

TABLES = Path(__file__).parents[2] / "integration" / "api"


def _accepted() -> list[Any]:
    found = []
    for kind in KINDS:
        for row in yaml.safe_load((TABLES / f"{kind.name.lower()}.yaml").read_text()):
            ((name, case),) = row.items()
            if "refused" not in case:
                spec = case["spec"] if "spec" in case else case["object"]["spec"]
                found.append(pytest.param(kind.spec, spec, id=f"{kind.name}: {name}"))
    return found


@pytest.mark.parametrize(("model", "spec"), _accepted())
def test_an_accepted_spec_is_read_and_given_back_as_it_was(model: Any, spec: dict[str, Any]) -> None:
    assert model.model_validate(spec).model_dump(by_alias=True, exclude_unset=True) == spec


def _accepted_urls() -> list[str]:
    specs = [TaxonomySpec.model_validate(case.values[1]) for case in _accepted() if case.values[0] is TaxonomySpec]
    return [spec.source.git.url for spec in specs if spec.source.git]


@pytest.mark.parametrize("url", _accepted_urls())
def test_a_url_that_the_api_server_takes_is_taken_by_the_check(url: str) -> None:
    assert str(GitUrl.parse(url)) == url


def test_a_field_of_a_newer_release_is_passed_over() -> None:
    spec = DataGenerationSpec.model_validate({"taxonomyRef": {"name": "birds", "later": 1}, "evenLater": {}})
    assert spec.model_dump(by_alias=True, exclude_unset=True) == {"taxonomyRef": {"name": "birds"}}


def test_a_model_cannot_be_changed_in_memory() -> None:
    spec = TaxonomySpec.model_validate({"source": {"bucket": {"key": "t.tar.gz"}}})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, "interval_seconds", 60)  # noqa: B010 - mypy would refuse the assignment already


def test_an_empty_status_is_a_status() -> None:
    assert DataGenerationStatus.model_validate({}).state is None


@pytest.mark.parametrize("text", ["1", "500m", "16Gi", "0.5", "1e3", "100k", 1, 0])
def test_a_quantity_as_in_a_pod_is_taken(text: int | str) -> None:
    assert Resources(limits={"cpu": text}).limits == {"cpu": text}


@pytest.mark.parametrize("text", ["", "4 Gi", "-1", -1, "1GiB", "much", "1,5"])
def test_what_is_no_quantity_is_refused(text: int | str) -> None:
    with pytest.raises(ValidationError, match="not a quantity; write it as in a pod"):
        Resources(limits={"cpu": text})


def test_two_full_placements_fit_into_one() -> None:
    """What a run and the administrator write is half of what the status holds."""
    full = {f"k{n}": "v" for n in range(16)}
    spec = DataGenerationSpec.model_validate(
        {"taxonomyRef": {"name": "birds"}, "placement": {"labels": full, "tolerations": [{"key": "k"}] * 8}}
    )
    other = {f"other{n}": "v" for n in range(16)}
    both = Placement(
        labels={**spec.placement.labels, **other},
        tolerations=[*spec.placement.tolerations, *spec.placement.tolerations],
    )
    assert len(both.labels) == 32
