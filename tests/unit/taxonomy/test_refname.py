"""Names of commits: the check takes what the API server takes, and says what to write for the rest."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_operator.taxonomy.advertised import Advertised, asked_for
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.refname import refusal, spelt

ROWS = yaml.safe_load((Path(__file__).parents[2] / "integration/api/taxonomy.yaml").read_text())
A, B, C = "a" * 40, "b" * 40, "c" * 40
WORDS = "give a branch, a tag or a commit", "give a repository as https://host/path"


def _sources() -> list[Any]:
    found = []
    for row in ROWS:
        ((name, case),) = row.items()
        git = case.get("spec", {}).get("source", {}).get("git", {})
        why = case.get("refused")
        if why is None or any(word in why for word in (*WORDS, "a host has no empty part")):
            found += [pytest.param(git, why is None, id=name)] if "url" in git else []
    return found


@pytest.mark.parametrize(("git", "taken"), _sources())
def test_the_check_takes_the_names_that_the_api_server_takes(git: dict[str, str], taken: bool) -> None:
    refs = [git[key] for key in ("ref", "baseRef") if key in git]
    try:
        GitUrl.parse(git["url"])
    except CheckError:
        url = False
    else:
        url = True
    assert (url and not any(refusal(ref) for ref in refs)) == taken


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("feature/a,b", None),
        ("v1.0+build#3", None),
        ("refs/heads/main", None),
        (f" {A.upper()}\n", None),
        ("", "is empty"),
        ("   ", "is empty"),
        ("main~1", "counts from another commit; write the commit itself"),
        ("HEAD^", "counts from another commit"),
        ("main@{yesterday}", "counts from another commit"),
        ("two words", "is no name of a commit, branch or tag"),
        ("a..b", "is no name of"),
        ("-x", "is no name of"),
        ("--upload-pack=touch~x", "is no name of"),
        (".hidden", "is no name of"),
        ("/main", "is no name of"),
        ("a:b", "is no name of"),
        ("*", "is no name of"),
        ("x" * 256, "is no name of"),
        ("main\x1b[31m", "is no name of"),
        ("büch", "is no name of"),
    ],
)
def test_what_can_be_no_name_is_refused_in_words(written: str, want: str | None) -> None:
    why = refusal(spelt(written))
    assert (why is None) if want is None else (want in (why or ""))


LISTING = f"""ref: refs/heads/main\tHEAD
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/deadbee
{A}\trefs/heads/both
{A}\trefs/tags/same
{A}\trefs/heads/same
{C}\trefs/tags/both
{C}\trefs/tags/v1
{B}\trefs/tags/v1^{{}}
{B}\trefs/pull/1/head
"""


@pytest.mark.parametrize(
    ("wanted", "commit", "note"),
    [
        ("main", A, f"not pinned: main is now {A}; write the commit to keep it"),
        ("refs/heads/main", A, "not pinned: refs/heads/main is now"),
        ("heads/main", A, "not pinned: heads/main is now"),
        ("HEAD", A, f"not pinned: the default branch is now {A}"),
        ("deadbee", B, "not pinned: deadbee is now"),
        ("refs/pull/1/head", B, "not pinned: refs/pull/1/head is now"),
        ("v1", B, ""),
        ("tags/v1", B, ""),
        ("refs/tags/v1", B, ""),
        ("same", A, ""),
        ("both", C, f"both is both a tag ({C}) and a branch ({A}); the tag is taken"),
    ],
)
def test_what_a_name_means(wanted: str, commit: str, note: str) -> None:
    revision = Advertised.parse(LISTING).revision(wanted)
    assert revision is not None
    assert revision.commit == commit
    assert revision.note.startswith(note)
    assert bool(revision.note) == bool(note)


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("origin/main", "; on the server the branch is called 'main': write that"),
        ("refs/remotes/origin/main", "; on the server the branch is called 'main': write that"),
        ("master", f"; its default branch 'main' is at {A}"),
        ("origin/none", f"; its default branch 'main' is at {A}"),
    ],
)
def test_what_there_is_in_place_of_a_name(wanted: str, hint: str) -> None:
    advertised = Advertised.parse(LISTING)
    assert advertised.revision(wanted) is None
    assert advertised.hint(wanted) == hint


def test_a_server_is_asked_for_what_a_branch_is_called_there() -> None:
    assert "refs/heads/main" in asked_for("origin/main")
