"""Each seeded mistake still has its place in the sources: said in seconds, before the property tests look for it."""

import pytest

from tests.property.mutants import Mutant, mutated
from tests.property.test_mutants import MUTANTS
from tests.property.test_taxonomy_mutants import MUTANTS as TAXONOMY_MUTANTS


@pytest.mark.parametrize("mutant", [*MUTANTS, *TAXONOMY_MUTANTS], ids=lambda m: m.name)
def test_a_mistake_has_one_place_in_the_source(mutant: Mutant) -> None:
    assert mutant.new in mutated(mutant)
