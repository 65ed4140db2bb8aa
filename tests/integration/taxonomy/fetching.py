"""Fetch the documents of leaves, and look at what came of it."""

from typing import Any

from sdg_operator.taxonomy.check import check_tree
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.documents import Gathered, gather
from sdg_operator.taxonomy.repository import Access
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.tree import Tree
from tests.taxonomies.making import knowledge

TEXT = "# Birds\n\nThey fly.\n"


def fetched(access: Access, *documents: dict[str, Any]) -> Gathered:
    """Fetch the documents of one leaf for each `document`: knowledge/leaf0, knowledge/leaf1, …"""
    files = {f"knowledge/leaf{n}/qna.yaml": knowledge(document=item).encode() for n, item in enumerate(documents)}
    checked = check_tree(Tree(files=files, roots={""}), Limits(), Deadline(60))
    assert not checked.problems
    return gather(checked.leaves, access)


def contents(gathered: Gathered, leaf: str = "knowledge_leaf0") -> dict[str, str]:
    return {item.name: item.path.read_text() for item in gathered.documents[leaf]}


def refused(gathered: Gathered) -> str:
    assert not gathered.documents
    assert len(gathered.problems) == 1
    problem = gathered.problems[0]
    assert problem.file == "knowledge/leaf0/qna.yaml"
    assert problem.line is not None
    assert problem.line > 1
    return f"{gathered.reason} {problem.message}"
