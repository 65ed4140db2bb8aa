"""Prints what each taxonomy of the tables gets: ``python -m tests.taxonomies.table``."""

import io
from collections.abc import Iterator

from sdg_operator.taxonomy.archive import read_archive
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.inspection import failed, inspect
from sdg_operator.taxonomy.report import SERVICE_TEXT, FullReport
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.source import Read
from sdg_operator.taxonomy.tree import Tree
from tests.taxonomies.archives import ARCHIVE_CASES
from tests.taxonomies.leaves import LEAF_CASES


def rows() -> Iterator[tuple[str, FullReport]]:
    """Give the name and the report of each; documents are not fetched."""
    for leaf in LEAF_CASES:
        content = leaf.content.encode() if isinstance(leaf.content, str) else leaf.content
        yield leaf.name, _report(Tree(files={leaf.file: content}, roots={""}), Limits())
    for case in ARCHIVE_CASES:
        limits = Limits(**case.limits)
        try:
            tree = read_archive(io.BytesIO(case.make()), limits)
        except CheckError as error:
            yield case.name, failed(case.name, error)
        else:
            yield case.name, _report(tree, limits)


def _report(tree: Tree, limits: Limits) -> FullReport:
    try:
        return inspect("table", Read(tree, ""), limits, Deadline(60), None).report
    except CheckError as error:
        return failed("table", error)


def main() -> None:
    """Print the table."""
    number = 0
    for number, (name, report) in enumerate(rows(), 1):  # noqa: B007 - counted
        first = next(iter((*report.problems, *report.warnings)), None)
        words = str(first or report.message).removeprefix(SERVICE_TEXT.get(report.reason, "")).strip()
        print(f"{report.reason:15} {'warned' if report.ok and report.warnings else '':6} {name[:60]:60} {words[:200]}")
    print(f"{number} taxonomies")


if __name__ == "__main__":
    main()
