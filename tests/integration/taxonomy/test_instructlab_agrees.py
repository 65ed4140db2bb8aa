"""The table of leaves: InstructLab's own parser says the same."""

import logging
import os
import re
import sys
from pathlib import Path

import pytest
from instructlab.schema.taxonomy import TaxonomyMessageFormat, TaxonomyParser

from tests.taxonomies.checking import problems_of
from tests.taxonomies.leaves import LEAF_CASES, LeafCase

pytestmark = pytest.mark.deep  # each row starts upstream's own check

_PATH = re.compile(r"\[\.\S*\] ")
_SAME = {
    "not supported for knowledge": "knowledge of an old version",
    "reads knowledge of version 3 only": "knowledge of an old version",
    "(key-duplicates)": "a key twice",
    "is here twice": "a key twice",
}
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
    if case.warns == "The file is empty":
        assert theirs == ["The file is empty"]
    else:
        assert {_subject(problem.message) for problem in problems} == {_subject(message) for message in theirs}


def _subject(message: str) -> str:
    """What a message is about: our words are others than theirs, except where yamllint's are taken."""
    if path := _PATH.match(message):
        return path[0]
    return next((same for part, same in _SAME.items() if part in message), message)
