"""Check one leaf of the table with the code that the validate container runs."""

from sdg_operator.taxonomy.check import check_tree
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.tree import Tree
from tests.taxonomies.leaves import LeafCase


def problems_of(case: LeafCase) -> tuple[tuple[Problem, ...], tuple[Problem, ...], list[str]]:
    """Return the problems, the warnings and the kinds of the leaves."""
    content = case.content.encode() if isinstance(case.content, str) else case.content
    try:
        checked = check_tree(Tree(files={case.file: content}, roots={""}), Limits(), Deadline(60), lint_mode="Strict")
    except CheckError as error:
        if error.reason != "NoLeaves":
            raise
        return (), error.problems, []
    return checked.problems, checked.warnings, [leaf.qna.kind for leaf in checked.leaves]
