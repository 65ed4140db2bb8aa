"""``sdg taxonomy check`` as a person or a CI job runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sdg_operator.cli.main import main
from tests.taxonomies.archives import GOOD
from tests.taxonomies.making import knowledge, packed, skill

EXAMPLE = Path(__file__).parents[3] / "examples" / "taxonomy"


def _commit_of(taxonomy: Path) -> str:
    (leaf,) = taxonomy.glob("knowledge/**/qna.yaml")
    commit: str = yaml.safe_load(leaf.read_text())["document"]["commit"]
    return commit


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def leaf(name: str, content: str) -> None:
        file = tmp_path / "compositional_skills" / name / "qna.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(content)

    leaf("good", skill())
    leaf("bad", skill().replace("Do it.", "Do it.  "))
    leaf("odd,name", skill(created_by=None))
    other = tmp_path / "foundational_skills" / "x" / "qna.yaml"
    other.parent.mkdir(parents=True)
    other.write_text(skill())
    return tmp_path


def test_the_example_is_usable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "--no-documents", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == (
        "grounded  compositional_skills->extraction->bird_sightings (5 seed examples)\n"
        "freeform  compositional_skills->writing->plain_words (5 seed examples)\n"
        "knowledge knowledge->science->animals->birds->house_sparrow (5 seed examples)\n"
        "          documents *.md of https://documents.sdg-demo.svc/birds.git at "
        f"{_commit_of(EXAMPLE)}\n"
        f"Taxonomy in {EXAMPLE} is valid: 3 leaves (1 knowledge, 2 skills) with 15 seed examples\n"
    )


def test_problems_are_named_with_their_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "--strict", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "freeform  compositional_skills->good (5 seed examples)",
        "WARNING: foundational_skills/x/qna.yaml foundational_skills are not read by InstructLab's data generation; "
        "only compositional_skills and knowledge",
        "ERROR: compositional_skills/bad/qna.yaml:3:25 trailing spaces (trailing-spaces)",
        "ERROR: compositional_skills/odd,name/qna.yaml:1:1 [.] `created_by` is missing",
        f"Taxonomy in {folder} is not usable (InvalidTaxonomy): 2 problems in 2 files, the first: "
        "compositional_skills/bad/qna.yaml:3:25 trailing spaces (trailing-spaces)",
        f"1 matter of form; `sdg taxonomy check {folder} --fix` mends them where that is safe",
    ]


def test_form_alone_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "compositional_skills" / "odd,name" / "qna.yaml").write_text(skill())
    assert main(["taxonomy", "check", str(folder)]) == 0
    assert "WARNING: compositional_skills/bad/qna.yaml:3:25 trailing spaces (trailing-spaces)" in (
        capsys.readouterr().out.splitlines()
    )


def test_annotations_are_what_github_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "--output", "github", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        f"::warning file={folder}/compositional_skills/bad/qna.yaml,line=3,col=25::trailing spaces (trailing-spaces)",
        f"::error file={folder}/compositional_skills/odd%2Cname/qna.yaml,line=1,col=1::[.] `created_by` is missing",
    ]
    assert lines[0].startswith(f"::warning file={folder}/foundational_skills/x/qna.yaml::")


def test_what_lies_beside_the_taxonomys_folder_is_annotated_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("top/compositional_skills/a/qna.yaml", "other/x/qna.yml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(skill())
    assert main(["taxonomy", "check", "--output", "github", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"::warning file={tmp_path}/other/x/qna.yml::lies outside")


def test_nothing_that_is_written_in_a_leaf_is_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = {
        "repo": "https://git.example.org/\x1b[31m\n::error::a",
        "patterns": ["\x9b2J\r::error::b", "##[error]c"],
        "commit": "\u202ex",
    }
    for name in ("a", "b\u202e"):
        (tmp_path / "knowledge" / name).mkdir(parents=True)
        (tmp_path / "knowledge" / name / "qna.yaml").write_text(knowledge(document=odd))
    assert main(["taxonomy", "check", "--no-documents", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert output.count("::error::a") == output.count("::error::b") == 2
    assert output.count("[error]c") == 2
    assert "##[" not in output
    lines = output.split("\n")
    assert all(line.isprintable() and not line.startswith("::") for line in lines)
    assert len(lines) == 6


def test_names_of_folders_hold_nothing_that_a_terminal_obeys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "knowledge" / "\x9b31m").mkdir(parents=True)
    (tmp_path / "knowledge" / "\x9b31m" / "qna.yaml").write_text(knowledge())
    assert main(["taxonomy", "check", "--no-documents", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "has control characters; rename it" in output
    assert "\x9b" not in output


def test_a_terminal_that_knows_few_letters_gets_the_rest_written_out(tmp_path: Path) -> None:
    (tmp_path / "knowledge" / "\u00e9").mkdir(parents=True)
    (tmp_path / "knowledge" / "\u00e9" / "qna.yaml").write_text(knowledge())
    command = [sys.executable, "-m", "sdg_operator.cli.main", "taxonomy", "check", "--no-documents", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    assert "knowledge->\\xe9 (5 seed examples)" in result.stdout


class TestBaseRef:
    @pytest.fixture
    def work(self, folder: Path) -> Path:
        _git(folder, "init", "--quiet", "--initial-branch=main")
        _git(folder, "add", ".")
        _git(folder, "commit", "--quiet", "--message=x")
        _git(folder, "checkout", "--quiet", "-b", "work")
        return folder

    def test_only_what_is_new_or_changed_is_checked(self, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name, text in {"new": skill(), "good": skill(task_description="Else.")}.items():
            (work / "compositional_skills" / name).mkdir(exist_ok=True)
            (work / "compositional_skills" / name / "qna.yaml").write_text(text)
        _git(work, "commit", "--quiet", "--message=y", "--all")  # the new one is not in Git yet
        assert main(["taxonomy", "check", "--base-ref", "main", str(work)]) == 0
        assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("freeform")] == [
            "compositional_skills->good",
            "compositional_skills->new",
        ]

    def test_paths_are_those_below_the_folder_that_is_checked(
        self, work: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (work / "sub" / "knowledge" / "a").mkdir(parents=True)
        (work / "sub" / "knowledge" / "a" / "qna.yaml").write_text("a: b \n")
        assert main(["taxonomy", "check", "--base-ref", "main", str(work / "sub")]) == 1
        assert "knowledge/a/qna.yaml:1:" in capsys.readouterr().out

    def test_where_nothing_is_new_there_is_nothing_to_check(
        self, work: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (work / "README.md").write_text("x")
        assert main(["taxonomy", "check", "--base-ref", "main", str(work)]) == 0
        assert "no leaf in" in capsys.readouterr().out

    def test_a_new_file_that_is_no_leaf_is_warned_of(self, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (work / "foundational_skills" / "new").mkdir()
        (work / "foundational_skills" / "new" / "qna.yaml").write_text(skill())
        assert main(["taxonomy", "check", "--base-ref", "main", str(work)]) == 0
        assert "WARNING: foundational_skills/new/qna.yaml foundational_skills are not read" in capsys.readouterr().out

    def test_a_changed_leaf_that_is_empty_is_said(self, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (work / "compositional_skills" / "good" / "qna.yaml").write_text("# nothing\n")
        assert main(["taxonomy", "check", "--base-ref", "main", str(work)]) == 1
        assert "every qna.yaml that is new or changed against the base ref is empty" in capsys.readouterr().out

    @pytest.mark.parametrize("base", ["nowhere", "--help"])
    def test_a_ref_that_is_none_is_wrong_usage(self, work: Path, base: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["taxonomy", "check", f"--base-ref={base}", str(work)]) == 2
        assert f"or {base!r} no commit, branch or tag" in capsys.readouterr().err

    def test_an_archive_has_no_base(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.tar.gz").write_bytes(packed(dict(GOOD)))
        assert main(["taxonomy", "check", "--base-ref", "main", str(tmp_path / "x.tar.gz")]) == 2
        assert "is no folder of a Git work tree" in capsys.readouterr().err


class TestFix:
    @pytest.fixture
    def bad(self, folder: Path) -> Path:
        (folder / "compositional_skills" / "odd,name" / "qna.yaml").write_text(skill())
        return folder / "compositional_skills" / "bad" / "qna.yaml"

    @pytest.mark.usefixtures("bad")
    def test_the_check_offers_it(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["taxonomy", "check", str(folder)]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == (
            f"1 matter of form; `sdg taxonomy check {folder} --fix` mends them where that is safe"
        )

    def test_the_change_is_shown_and_written(self, bad: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        bad.chmod(0o640)
        assert main(["taxonomy", "check", "--strict", "--fix", str(folder)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == ["--- a/compositional_skills/bad/qna.yaml", "+++ b/compositional_skills/bad/qna.yaml"]
        assert {"-task_description: Do it.  ", "+task_description: Do it.", "1 file mended"} <= set(lines)
        assert bad.read_text() == skill()
        assert bad.stat().st_mode & 0o777 == 0o640
        assert sorted(file.name for file in bad.parent.iterdir()) == ["qna.yaml"]

    def test_a_diff_writes_nothing(self, bad: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = bad.read_text()
        assert main(["taxonomy", "check", "--diff", str(folder)]) == 0
        assert "1 file would be mended" in capsys.readouterr().out.splitlines()
        assert bad.read_text() == before

    def test_windows_line_ends_and_a_byte_order_mark_go(self, bad: Path, folder: Path) -> None:
        bad.write_bytes(b"\xef\xbb\xbf" + skill().replace("\n", "\r\n").encode())
        assert main(["taxonomy", "check", "--fix", str(folder)]) == 0
        assert bad.read_bytes() == skill().encode()

    @pytest.mark.parametrize("end", ["\r\n", "\r"])
    def test_lines_of_other_systems_are_shown_one_by_one(
        self, bad: Path, folder: Path, end: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bad.write_bytes(skill().replace("Do it.", "Do\u2028  it.").replace("\n", end).encode())
        assert main(["taxonomy", "check", "--diff", str(folder)]) == 0
        output = capsys.readouterr().out
        assert f"-version: 3{end.strip(chr(10))}\n" in output
        assert "+task_description: Do\u2028  it.\n" in output
        assert "No newline" not in output

    @pytest.mark.parametrize("how", ["--fix", "--diff"])
    def test_a_folder_without_leaves_is_no_wrong_usage(
        self, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["taxonomy", "check", how, str(tmp_path)]) == 1
        assert "(NoLeaves)" in capsys.readouterr().out

    def test_what_is_left_is_said(self, bad: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = skill().replace("Do it.", "|\n  Do it.  \n  And that.")
        bad.write_text(text)
        assert main(["taxonomy", "check", "--fix", str(folder)]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith("1 matter of form left, to be mended by hand")
        assert bad.read_text() == text

    @pytest.mark.usefixtures("bad")
    def test_version_1_and_what_is_no_yaml_are_left(self, folder: Path) -> None:
        texts = {"old": skill(version=1).replace("Do it.", "Do it.  "), "bad": "a: b: c  \n"}
        for name, text in texts.items():
            (folder / "compositional_skills" / name).mkdir(exist_ok=True)
            (folder / "compositional_skills" / name / "qna.yaml").write_text(text)
        assert main(["taxonomy", "check", "--fix", str(folder)]) == 1
        for name, text in texts.items():
            assert (folder / "compositional_skills" / name / "qna.yaml").read_text() == text

    def test_links_are_not_followed(self, bad: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "qna.yaml"
        bad.rename(elsewhere)
        before = elsewhere.read_text()
        bad.symlink_to(elsewhere)
        assert main(["taxonomy", "check", "--fix", str(folder)]) == 1
        assert bad.is_symlink()
        assert elsewhere.read_text() == before

    def test_only_what_is_new_is_mended(self, bad: Path, folder: Path) -> None:
        _git(folder, "init", "--quiet", "--initial-branch=main")
        _git(folder, "add", ".")
        _git(folder, "commit", "--quiet", "--message=x")
        before = bad.read_text()
        new = folder / "compositional_skills" / "new" / "qna.yaml"
        new.parent.mkdir()
        new.write_text(skill() + "\n")
        assert main(["taxonomy", "check", "--fix", "--base-ref", "main", str(folder)]) == 0
        assert (bad.read_text(), new.read_text()) == (before, skill())

    def test_an_archive_is_mended_where_it_was_packed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.tar.gz").write_bytes(packed(dict(GOOD)))
        assert main(["taxonomy", "check", "--fix", str(tmp_path / "x.tar.gz")]) == 2
        assert "is an archive; mend the folder that it was packed from" in capsys.readouterr().err

    def test_the_changes_are_text(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["taxonomy", "check", "--diff", "--output", "json", str(folder)]) == 2
        assert "leave --output out" in capsys.readouterr().err


def test_an_archive_that_cannot_be_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "/proc/self/mem"]) == 1
    output = capsys.readouterr().out
    assert "(SourceRefused)" in output
    assert "/proc/self/mem: cannot be read: Input/output error" in output


@pytest.mark.parametrize(("content", "want"), [(None, "cannot be read"), ("x", "holds no certificate in PEM form")])
def test_authorities_that_are_none_are_wrong_usage(
    tmp_path: Path, content: str | None, want: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content:
        (tmp_path / "ca.crt").write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["taxonomy", "check", "--ca-file", str(tmp_path / "ca.crt"), str(EXAMPLE)])
    assert ended.value.code == 2
    assert want in capsys.readouterr().err


def test_json_is_the_full_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "--output", "json", str(folder)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["reason"]) == (False, "InvalidTaxonomy")
    assert (len(report["problems"]), report["form"]) == (1, 1)
    assert report["warnings"][-1] == {
        "file": "compositional_skills/bad/qna.yaml",
        "line": 3,
        "column": 25,
        "message": "trailing spaces (trailing-spaces)",
    }


def test_an_archive_is_read_like_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "taxonomy.tar.gz"
    archive.write_bytes(packed(dict(GOOD)))
    assert main(["taxonomy", "check", "--no-documents", str(archive)]) == 0
    assert "3 leaves (1 knowledge, 2 skills)" in capsys.readouterr().out


def test_what_is_no_taxonomy_is_said_without_the_services_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["taxonomy", "check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        f"Taxonomy in {tmp_path} is not usable (NoLeaves): there is no compositional_skills or knowledge folder; pack "
        "the folder that holds them\n"
    )


def test_documents_are_tried_as_the_operator_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "taxonomy.tar.gz"
    archive.write_bytes(packed({n: t.replace("git.example.org", "127.0.0.1") for n, t in GOOD.items()}))
    assert main(["taxonomy", "check", str(archive)]) == 1
    output = capsys.readouterr().out
    assert (
        "ERROR: knowledge/d/qna.yaml:47:9 the host 127.0.0.1 has the address 127.0.0.1, which is a loopback" in output
    )
    assert "(CloneFailed)" in output


def test_a_path_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["taxonomy", "check", "/nowhere"]) == 2
    assert capsys.readouterr().err == "sdg: there is no file or folder /nowhere\n"


@pytest.mark.parametrize(
    "arguments", [[], ["taxonomy"], ["taxonomy", "check"], ["taxonomy", "check", "--credentials", "x", "."]]
)
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: sdg" in capsys.readouterr().err
