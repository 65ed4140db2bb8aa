"""The table of leaves: InstructLab's own parser says the same."""

import logging
import os
import sys
from pathlib import Path

import pytest
from instructlab.schema.taxonomy import TaxonomyMessageFormat, TaxonomyParser

from tests.taxonomies.checking import problems_of
from tests.taxonomies.leaves import LEAF_CASES, LeafCase

pytestmark = pytest.mark.deep  # each row starts upstream's own check

AGREEING = [case for case in LEAF_CASES if not case.stricter]


@pytest.mark.parametrize("case", AGREEING, ids=lambda case: case.name)
def test_instructlab_says_the_same(
    case: LeafCase, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    file = tmp_path / case.file
    file.parent.mkdir(parents=True)
    file.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    parser = TaxonomyParser(schema_version=0, message_format=TaxonomyMessageFormat.LOGGING, yamllint_strict=True)
    parser.yq_available = False  # its lines; ours are checked by the table
    with caplog.at_level(logging.WARNING):
        parser.parse(file)
    theirs = sorted(record.getMessage().split(" ", 1)[1] for record in caplog.records)
    problems, _, _ = problems_of(case)
    ours = sorted(problem.message.removesuffix("; put it in quotes") for problem in problems)
    if case.warns == "The file is empty":
        assert theirs == ["The file is empty"]
    else:
        assert ours == theirs
