"""Documents of knowledge leaves, from real Git servers over https and ssh."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from hack.gitserver.certificates import Certificates
from sdg_operator.taxonomy.authorities import write_bundle
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.request import GitCredential, Network
from tests.git.https import HttpGitServer, HttpsGitServer, http_git_server, https_git_server
from tests.git.proxy import TunnelProxy, tunnel_proxy
from tests.git.repositories import BareRepository, Link, Submodule
from tests.git.ssh import SshGitServer, make_key
from tests.integration.taxonomy.conftest import LOOPBACK, Client
from tests.integration.taxonomy.fetching import TEXT, contents, fetched, refused
from tests.taxonomies.making import document


class TestHttps:
    def test_a_branch_is_resolved_to_its_commit_and_recorded(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT, "notes.txt": "no", "deep/b.md": TEXT})
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), patterns=["*.md", "deep/*"]))
        assert contents(gathered) == {"a.md": TEXT, "deep__b.md": TEXT}
        report = gathered.repositories[0]
        assert (report.asked, report.commit, report.leaves) == ("main", commit, ("knowledge_leaf0",))

    @pytest.mark.parametrize("short", [40, 7])
    def test_an_old_commit_is_found_by_its_name_also_abbreviated(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, short: int
    ) -> None:
        old = birds.commit({"a.md": "old\n"})
        birds.commit({"a.md": "new\n"})
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=old[:short]))
        assert contents(gathered) == {"a.md": "old\n"}
        assert gathered.repositories[0].commit == old

    @pytest.mark.parametrize(
        ("written", "want", "note"),
        [
            ("feature/a,b", "side", "not pinned: feature/a,b is now"),
            ("refs/heads/feature/a,b", "side", "not pinned: refs/heads/feature/a,b is now"),
            ("HEAD", "main", "not pinned: the default branch is now"),
            (" main ", "main", "not pinned: main is now"),
            ("OLD", "old", ""),
            ("deadbee", "side", "not pinned: deadbee is now"),
            ("light", "old", ""),
            ("refs/tags/light", "old", ""),
            ("twice", "old", "twice is both a tag"),
        ],
    )
    def test_a_name_is_taken_as_git_takes_it(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, written: str, want: str, note: str
    ) -> None:
        commits = {"old": birds.commit({"a.md": "old\n"}), "main": birds.commit({"a.md": "new\n"})}
        commits["side"] = birds.commit({"a.md": "side\n"}, branch="feature/a,b")
        birds.git("branch", "deadbee", commits["side"])
        birds.git("tag", "light", commits["old"])
        birds.git("tag", "-a", "-m", "x", "twice", commits["old"])
        birds.git("branch", "twice", commits["main"])
        asked = commits["old"].upper() if written == "OLD" else written
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=asked))
        assert gathered.repositories[0].commit == commits[want]
        assert [warning.message[: len(note)] for warning in gathered.warnings] == ([note] if note else [])
        assert all(warning.line and warning.line > 1 for warning in gathered.warnings)

    def test_the_beginning_of_several_commits_names_them(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commits: dict[str, str] = {}
        tree = birds.git("mktree")
        for number in range(1000):  # of so many, two begin with the same four letters
            commit = birds.git("commit-tree", "-m", str(number), tree)
            if (first := commits.setdefault(commit[:4], commit)) != commit:
                break
        for name, one in (("a", first), ("b", commit), ("main", commit)):
            birds.git("branch", name, one)
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"), commit=commit[:4])))
        assert f"{commit[:4]!r} is the beginning of several commits of" in said
        assert first in said
        assert commit in said

    @pytest.mark.usefixtures("birds")
    def test_a_repository_without_a_commit_is_said_to_be_empty(self, server: HttpsGitServer, client: Client) -> None:
        for commit in ("main", "HEAD", "abcdef1", "d" * 40):
            gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=commit))
            assert "is empty: it has no branch, no tag and no commit" in refused(gathered)

    def test_a_default_branch_that_is_not_there_is_named(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT}, branch="trunk")
        url = server.url("birds.git")
        said = refused(fetched(client.access(), document(repo=url, commit="HEAD")))
        assert "has no default branch: its HEAD names one that is not there; it has 'trunk': write" in said
        for name in ("trunk", commit[:7], commit):
            assert contents(fetched(client.access(), document(repo=url, commit=name))) == {"a.md": TEXT}

    def test_a_tag_of_a_file_is_no_commit(self, server: HttpsGitServer, birds: BareRepository, client: Client) -> None:
        birds.commit({"a.md": TEXT})
        birds.git("tag", "blob", birds.git("rev-parse", "main:a.md"))
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"), commit="blob")))
        assert "is no commit, but a file, a folder or a tag of one" in said

    def test_an_annotated_tag_is_followed_to_its_commit(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        birds.git("tag", "-a", "-m", "one", "v1", commit)
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit="v1"))
        assert gathered.repositories[0].commit == commit

    def test_a_repository_that_two_leaves_use_is_fetched_once(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": "a\n", "b.md": "b\n"})
        url = server.url("birds.git")
        gathered = fetched(
            client.access(), document(repo=url, patterns=["a.md"]), document(repo=url, patterns=["b.md"])
        )
        assert contents(gathered, "knowledge_leaf1") == {"b.md": "b\n"}
        assert sum("POST" in path or "git-upload-pack" in path for path, _ in server.behaviour.seen) <= 6
        assert gathered.repositories[0].leaves == ("knowledge_leaf0", "knowledge_leaf1")

    def test_a_private_repository_is_fetched_with_its_credentials(self, server: HttpsGitServer, client: Client) -> None:
        BareRepository.create(server.root / "acme/private.git").commit({"a.md": TEXT})
        server.behaviour.accounts["/acme/"] = "bot:s3cret"
        credential = client.basic(server.url("acme"), "bot", "s3cret")
        gathered = fetched(client.access(credential), document(repo=server.url("acme/private.git")))
        assert contents(gathered) == {"a.md": TEXT}

    @pytest.mark.parametrize(
        ("prefix", "password", "want"),
        [
            (None, "", "asks for credentials (401), and none are given for it; name a Secret in spec.credentials"),
            ("acme-evil", "s3cret", "asks for credentials (401), and none are given for it"),
            ("acme", "wrong", "refuses the credentials given for https://localhost:"),
        ],
    )
    def test_a_private_repository_without_the_right_credentials_says_so(
        self, server: HttpsGitServer, client: Client, prefix: str | None, password: str, want: str
    ) -> None:
        BareRepository.create(server.root / "acme/private.git").commit({"a.md": TEXT})
        server.behaviour.accounts["/acme/"] = "bot:s3cret"
        credentials = [client.basic(server.url(prefix), "bot", password)] if prefix else []
        gathered = fetched(client.access(*credentials), document(repo=server.url("acme/private.git")))
        said = refused(gathered)
        assert said.startswith("CloneFailed ")
        assert want in said
        assert "s3cret" not in said
        assert not gathered.retriable

    def test_a_secret_without_a_password_is_named(self, server: HttpsGitServer, client: Client, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        credential = GitCredential(url_prefix=server.url("acme"), folder=str(tmp_path / "empty"))
        gathered = fetched(client.access(credential), document(repo=server.url("acme/x.git")))
        assert "have no key `password`" in refused(gathered)
        assert gathered.reason == "SecretIncomplete"

    @pytest.mark.parametrize(
        ("changes", "want"),
        [
            ({"repo": "nothing.git"}, "CloneFailed: does not exist (404), or it is private and needs credentials"),
            (
                {"commit": "nowhere"},
                "CloneFailed: has no commit, branch or tag 'nowhere'; its default branch 'main' is at",
            ),
            ({"commit": "origin/main"}, "CloneFailed: 'origin/main'; on the server the branch is called 'main'"),
            ({"commit": "main~1"}, "CloneFailed: 'main~1' counts from another commit; write the commit itself"),
            ({"commit": "deadbeef"}, "CloneFailed: has no commit 'deadbeef'"),
            ({"commit": "d" * 40}, f"CloneFailed: has no commit '{'d' * 40}'; its default branch 'main' is at"),
            ({"commit": "--upload-pack=evil"}, "CloneFailed: is no name of a commit, branch or tag"),
            ({"patterns": ["*.rst"]}, "DocumentsNotFound: the pattern '*.rst' matches nothing in the repository"),
            ({"patterns": ["*.txt"]}, "DocumentsNotFound: matches no Markdown (.md) or PDF file, only 'notes.txt'"),
            ({"patterns": ["vendor/x.md"]}, "DocumentsNotFound: lies in the submodule 'vendor', and those are not"),
            ({"patterns": ["/etc/*.md"]}, "InvalidTaxonomy: '/etc/*.md' is not relative"),
            ({"patterns": ["../../*.md"]}, "InvalidTaxonomy: '../../*.md' leaves the repository (..)"),
            ({"patterns": ["leak.md"]}, "InvalidTaxonomy: 'leak.md' is a symbolic link, and links are not followed"),
            ({"patterns": ["linked/*.md"]}, "DocumentsNotFound: the pattern 'linked/*.md' matches nothing"),
            ({"patterns": ["a.md", "b.pdf"]}, "InvalidTaxonomy: match Markdown and PDF files"),
            ({"patterns": ["lfs.md"]}, "InvalidTaxonomy: 'lfs.md' is a Git LFS pointer, and LFS files are not"),
            ({"patterns": ["binary.md"]}, "InvalidTaxonomy: 'binary.md' is not UTF-8 text"),
            ({"patterns": ["wide.md"]}, "InvalidTaxonomy: 'wide.md' is UTF-16 text; save it as UTF-8"),
            ({"patterns": ["zero.md"]}, "InvalidTaxonomy: 'zero.md' is empty"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_line(
        self,
        server: HttpsGitServer,
        birds: BareRepository,
        client: Client,
        changes: dict[str, Any],
        want: str,
    ) -> None:
        birds.commit(
            {
                "a.md": TEXT,
                "b.pdf": b"%PDF-1.4",
                "notes.txt": "n",
                "leak.md": Link("/etc/passwd"),
                "linked": Link("/etc"),
                "lfs.md": "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n",
                "binary.md": b"\xff\xff\0",
                "wide.md": "# Birds".encode("utf-16"),
                "zero.md": b"",
                "vendor": Submodule("d" * 40),
                ".gitmodules": f'[submodule "vendor"]\n\tpath = vendor\n\turl = {server.url("secret.git")}\n',
            }
        )
        gathered = fetched(
            client.access(), document(**{**changes, "repo": server.url(changes.get("repo", "birds.git"))})
        )
        refused(gathered)
        reason, _, part = want.partition(": ")
        assert gathered.reason == reason
        # Only what the taxonomy says wrongly by itself cannot be mended in the repository.
        assert gathered.external == ("is not relative" not in want and "(..)" not in want)
        assert part in gathered.problems[0].message
        assert not any("secret.git" in path for path, _ in server.behaviour.seen)

    def test_one_pattern_of_several_may_match_nothing_with_a_warning(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT})
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), patterns=["a.md", "b.md"]))
        assert contents(gathered) == {"a.md": TEXT}
        assert "the pattern 'b.md' matches nothing" in gathered.warnings[0].message

    def test_documents_without_text_are_left_out_with_a_warning(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        files = {"a.md": TEXT, "b.md": "# B\n", "c.md": "", "d.md": "<!-- todo -->\n"}
        leaf = {"repo": server.url("birds.git"), "commit": birds.commit(files)}
        gathered = fetched(
            client.access(),
            document(**leaf),
            document(**leaf, patterns=["[bcd].md"]),
            document(**leaf, patterns=["c.md"]),
        )
        assert contents(gathered) == {"a.md": TEXT}
        (warning,) = gathered.warnings
        assert warning.message == "'b.md', 'c.md', 'd.md': no text besides headings and the like; left out"
        several, one = [problem.message for problem in gathered.problems]
        assert several.startswith("'b.md', 'c.md', 'd.md' have no text besides headings and the like; samples are made")
        assert one.startswith("'c.md' is empty; samples are made of text: write some, or let the patterns match other")
        assert gathered.reason == "InvalidTaxonomy"
        assert gathered.external

    def test_byte_order_marks_and_line_ends_stay_as_they_are(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        content = b"\xef\xbb\xbf# Birds\r\n\r\nThey fly.\r\n"
        commit = birds.commit({"a.md": content})
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=commit))
        assert gathered.documents["knowledge_leaf0"][0].path.read_bytes() == content

    @pytest.mark.parametrize("filters", ["true", "false"])
    def test_a_file_that_came_after_the_commit_is_found_on_the_default_branch(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, filters: str
    ) -> None:
        birds.git("config", "uploadpack.allowFilter", filters)
        old = birds.commit({"README.md": TEXT})
        now = birds.commit({"README.md": TEXT, "sea/tides.md": TEXT, "sea/map.png": random.Random(1).randbytes(99_999)})
        leaf = {"repo": server.url("birds.git"), "commit": old}
        gathered = fetched(
            client.access(), document(**leaf, patterns=["sea/*"]), document(**leaf, patterns=["README.md", "sea/t*"])
        )
        want = f"at this commit ({old[:7]}), but on 'main' ({now[:7]}) there is 'sea/tides.md'; name a newer commit"
        (problem,), (warning,) = gathered.problems, gathered.warnings
        assert problem.message == f"the pattern 'sea/*' matches nothing {want}"
        assert warning.message == f"the pattern 'sea/t*' matches nothing {want}"
        assert gathered.reason == "DocumentsNotFound"
        assert contents(gathered, "knowledge_leaf1") == {"README.md": TEXT}

    def test_a_default_branch_that_cannot_be_looked_at_is_passed_over(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        old = birds.commit({"a.md": TEXT})
        birds.commit({"a.md": TEXT, **{f"new/{number}.md": "x" for number in range(20)}})
        access = client.access(entries=10)
        gathered = fetched(access, document(repo=server.url("birds.git"), commit=old, patterns=["new/*.md"]))
        assert "matches nothing in the repository at this commit" in refused(gathered)

    def test_no_more_warnings_are_collected_than_anybody_reads(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT})
        access = client.access(problems=2)
        gathered = fetched(access, *[document(repo=server.url("birds.git"))] * 5)
        assert len(gathered.documents) == 5
        first, _, last = [warning.message for warning in gathered.warnings]
        assert first.startswith("not pinned: main is now")
        assert last == "3 further ones are not listed"

    def test_pdf_documents_are_taken_with_a_warning(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.pdf": b"%PDF-1.4", "a.md": TEXT})
        leaf = {"repo": server.url("birds.git"), "commit": commit}
        gathered = fetched(client.access(), document(**leaf, patterns=["a.md"]), document(**leaf, patterns=["a.pdf"]))
        assert not gathered.problems
        (warning,) = gathered.warnings
        assert warning.file == "knowledge/leaf1/qna.yaml"
        assert "only where its image has the extra pdf" in warning.message

    def test_all_leaves_are_looked_at_when_one_is_wrong(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT})
        gathered = fetched(
            client.access(),
            document(repo=server.url("birds.git"), patterns=["x.md"]),
            document(repo=server.url("gone.git")),
            document(repo=server.url("birds.git")),
        )
        assert [problem.file for problem in gathered.problems] == [f"knowledge/leaf{n}/qna.yaml" for n in (0, 1)]
        assert contents(gathered, "knowledge_leaf2") == {"a.md": TEXT}
        assert gathered.reason == "CloneFailed"


class TestRedirects:
    def test_a_repository_that_moved_is_followed(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        server.behaviour.redirects["/old-name"] = server.url("birds")
        gathered = fetched(client.access(), document(repo=server.url("old-name.git")))
        assert gathered.repositories[0].commit == commit
        assert gathered.repositories[0].url == server.url("birds.git")

    def test_credentials_do_not_go_along_to_another_server(
        self, server: HttpsGitServer, other: HttpsGitServer, client: Client
    ) -> None:
        BareRepository.create(other.root / "birds.git").commit({"a.md": TEXT})
        server.behaviour.redirects["/acme/"] = other.url("")
        credential = client.basic(server.url("acme"), "bot", "s3cret")
        gathered = fetched(client.access(credential), document(repo=server.url("acme/birds.git")))
        assert contents(gathered) == {"a.md": TEXT}
        assert server.behaviour.authorizations("/acme/") == {"Basic Ym90OnMzY3JldA=="}
        assert other.behaviour.authorizations("/") == {None}

    def test_credentials_do_not_go_along_to_another_part_of_the_same_server(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT})
        server.behaviour.redirects["/acme/"] = server.url("")
        credential = client.basic(server.url("acme"), "bot", "s3cret")
        gathered = fetched(client.access(credential), document(repo=server.url("acme/birds.git")))
        assert contents(gathered) == {"a.md": TEXT}
        assert server.behaviour.authorizations("/birds.git") == {None}

    def test_the_target_gets_its_own_credentials(
        self, server: HttpsGitServer, other: HttpsGitServer, client: Client
    ) -> None:
        BareRepository.create(other.root / "birds.git").commit({"a.md": TEXT})
        other.behaviour.accounts["/"] = "other:pass"
        server.behaviour.redirects["/birds"] = other.url("birds")
        credentials = [
            client.basic(server.url(""), "bot", "s3cret"),
            client.basic(other.url(""), "other", "pass"),
        ]
        gathered = fetched(client.access(*credentials), document(repo=server.url("birds.git")))
        assert contents(gathered) == {"a.md": TEXT}

    @pytest.mark.parametrize(
        ("target", "want"),
        [
            ("http://localhost/x", "redirects to a place that is refused: a URL http:// is not accepted"),
            ("file:///etc/x", "redirects to a place that is refused: a URL file:// is not accepted"),
            ("https://169.254.169.254/x", "which belongs to a cloud's metadata service"),
            ("https://169.254.1.1/x", "the address 169.254.1.1, which is a loopback, link-local"),
            ("https://10.0.0.1/x", "the address 10.0.0.1, which is private; the administrator can add the host"),
            ("https://user:pass@localhost/x", "there are credentials in the URL"),
            ("ssh://localhost/x", "redirects to a place that is refused: from https:// only https:// is followed"),
        ],
    )
    def test_a_redirect_to_a_refused_place_is_refused(
        self, server: HttpsGitServer, client: Client, target: str, want: str
    ) -> None:
        server.behaviour.redirects["/birds"] = target
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert want in said
        assert "pass@" not in said

    def test_a_redirect_to_a_login_page_is_no_repository(self, server: HttpsGitServer, client: Client) -> None:
        server.behaviour.redirects["/birds.git/info/refs?service=git-upload-pack"] = "/login"
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert "redirects to something that is not a Git repository" in said

    def test_redirects_in_a_circle_end(self, server: HttpsGitServer, client: Client) -> None:
        server.behaviour.redirects["/birds"] = server.url("birds")
        assert "more than 5 redirects" in refused(fetched(client.access(), document(repo=server.url("birds.git"))))

    def test_a_redirect_in_the_middle_of_a_fetch_is_not_followed(
        self, server: HttpsGitServer, birds: BareRepository, other: HttpsGitServer, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT})
        server.behaviour.redirects["/birds.git/git-upload-pack"] = other.url("birds.git/git-upload-pack")
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert "cannot be fetched" in said
        assert not other.behaviour.seen


class TestPlainHttp:
    """Only by the word of whoever answers for the network."""

    @pytest.fixture
    def plain(self, tmp_path: Path) -> Iterator[HttpGitServer]:
        with http_git_server(tmp_path / "plain") as running:
            BareRepository.create(running.root / "birds.git").commit({"a.md": TEXT})
            yield running

    def test_a_host_that_is_allowed_so_is_reached(self, plain: HttpGitServer, client: Client) -> None:
        access = client.access(network=Network(allowed_hosts=("http://127.0.0.1",)))
        gathered = fetched(access, document(repo=plain.url("birds.git", "127.0.0.1")))
        assert contents(gathered) == {"a.md": TEXT}

    def test_another_host_is_not_reached(self, plain: HttpGitServer, client: Client) -> None:
        network = Network(allowed_hosts=("http://git.example.org", "localhost"))
        said = refused(fetched(client.access(network=network), document(repo=plain.url("birds.git"))))
        assert "a URL http:// is not accepted: use https://, or let the administrator list http://localhost" in said
        assert not plain.behaviour.seen

    def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
        self, plain: HttpGitServer, client: Client
    ) -> None:
        asked: list[str] = []

        def rebinding(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

        network = Network(allowed_hosts=("http://git.example.org",), allowed_ranges=LOOPBACK.allowed_ranges)
        access = client.access(network=network, resolver=rebinding)
        gathered = fetched(access, document(repo=plain.url("birds.git", "git.example.org")))
        assert contents(gathered) == {"a.md": TEXT}
        assert asked == ["git.example.org"]

    def test_credentials_never_go_over_it(self, plain: HttpGitServer, client: Client) -> None:
        plain.behaviour.accounts["/"] = "bot:s3cret"
        credentials = [client.basic(prefix, "bot", "s3cret") for prefix in (plain.url(""), "https://localhost/")]
        access = client.access(*credentials, network=Network(allowed_hosts=("http://localhost",)))
        said = refused(fetched(access, document(repo=plain.url("birds.git"))))
        assert "asks for credentials (401), and none are ever sent over plain http; use https://" in said
        assert plain.behaviour.authorizations("/") == {None}

    def test_a_redirect_to_https_is_followed_with_the_credentials_of_that_place(
        self, plain: HttpGitServer, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"b.md": TEXT})
        server.behaviour.accounts["/"] = "bot:s3cret"
        plain.behaviour.redirects["/"] = server.url("")
        network = Network(allowed_hosts=("http://localhost",))
        access = client.access(client.basic(server.url(""), "bot", "s3cret"), network=network)
        assert contents(fetched(access, document(repo=plain.url("birds.git")))) == {"b.md": TEXT}
        assert plain.behaviour.authorizations("/") == {None}

    @pytest.mark.parametrize(
        ("target", "want"),
        [
            ("http://127.0.0.1:{port}/", "a URL http:// is not accepted: use https://"),
            ("ssh://localhost/", "from http:// only https:// and allowed http:// are followed"),
            ("https://169.254.169.254/", "which belongs to a cloud's metadata service"),
        ],
    )
    def test_a_redirect_to_a_refused_place_is_refused(
        self, plain: HttpGitServer, client: Client, target: str, want: str
    ) -> None:
        plain.behaviour.redirects["/birds"] = target.format(port=plain.port) + "birds"
        access = client.access(network=Network(allowed_hosts=("http://localhost",)))
        assert want in refused(fetched(access, document(repo=plain.url("birds.git"))))

    def test_a_redirect_from_https_to_an_allowed_http_host_is_refused(
        self, plain: HttpGitServer, server: HttpsGitServer, client: Client
    ) -> None:
        server.behaviour.redirects["/"] = plain.url("")
        access = client.access(network=Network(allowed_hosts=("http://localhost",)))
        assert "from https:// only https:// is" in refused(fetched(access, document(repo=server.url("birds.git"))))
        assert not plain.behaviour.seen

    def test_it_does_not_go_through_a_proxy(
        self, plain: HttpGitServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        access = client.access(network=Network(allowed_hosts=("http://localhost",)))
        with tunnel_proxy() as proxy:
            monkeypatch.setenv("http_proxy", f"http://user:pass@127.0.0.1:{proxy.port}")
            said = refused(fetched(access, document(repo=plain.url("birds.git"))))
            assert "let the administrator add localhost to NO_PROXY" in said
            monkeypatch.setenv("no_proxy", "localhost")
            assert contents(fetched(access, document(repo=plain.url("birds.git")))) == {"a.md": TEXT}
            assert not proxy.seen


@pytest.mark.deep
class TestAddresses:
    @pytest.mark.parametrize(
        ("url", "want"),
        [
            ("file:///etc", "a URL file:// is not accepted; use https:// or ssh://"),
            ("http://localhost/x.git", "a URL http:// is not accepted"),
            ("git://localhost/x.git", "a URL git:// is not accepted"),
            ("ext::sh -c evil", "has spaces"),
            ("ext::sh", "a URL ext:// is not accepted"),
            ("/etc", "a URL without a scheme is not accepted"),
            ("https://user:pass@localhost/x.git", "there are credentials in the URL; put them into a Secret"),
            ("https://token@localhost/x.git", "there are credentials in the URL"),
            ("ssh://git:pass@localhost/x.git", "there are credentials in the URL"),
            ("https://localhost/a/../x.git", "the URL's path has . or .. parts"),
            ("https://localhost/a/%2e%2e/x.git", "the URL's path has . or .. parts"),
            ("https://localhost/a%2fx.git", "the URL's path has . or .. parts, encoded slashes or backslashes"),
            ("https://localhost/a/x\\..\\..\\b.git", "encoded slashes or backslashes"),
            ("https://a..b/x.git", "the URL names no host"),
            (f"https://{'a' * 64}.example/x.git", "the URL names no host"),
            ("https://localhost/x.git?token=1", "the URL has a query"),
            ("https://localhost", "the URL names no repository"),
            ("https:///x.git", "the URL names no host"),
            ("ssh://-oProxyCommand=evil/x.git", "the URL names no host, or one with other than plain characters"),
            ("-oProxyCommand=evil@host:x", "a URL without a scheme is not accepted"),
            ("https://localhost:99999/x.git", "this is not a URL"),
            ("https://bücher.example/x.git", "other than plain characters"),
        ],
    )
    def test_urls_that_are_not_accepted(self, client: Client, url: str, want: str) -> None:
        said = refused(fetched(client.access(), document(repo=url)))
        assert want in said
        assert "pass" not in said

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "10.1.2.3",
            "192.168.1.1", "172.16.0.1", "100.64.0.1", "198.18.0.1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
            "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "240.0.0.1", "fec0::1", "::127.0.0.1",
            "168.63.129.16", "fd00:ec2::254",
        ],
    )  # fmt: skip
    def test_names_of_inner_addresses_are_refused_without_a_connection(self, client: Client, address: str) -> None:
        access = client.access(network=Network(), resolver=lambda _host, _port: [address])
        said = refused(fetched(access, document(repo="https://git.example.org/x.git")))
        assert "the host git.example.org has the address" in said

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]"])
    def test_loopback_is_refused_however_it_is_spelt(self, server: HttpsGitServer, client: Client, host: str) -> None:
        access = client.access(network=Network(allowed_hosts=("*",)))
        said = refused(fetched(access, document(repo=server.url("birds.git", host))))
        assert "loopback" in said or "has no address" in said
        assert not server.behaviour.seen

    def test_a_second_answer_of_the_name_server_changes_nothing(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        asked: list[str] = []

        def rebinding(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

        # The real name server knows no git.example.org: Git could reach it only at the address that was checked.
        access = client.access(resolver=rebinding)
        gathered = fetched(access, document(repo=server.url("birds.git", "git.example.org")))
        assert gathered.repositories[0].commit == commit
        assert asked == ["git.example.org"]

    def test_an_ipv6_address_is_pinned_too(self, tmp_path: Path, certificates: Certificates, client: Client) -> None:
        asked: list[str] = []

        def rebinding(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["::1"] if len(asked) == 1 else ["169.254.169.254"]

        with https_git_server(tmp_path / "repositories", certificates, "::1") as server:
            BareRepository.create(server.root / "birds.git").commit({"a.md": TEXT})
            url = server.url("birds.git", "git.example.org")
            assert contents(fetched(client.access(resolver=rebinding), document(repo=url))) == {"a.md": TEXT}
            assert asked == ["git.example.org"]
            refusing = client.access(network=Network(), resolver=lambda _host, _port: ["::1"])
            assert "is a loopback" in refused(fetched(refusing, document(repo=url)))

    def test_a_redirect_to_an_ipv6_loopback_is_refused(
        self, server: HttpsGitServer, tmp_path: Path, certificates: Certificates, client: Client
    ) -> None:
        with https_git_server(tmp_path / "inside", certificates, "::1") as inside:
            BareRepository.create(inside.root / "birds.git").commit({"a.md": TEXT})
            server.behaviour.redirects["/"] = f"https://[::1]:{inside.port}/"
            only_v4 = Network(allowed_ranges=(ip_network("127.0.0.0/8"),))
            said = refused(fetched(client.access(network=only_v4), document(repo=server.url("birds.git"))))
            assert "::1" in said
            assert not inside.behaviour.seen

    def test_a_denied_range_is_denied_even_if_it_is_allowed(self, server: HttpsGitServer, client: Client) -> None:
        ranges = (ip_network("127.0.0.0/8"),)
        access = client.access(network=Network(allowed_ranges=ranges, denied_ranges=ranges))
        said = refused(fetched(access, document(repo=server.url("birds.git", "127.0.0.1"))))
        assert "which the administrator denies" in said

    def test_a_certificate_that_is_not_trusted_is_named(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, tmp_path: Path
    ) -> None:
        birds.commit({"a.md": TEXT})
        access = client.access(ca_file=write_bundle(tmp_path / "system.pem", None))
        said = refused(fetched(access, document(repo=server.url("birds.git"))))
        assert "the certificate of localhost is not trusted" in said
        assert "proxy.caConfigMap" in said

    def test_a_certificate_of_another_host_is_refused(self, server: HttpsGitServer, client: Client) -> None:
        access = client.access(resolver=lambda _host, _port: ["127.0.0.1"])
        said = refused(fetched(access, document(repo=server.url("birds.git", "wrong.example.org"))))
        assert "the certificate of wrong.example.org is not trusted" in said

    def test_a_server_that_is_down_may_come_back(self, client: Client) -> None:
        gathered = fetched(client.access(), document(repo="https://localhost:1/x.git"))
        assert "localhost does not answer" in refused(gathered)
        assert gathered.retriable

    def test_a_name_without_an_address_may_come_back(self, client: Client) -> None:
        def unknown(_host: str, _port: int) -> list[str]:
            raise OSError(-2, "Name or service not known")

        gathered = fetched(client.access(resolver=unknown), document(repo="https://nowhere.example.org/x.git"))
        assert "the host nowhere.example.org has no address" in refused(gathered)
        assert gathered.retriable

    @pytest.mark.parametrize(
        ("answer", "want", "retriable"),
        [
            ((503, "text/plain", b"busy"), "answers 503", True),
            ((429, "text/plain", b"slow down"), "answers 429", True),
            ((200, "text/html", b"<html>sign in</html>"), "answers, but is not a Git repository", False),
            ((403, "text/plain", b"SECRET BODY"), "asks for credentials (403)", False),
        ],
    )
    def test_a_server_with_other_answers(
        self, server: HttpsGitServer, client: Client, answer: tuple[int, str, bytes], want: str, retriable: bool
    ) -> None:
        server.behaviour.answers["/birds"] = answer
        gathered = fetched(client.access(), document(repo=server.url("birds.git")))
        assert want in refused(gathered)
        assert "SECRET" not in refused(gathered)
        assert gathered.retriable == retriable


class TestProxy:
    @pytest.fixture
    def proxy(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[TunnelProxy]:
        for name in ("https_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with tunnel_proxy() as running:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{running.port}")
            yield running

    def test_everything_goes_through_the_proxy_also_to_names_that_only_it_knows(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, proxy: TunnelProxy
    ) -> None:
        birds.commit({"a.md": TEXT})
        proxy.names["git.example.org"] = "127.0.0.1"

        def unknown(_host: str, _port: int) -> list[str]:
            raise OSError(-2, "Name or service not known")

        access = client.access(network=Network(), resolver=unknown)
        gathered = fetched(access, document(repo=server.url("birds.git", "git.example.org")))
        assert contents(gathered) == {"a.md": TEXT}
        assert set(proxy.seen) == {(f"git.example.org:{server.port}", "Basic dXNlcjpwYXNz")}
        assert len(proxy.seen) >= 2

    def test_inner_addresses_are_not_asked_of_the_proxy(
        self, server: HttpsGitServer, client: Client, proxy: TunnelProxy
    ) -> None:
        access = client.access(network=Network())
        said = refused(fetched(access, document(repo=server.url("birds.git", "127.0.0.1"))))
        assert "loopback" in said
        assert not proxy.seen

    def test_hosts_of_no_proxy_are_reached_directly(
        self,
        server: HttpsGitServer,
        birds: BareRepository,
        client: Client,
        proxy: TunnelProxy,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "localhost,.svc")
        birds.commit({"a.md": TEXT})
        gathered = fetched(client.access(), document(repo=server.url("birds.git")))
        assert contents(gathered) == {"a.md": TEXT}
        assert not proxy.seen


@pytest.mark.deep
class TestLimits:
    def test_the_time_of_the_whole_check_bounds_each_fetch(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        birds.commit({"a.md": TEXT})
        ended = threading.Event()
        monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", lambda _self: ended.wait(60))
        leaves = [document(repo=server.url("birds.git"), commit=commit) for commit in ("main", "HEAD")]
        with pytest.raises(CheckError) as error:
            fetched(client.access(seconds=3), *leaves)
        ended.set()
        assert (error.value.reason, error.value.message) == ("TimedOut", "the check took more than 3 seconds")

    def test_an_object_that_needs_more_memory_than_there_is_is_refused(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        """A pack of some kilobytes, with a difference to an object of many megabytes."""
        huge = bytes(50 << 20)
        stream = b"blob\nmark :1\ndata %d\n%b\n" % (len(huge), huge)
        stream += b"blob\nmark :2\ndata %d\n%bx\n" % (len(huge) + 1, huge)
        stream += b"commit refs/heads/main\ncommitter t <t@example.org> 1700000000 +0000\ndata 1\nx\n"
        stream += b"M 100644 :1 a.md\nM 100644 :2 b.md\n"
        birds.git("fast-import", "--quiet", stdin=stream)
        gathered = fetched(client.access(git_memory_bytes=64 << 20), document(repo=server.url("birds.git")))
        assert refused(gathered).startswith("CloneFailed ")
        assert "needs more memory than a check may use" in gathered.problems[0].message

    def test_a_repository_that_is_too_large_is_refused(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": TEXT, "big.bin": random.Random(1).randbytes(4 << 20)})
        gathered = fetched(client.access(repository_bytes=1 << 20), document(repo=server.url("birds.git")))
        assert refused(gathered).startswith("TooLarge ")
        assert "has more than 1048576 bytes (packed)" in gathered.problems[0].message

    def test_documents_that_are_too_large_together_are_refused(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        birds.commit({"a.md": "x" * 3000, "b.md": "x" * 3000})
        gathered = fetched(client.access(document_bytes=5000), document(repo=server.url("birds.git")))
        assert refused(gathered) == "TooLarge the documents have more than 5000 bytes together"

    def test_a_tree_that_blows_up_is_refused(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        """Ten levels of the same tree ten times: eight objects stand for billions of files."""
        blob = birds.git("hash-object", "-w", "--stdin", stdin=b"x")
        tree = birds.git("mktree", stdin="".join(f"100644 blob {blob}\tf{n}.md\n" for n in range(10)).encode())
        for _ in range(9):
            tree = birds.git("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
        commit = birds.git("commit-tree", "-m", "bomb", tree)
        birds.git("update-ref", "refs/heads/main", commit)
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), patterns=["**/*.md"]))
        assert "has more than 50000 files" in refused(gathered)

    def test_a_server_that_never_ends_is_given_up(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        birds.commit({"a.md": TEXT})
        ended = threading.Event()
        handler = server.server.RequestHandlerClass
        monkeypatch.setattr(handler, "do_POST", lambda _self: ended.wait(60))
        gathered = fetched(client.access(git_seconds=6), document(repo=server.url("birds.git")))
        ended.set()
        url = server.url("birds.git")
        assert refused(gathered).startswith(f"TimedOut {url}: Git did not finish within 6 seconds")

    def test_folders_without_files_count_too(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        """Eleven objects stand for ten billion empty folders, and for no file at all."""
        tree = birds.git("mktree")
        for _ in range(10):
            tree = birds.git("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
        birds.git("update-ref", "refs/heads/main", birds.git("commit-tree", "-m", "bomb", tree))
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), patterns=["**/*.md"]))
        assert refused(gathered).startswith("TooLarge ")
        assert f"{server.url('birds.git')} has more than 50000 files and folders" in refused(gathered)

    @pytest.mark.parametrize(
        ("name", "files", "want"),
        [
            ("d" * 5000, 1, "has a path of more than 4096 bytes"),
            ("/".join(["d" * 250] * 15), 5000, "has paths of more than 16777216 bytes together"),
        ],
        ids=["one", "all together"],
    )
    def test_endless_paths_are_not_held_in_memory(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, name: str, files: int, want: str
    ) -> None:
        """A few objects, packed to nothing, stand for as much of them as somebody likes."""
        blob = birds.git("hash-object", "-w", "--stdin", stdin=b"x")
        tree = birds.git("mktree", stdin="".join(f"100644 blob {blob}\t{n}.md\n" for n in range(files)).encode())
        for folder in name.split("/"):
            tree = birds.git("mktree", stdin=f"040000 tree {tree}\t{folder}\n".encode())
        birds.git("update-ref", "refs/heads/main", birds.git("commit-tree", "-m", "bomb", tree))
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), patterns=["**/*.md"]))
        assert refused(gathered).startswith("TooLarge ")
        assert want in refused(gathered)

    def test_a_server_that_never_stops_talking_is_given_up(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        line = b"\x02" + b"x" * 60_000 + b"\n"
        sent: list[int] = []

        def talk(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/x-git-upload-pack-result")
            handler.end_headers()
            handler.close_connection = True
            handler.wfile.write(b"000dpackfile\n")
            with suppress(OSError):
                for number in range(5_000):
                    handler.wfile.write(b"%04x%b" % (len(line) + 4, line))
                    sent.append(number)

        monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", talk)
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=commit))
        assert refused(gathered).startswith(f"CloneFailed {server.url('birds.git')}: the server, or Git, has more to")
        assert len(sent) < 1_000

    def test_addresses_that_do_not_answer_have_one_time_together(self, client: Client) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, ExitStack() as waiting:
            port = silent.getsockname()[1]
            for _ in range(4):  # more than its queue takes: further ones get no answer
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            access = client.access(git_seconds=1, resolver=lambda _host, _port: ["127.0.0.1"] * 30)
            begin = monotonic()
            gathered = fetched(access, document(repo=f"https://localhost:{port}/x.git"))
        assert "localhost does not answer" in refused(gathered)
        assert monotonic() - begin < 10


@pytest.mark.deep
class TestSsh:
    def test_documents_are_fetched_with_the_key(self, ssh_server: SshGitServer, client: Client, tmp_path: Path) -> None:
        old = BareRepository.create(ssh_server.root / "birds.git").commit({"a.md": TEXT})
        secret = ssh_server.secret(tmp_path / "secret")
        url = ssh_server.url("birds.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)))
        gathered = fetched(access, document(repo=url), document(repo=url, commit=old))
        assert contents(gathered) == {"a.md": TEXT}
        assert contents(gathered, "knowledge_leaf1") == {"a.md": TEXT}

    def test_no_key_for_this_url(self, ssh_server: SshGitServer, client: Client) -> None:
        said = refused(fetched(client.access(), document(repo=ssh_server.url("birds.git"))))
        assert "needs a key, and none is given for it" in said

    def test_a_key_that_the_server_does_not_know(
        self, ssh_server: SshGitServer, client: Client, tmp_path: Path
    ) -> None:
        secret = ssh_server.secret(tmp_path / "secret", key=make_key(tmp_path / "stranger"))
        url = ssh_server.url("birds.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)))
        assert "the server refuses the key" in refused(fetched(access, document(repo=url)))

    @pytest.mark.parametrize("known_hosts", ["", "[localhost]:1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\n"])
    def test_a_server_that_is_not_the_known_one(
        self, ssh_server: SshGitServer, client: Client, tmp_path: Path, known_hosts: str
    ) -> None:
        secret = ssh_server.secret(tmp_path / "secret", known_hosts=known_hosts)
        url = ssh_server.url("birds.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)))
        assert "the server's key is not the one in known_hosts" in refused(fetched(access, document(repo=url)))

    def test_a_secret_without_known_hosts_is_named(
        self, ssh_server: SshGitServer, client: Client, tmp_path: Path
    ) -> None:
        secret = ssh_server.secret(tmp_path / "secret")
        (secret / "known_hosts").unlink()
        url = ssh_server.url("birds.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)))
        gathered = fetched(access, document(repo=url))
        assert "have no key known_hosts" in refused(gathered)
        assert gathered.reason == "SecretIncomplete"

    def test_there_is_no_such_repository(self, ssh_server: SshGitServer, client: Client, tmp_path: Path) -> None:
        secret = ssh_server.secret(tmp_path / "secret")
        url = ssh_server.url("gone.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)))
        assert "there is no such repository" in refused(fetched(access, document(repo=url)))

    def test_loopback_is_refused_over_ssh_too(self, ssh_server: SshGitServer, client: Client, tmp_path: Path) -> None:
        secret = ssh_server.secret(tmp_path / "secret")
        url = ssh_server.url("birds.git")
        access = client.access(GitCredential(url_prefix=url, folder=str(secret)), network=Network())
        assert "loopback" in refused(fetched(access, document(repo=url)))
