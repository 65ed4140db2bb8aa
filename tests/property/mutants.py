"""Mistakes that are made in a copy of our sources, to see that a test finds them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "sdg_operator"


class Mutant(NamedTuple):
    name: str
    file: str
    """In `reconcile`."""
    old: str
    new: str
    in_gate: bool = False
    """Whether it is tried at each landing: the few worst, which 100 examples find."""


def cases(mutants: list[Mutant]) -> list[Any]:
    """The mistakes as a test's parameters; those that are not for the gate are marked as deep."""
    return [pytest.param(each, id=each.name, marks=() if each.in_gate else pytest.mark.deep) for each in mutants]


def mutated(mutant: Mutant) -> str:
    """The source with the mistake in it; there must be one place for it."""
    text = (PACKAGE / "reconcile" / mutant.file).read_text()
    assert text.count(mutant.old) == 1, "the mutant no longer fits the source: write it anew"
    return text.replace(mutant.old, mutant.new)


def assert_found(mutant: Mutant, by: tuple[str, ...], folder: Path) -> None:
    """Make the mistake in a copy of the sources in `folder`: the tests in the files `by` must fail of it."""
    source = folder / "sdg_operator"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "reconcile" / mutant.file).write_text(mutated(mutant))
    environment = os.environ | {
        "PYTHONPATH": f"{folder}:{ROOT}",
        "SDG_PROPERTY_UNSHRUNK": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            *(f"tests/property/{file}" for file in by),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, f"survived:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    for stumble in ("SyntaxError", "NameError", "ImportError", "TypeError", "AttributeError"):
        assert stumble not in result.stdout, f"broken, but not by the mistake:\n{result.stdout[-2000:]}"
