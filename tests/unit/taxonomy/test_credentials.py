"""Which credentials serve which URL: never a neighbour's."""

import pytest

from sdg_operator.taxonomy.giturl import GitUrl, credential_for
from sdg_operator.taxonomy.request import GitCredential

CASES = [
    ("https://git.org/acme/", "https://git.org/acme/x.git", True),
    ("https://git.org/acme", "https://git.org/acme/x.git", True),
    ("https://git.org/acme/x.git", "https://git.org/acme/x.git", True),
    ("https://git.org/", "https://git.org/acme/x.git", True),
    ("https://git.org", "https://git.org/acme/x.git", True),
    ("https://GIT.org/acme", "https://git.ORG/acme/x.git", True),
    ("https://git.org:443/acme", "https://git.org/acme/x.git", True),
    ("ssh://git.org/acme", "git@git.org:acme/x.git", True),
    ("ssh://git@git.org/acme", "ssh://git@git.org/acme/x.git", True),
    ("https://git.org/acme", "https://git.org/acme-evil/x.git", False),
    ("https://git.org/acme", "https://git.org/Acme/x.git", False),
    ("https://git.org/acme", "https://git.org/x/acme/x.git", False),
    ("https://git.org/acme", "https://git.org.evil.net/acme/x.git", False),
    ("https://git.org/acme", "https://evil.git.org/acme/x.git", False),
    ("https://git.org/acme", "https://git.org:8443/acme/x.git", False),
    ("https://git.org/acme", "ssh://git.org/acme/x.git", False),
    ("ssh://alice@git.org/acme", "ssh://bob@git.org/acme/x.git", False),
    ("git.org/acme", "https://git.org/acme/x.git", False),
    ("http://git.org/acme", "https://git.org/acme/x.git", False),
    ("", "https://git.org/acme/x.git", False),
]


@pytest.mark.parametrize(("prefix", "url", "serves"), CASES)
def test_a_prefix_serves_what_lies_below_it_and_nothing_else(prefix: str, url: str, serves: bool) -> None:
    credential = GitCredential(url_prefix=prefix, folder="/secret")
    assert (credential_for(GitUrl.parse(url), [credential]) is not None) == serves


def test_the_longest_prefix_wins() -> None:
    credentials = [
        GitCredential(url_prefix=f"https://git.org{path}", folder=f"/{n}") for n, path in enumerate(["", "/a/b", "/a"])
    ]
    chosen = credential_for(GitUrl.parse("https://git.org/a/b/c.git"), credentials)
    assert chosen is not None
    assert chosen.folder == "/1"
