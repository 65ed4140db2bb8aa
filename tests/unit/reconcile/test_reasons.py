"""Reasons are stable words, and each is explained to those who meet it."""

from pathlib import Path

import pytest

from sdg_operator.reconcile.reasons import Reason

TROUBLESHOOTING = (Path(__file__).parents[3] / "docs" / "troubleshooting.md").read_text()


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_explained_in_the_documents(reason: Reason) -> None:
    rows = [line for line in TROUBLESHOOTING.splitlines() if line.startswith("|") and f"`{reason}`" in line]
    assert rows, "docs/troubleshooting.md has a row that says what to do"
