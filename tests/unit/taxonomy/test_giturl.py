"""Forms of a repository's URL: those that are taken, and what is said of the others."""

import pytest

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl, without_credentials


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("https://git.example.org/acme/birds", "https://git.example.org/acme/birds"),
        ("https://git.example.org/acme/birds.git/", "https://git.example.org/acme/birds.git/"),
        ("HTTPS://GIT.example.ORG:443/acme/Birds.git", "https://git.example.org/acme/Birds.git"),
        ("https://git.example.org:8443/acme/birds.git", "https://git.example.org:8443/acme/birds.git"),
        ("https://[2001:db8::1]:8443/birds.git", "https://[2001:db8::1]:8443/birds.git"),
        ("git@git.example.org:acme/birds.git", "ssh://git@git.example.org/acme/birds.git"),
        ("ssh://git@git.example.org:2222/acme/birds.git", "ssh://git@git.example.org:2222/acme/birds.git"),
        ("ssh://git.example.org/~bob/birds.git", "ssh://git.example.org/~bob/birds.git"),
    ],
)
def test_a_form_that_is_taken(written: str, want: str) -> None:
    assert str(GitUrl.parse(written)) == want


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("github.com/acme/birds", "use https:// or ssh://: write https://github.com/acme/birds"),
        ("git.example.org:8443/birds.git", "use https:// or ssh://"),
        ("birds.git", "a URL without a scheme is not accepted; use https:// or ssh://"),
        ("../birds.git", "a URL without a scheme is not accepted"),
        ("git://git.example.org/birds.git", "a URL git:// is not accepted; use https:// or ssh://"),
        ("git+ssh://git.example.org/birds.git", "a URL git+ssh:// is not accepted"),
        ("ftp://git.example.org/birds.git", "a URL ftp:// is not accepted"),
        ("ext::sh", "a URL ext:// is not accepted"),
        ("--upload-pack=evil", "a URL without a scheme is not accepted"),
        ("https://bob:s3cret@git.example.org/birds.git", "there are credentials in the URL"),
        ("bob:s3cret@git.example.org/birds.git", "is not accepted; use https:// or ssh://"),
        ("http://bob:s3cret@git.example.org/birds.git", "there are credentials in the URL"),
        ("https://git.example.org/acme/birds?tab=readme", "the URL has a query or a fragment"),
        ("https://git.example.org/acme/birds#readme", "the URL has a query or a fragment"),
        ("https://git.example.org/birds.git\n", "has spaces or other than plain characters"),
    ],
)
def test_a_form_that_is_refused(written: str, want: str) -> None:
    with pytest.raises(CheckError) as error:
        GitUrl.parse(written, ["http://git.example.org"])
    assert want in error.value.message
    assert "s3cret" not in error.value.message


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("https://git.example.org/a@b", "https://b"),  # rather too little than too much
        ("https://bob:s3cret@git.example.org/birds.git", "https://git.example.org/birds.git"),
        ("https://bob:s3://cret@git.example.org/birds.git", "https://git.example.org/birds.git"),
        ("bob:s3cret@git.example.org:birds.git", "git.example.org:birds.git"),
        ("bob:s3cret@x://y@git.example.org/birds.git", "git.example.org/birds.git"),
        ("ssh://git@git.example.org/birds.git", "ssh://git.example.org/birds.git"),
    ],
)
def test_no_part_of_a_password_is_shown(written: str, want: str) -> None:
    assert without_credentials(written) == want
