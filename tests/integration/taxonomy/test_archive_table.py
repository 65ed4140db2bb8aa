"""The table of archives: what each is refused for, or which leaves are found in it."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from sdg_operator.taxonomy.archive import read_archive
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.folder import read_folder
from sdg_operator.taxonomy.inspection import failed, inspect
from sdg_operator.taxonomy.report import SERVICE_TEXT, FullReport
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.source import Read
from sdg_operator.taxonomy.tree import Tree
from tests.integration.peak import fresh_peak_bytes, peak_bytes
from tests.taxonomies.archives import ARCHIVE_CASES, GOOD, ArchiveCase
from tests.taxonomies.making import packed


def report_on(tree: Tree, limits: Limits) -> FullReport:
    return inspect("test", Read(tree, "r"), limits, Deadline(60), None).report


def report_of(archive: bytes, limits: Limits) -> FullReport:
    try:
        return report_on(read_archive(io.BytesIO(archive), limits), limits)
    except CheckError as error:
        return failed("test", error)


@pytest.mark.parametrize("case", ARCHIVE_CASES, ids=lambda case: case.name)
def test_an_archive_gets_the_reason_and_the_words_that_the_table_says(case: ArchiveCase) -> None:
    report = report_of(case.make(), Limits(**case.limits))
    assert (report.reason, report.ok) == (case.reason, case.reason == "Valid"), report.message
    assert case.message in report.message
    assert report.message.startswith(SERVICE_TEXT.get(case.reason, ""))
    if report.ok:
        assert [leaf.folder for leaf in report.leaves] == [f"taxonomy/{folder}" for folder in case.leaves]
        assert report.root == case.root
        assert report.counts.ignored == len(case.ignored)
        said = [str(warning) for warning in report.warnings]
        assert all(any(part in line for line in said) for part in case.ignored), said


def test_where_there_are_no_leaves_the_root_and_what_is_ignored_are_still_told() -> None:
    report = report_of(packed({"top/compositional_skills/a/qna.yml": "x", "top/knowledge/b/README": "x"}), Limits())
    assert (report.reason, report.root, report.counts.ignored) == ("NoLeaves", "top", 1)
    assert [problem.file for problem in report.problems] == ["compositional_skills/a/qna.yml"]


def test_good_leaves_are_told_beside_bad_ones() -> None:
    report = report_of(packed({**GOOD, "knowledge/bad/qna.yaml": "a: b \n"}), Limits())
    assert not report.ok
    assert [(leaf.kind, leaf.path, leaf.seeds) for leaf in report.found] == [
        ("freeform", "compositional_skills->a", 5),
        ("grounded", "compositional_skills->b->c", 5),
        ("knowledge", "knowledge->d", 5),
    ]
    assert report.found[2].document is not None
    assert report.found[2].document.patterns == ("*.md",)


def test_equal_content_has_equal_leaf_digests_however_it_is_packed() -> None:
    flat = report_of(packed(dict(GOOD)), Limits())
    nested = report_of(packed({f"top/{name}": text for name, text in reversed(GOOD.items())}), Limits())
    assert flat.leaves == nested.leaves
    assert len(flat.leaves) == 3


def test_a_folder_reads_like_its_archive(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "qna.yaml").write_text("never read")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed(dict(GOOD))))) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "compositional_skills" / "link").symlink_to("/etc")
    folder = read_folder(tmp_path, Limits())
    archived = read_archive(io.BytesIO(packed(dict(GOOD))), Limits())
    assert folder.files == archived.files
    assert folder.roots == archived.roots
    assert folder.links == ["compositional_skills/link"]


def test_a_bomb_is_refused_within_little_memory() -> None:
    bomb = gzip.compress(b"\0" * 512 + tarfile.TarInfo("big").tobuf() + b"\0" * (256 << 20), compresslevel=1)
    before = fresh_peak_bytes()
    report = report_of(bomb, Limits(archive_bytes=64 << 20))
    assert not report.ok
    assert peak_bytes() - before < 40 << 20
