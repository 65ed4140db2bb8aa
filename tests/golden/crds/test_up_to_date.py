"""The files that others install and read are exactly what the models say now."""

from pathlib import Path

import pytest

from hack.generate.__main__ import ROOT, outputs
from hack.verify.generated import left_over

OUTPUTS = outputs()


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == OUTPUTS[path], f"run `make generate`: {path.relative_to(ROOT)} is out of date"


def test_no_file_is_left_over() -> None:
    assert list(left_over(OUTPUTS)) == []
