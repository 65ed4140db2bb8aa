"""The table of leaves: what each text gets."""

import pytest

from tests.taxonomies.checking import problems_of
from tests.taxonomies.leaves import LEAF_CASES, LeafCase


@pytest.mark.parametrize("case", LEAF_CASES, ids=lambda case: case.name)
def test_a_leaf_gets_the_problems_that_the_table_says(case: LeafCase) -> None:
    problems, warnings, kinds = problems_of(case)
    said = [str(problem) for problem in problems]
    missing = [want for want in case.wants if not any(want in line for line in said)]
    assert not missing, f"{missing} not in {said}"
    assert len(said) == len(case.wants), said
    assert all(line.startswith(case.file) for line in said)
    assert (case.warns is None) == (not warnings)
    assert case.warns is None or case.warns in str(warnings[0])
    if case.kind:
        assert kinds == [case.kind]
