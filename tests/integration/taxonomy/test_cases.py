"""Archives as people make them, `tests/taxonomies/cases`: each gets the verdict, and the words, that it must get.

``expected.json`` says them: ``accept``, ``warn`` (usable, with a warning) or ``refuse``; ``mention`` are patterns that
what a person reads must match; those with ``documents`` are checked with theirs, which a real Git server serves, below
``private/`` with a password.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.gitserver.certificates import Certificates
from sdg_operator.cli.taxonomy import print_report
from sdg_operator.taxonomy.archive import read_archive
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.inspection import failed, inspect
from sdg_operator.taxonomy.report import FullReport
from sdg_operator.taxonomy.request import Limits, Lint
from sdg_operator.taxonomy.source import Read
from tests.git.https import HttpsGitServer, https_git_server
from tests.integration.taxonomy.conftest import Client

CASES = Path(__file__).parents[2] / "taxonomies" / "cases"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "expected.json").read_text())
WRITTEN = b"http://127.0.0.1:18080/"
"""Where the archives say that their documents are."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[HttpsGitServer]:
    root = tmp_path_factory.mktemp("documents")
    with tarfile.open(CASES / "documents.tgz") as packed:
        packed.extractall(root, filter="data")
    with https_git_server(root, certificates) as running:
        running.behaviour.accounts["/private/"] = "reader:secret"
        yield running


def report_of(name: str, documents: HttpsGitServer, client: Client, lint: Lint = "Warn") -> FullReport:
    limits = Limits()
    try:
        tree = read_archive(io.BytesIO((CASES / name).read_bytes()), limits)
        here = documents.url("").encode()
        tree.files = {path: content.replace(WRITTEN, here) for path, content in tree.files.items()}
        access = client.access() if EXPECTED[name].get("documents") else None
        return inspect(name, Read(tree, "revision"), limits, Deadline(120), access, lint=lint).report
    except CheckError as error:
        return failed(name, error)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_case_gets_its_verdict_and_its_words(
    name: str, documents: HttpsGitServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = EXPECTED[name]
    report = report_of(name, documents, client)
    print_report(report, "text", Path(name))
    said = capsys.readouterr().out
    if report.ok or not expected.get("also_ok"):
        assert report.ok == (expected["verdict"] != "refuse"), said
    if expected["verdict"] == "warn":
        assert report.warnings, said
    missing = [pattern for pattern in expected["mention"] if not re.search(pattern, said)]
    assert not missing, f"{missing} not in {said}"
    if report.ok:
        leaves: dict[str, int] = expected.get("leaves", {})
        assert {kind: getattr(report.counts, kind) for kind in leaves} == leaves


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if EXPECTED[name]["verdict"] == "warn"))
def test_what_is_wrong_in_form_alone_is_refused_where_the_administrator_is_strict(
    name: str, documents: HttpsGitServer, client: Client
) -> None:
    report = report_of(name, documents, client, "Strict")
    assert (report.ok, report.reason) == (False, "InvalidTaxonomy")
    assert any(re.search(EXPECTED[name]["mention"][0], str(problem)) for problem in report.problems)


def test_the_archives_are_those_that_are_told_of() -> None:
    assert {file.name for file in CASES.glob("*.tar.gz")} == set(EXPECTED)
