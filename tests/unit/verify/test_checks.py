"""The gate's own checks see what they are made for."""

from pathlib import Path

import pytest

from hack.verify.generated import left_over
from hack.verify.links import anchors, broken, links
from hack.verify.locks import problems_of
from hack.verify.versions import differing
from hack.verify.workflows import foreign_steps
from hack.version import VERSION


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Other\n\n## Two words, `code`\n\n## Same\n\n## Same\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[a](other.md)", []),
        ("[a](other.md#two-words-code)", []),
        ("[a](other.md#same-1)", []),
        ("[a](#here)\n\n# Here", []),
        ("[a](https://example.com/none)", []),
        ("`[a](none.md)`", []),
        ("```\n[a](none.md)\n```", []),
        ("[a](none.md)", ["none.md: there is no such file"]),
        ("[a](other.md#none)", ["other.md#none: other.md has no such heading"]),
        ("![a](none.svg 'title')", ["none.svg: there is no such file"]),
        ("[a]: none.md", ["none.md: there is no such file"]),
        ("[a](/none.md)", ["/none.md: there is no such file"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(docs: Path, text: str, problems: list[str]) -> None:
    document = docs / "document.md"
    document.write_text(text)
    assert list(broken(document, root=docs)) == problems


def test_headings_in_code_make_no_anchor() -> None:
    assert anchors("# A\n```\n# B\n```\n") == {"a"}


def test_links_are_read_from_both_forms() -> None:
    assert list(links("[a](b) ![c](d)\n[e]: f\n")) == ["b", "d", "f"]


LOCK = """
boto3==1.40.1 ; sys_platform == 'linux' \\
    --hash=sha256:00
    # via sdg-operator (pyproject.toml)
docling-core==2.50.0 \\
    --hash=sha256:00
"""


@pytest.mark.parametrize(
    ("wanted", "text", "problem"),
    [
        (["boto3>=1.40"], LOCK, None),
        (["docling_core[chunking]>=2.48"], LOCK, None),
        (["boto3>=1.41"], LOCK, "boto3>=1.41 is not pinned there (has 1.40.1)"),
        (["kopf>=1"], LOCK, "kopf>=1 is not pinned there (has None)"),
        (["boto3>=1.40"], "boto3==1.40.1\n", "boto3==1.40.1 has no hash"),
        (["boto3>=1.40"], LOCK + "--index-url https://example.com/simple\n", "names a registry"),
    ],
)
def test_a_lock_that_does_not_hold_is_found(wanted: list[str], text: str, problem: str | None) -> None:
    found = problems_of("runner", wanted, text)
    assert found == [] if problem is None else problem in found[0]


def test_a_crd_that_nothing_generates_any_more_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    folder.mkdir()
    kept, old = folder / "kept.yaml", folder / "old.yaml"
    kept.touch()
    old.touch()
    assert list(left_over([kept, tmp_path / "values.yaml"])) == [old]


def test_a_workflow_runs_make_targets_alone() -> None:
    text = 'jobs: {a: {steps: [{run: make verify}, {uses: x}, {run: "pip install x\\nmake test-unit"}]}}'
    assert foreign_steps(text) == ["pip install x"]


SAME = {"version": VERSION, "appVersion": VERSION}


@pytest.mark.parametrize(
    ("chart", "environment", "named"),
    [
        (SAME, {}, []),
        (SAME, {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": f"v{VERSION}"}, []),
        (SAME, {"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "v9"}, []),
        (SAME, {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v99.0.0"}, ["the tag"]),
        ({**SAME, "appVersion": "99"}, {}, ["Chart.yaml's appVersion"]),
        ({"version": "99", "appVersion": "98"}, {}, ["Chart.yaml's version", "Chart.yaml's appVersion"]),
    ],
)
def test_a_version_that_differs_is_found(
    chart: dict[str, object], environment: dict[str, str], named: list[str]
) -> None:
    assert [line.partition(" is ")[0] for line in differing(chart, environment)] == named
