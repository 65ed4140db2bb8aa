"""docs/engine-contract.md names everything that the contract has."""

from pathlib import Path

import pytest

from sdg_operator.engine import contract
from sdg_operator.engine.conformance.clauses import CLAUSES
from sdg_operator.engine.contract import ExitCode

DOC = (Path(__file__).parents[3] / "docs" / "engine-contract.md").read_text()


@pytest.mark.parametrize("clause", CLAUSES)
def test_each_clause_is_explained(clause: str) -> None:
    assert f"[{clause}]" in DOC


@pytest.mark.parametrize("name", [value for name, value in vars(contract).items() if name.endswith("_ENV")])
def test_each_variable_is_named(name: str) -> None:
    assert f"`{name}`" in DOC


@pytest.mark.parametrize("code", [code for code in ExitCode if code not in {22, 23, 24, 32}])
def test_each_exit_code_of_an_engine_is_in_the_table(code: ExitCode) -> None:
    assert f"| {code.value} | {code.name} |" in DOC
