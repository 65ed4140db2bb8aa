"""An image is built anew when what it is made from or made on changes, and only then; and what all images have."""

import re
from pathlib import Path

import pytest

from hack.cluster.images import CHART_IMAGES, DEMO_IMAGES, IMAGES, _key

ROOT = Path(__file__).parents[3]


def test_an_image_on_another_base_is_another_image() -> None:
    operator = IMAGES["sdg-operator"]
    assert _key(operator, "") == _key(operator, "")
    assert len({_key(operator, base) for base in ("", "registry.example/python:1", "registry.example/python:2")}) == 3


@pytest.mark.parametrize("name", [*CHART_IMAGES, *DEMO_IMAGES])
def test_an_image_says_what_it_is_and_runs_as_a_number_in_group_0(name: str) -> None:
    recipe = (ROOT / "images" / name / "Containerfile").read_text()
    assert f'org.opencontainers.image.title="{name}"' in recipe
    assert "org.opencontainers.image.licenses=" in recipe
    (user,) = re.findall(r"^USER (\d+):0$", recipe, re.MULTILINE)
    assert int(user) > 0
