"""Servers that one may not read, that misbehave or break off, and what they say."""

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack.gitserver.certificates import Certificates
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram
from sdg_operator.taxonomy.request import GitTree, Network
from sdg_operator.taxonomy.source import read_git
from tests.git.https import HttpsGitServer, http_git_server, https_git_server
from tests.git.repositories import BareRepository, File
from tests.integration.taxonomy.conftest import LOOPBACK, Client
from tests.integration.taxonomy.fetching import TEXT, contents, fetched, refused
from tests.taxonomies.making import document, knowledge


class TestPrivate:
    def test_a_token_that_may_not_read_a_repository_may_be_meant_by_not_found(
        self, server: HttpsGitServer, client: Client
    ) -> None:
        """GitHub answers so."""
        server.behaviour.answers["/acme/secret"] = (404, "text/plain", b"Not Found")
        credential = client.basic(server.url("acme"), "bot", "s3cret")
        said = refused(fetched(client.access(credential), document(repo=server.url("acme/secret.git"))))
        assert f"does not exist (404), or the credentials given for {server.url('acme')} may not read it" in said

    @pytest.mark.parametrize(
        ("path", "repository"),
        [
            ("acme/birds/tree/main/docs", "acme/birds"),
            ("acme/birds/blob/main/docs/a.md", "acme/birds"),
            ("group/acme/birds/-/tree/main", "group/acme/birds"),
            ("acme/birds/src/branch/main", "acme/birds"),
        ],
    )
    def test_a_page_for_reading_is_told_from_a_repository(
        self, server: HttpsGitServer, client: Client, path: str, repository: str
    ) -> None:
        said = refused(fetched(client.access(), document(repo=server.url(path))))
        assert f"it looks like a page for reading: write repo {server.url(repository)}, and what follows it in" in said


class TestCertificates:
    def test_one_that_has_expired(self, tmp_path: Path, certificates: Certificates, client: Client) -> None:
        folder = certificates.authority.parent
        old = tmp_path / "old.crt"
        command = ["openssl", "x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
        command += ["-days", "-1", "-extfile", "tls.ext", "-out", str(old)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        expired = Certificates(certificates.authority, old, certificates.key)
        with https_git_server(tmp_path / "repositories", expired) as server:
            said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert "is not trusted (certificate has expired); whoever runs the server must renew it" in said

    def test_one_of_another_host(self, server: HttpsGitServer, client: Client) -> None:
        access = client.access(resolver=lambda _host, _port: ["127.0.0.1"])
        said = refused(fetched(access, document(repo=server.url("birds.git", "wrong.example.org"))))
        assert "it was made for other hosts: use the name that it has" in said

    def test_none_at_all(self, tmp_path: Path, client: Client) -> None:
        with http_git_server(tmp_path / "plain") as plain:
            url = plain.url("birds.git").replace("http://", "https://")
            gathered = fetched(client.access(), document(repo=url))
        assert f"localhost does not speak TLS (https://) at port {plain.port}; check the URL" in refused(gathered)
        assert not gathered.retriable


class TestManners:
    def test_a_server_without_smart_http(self, server: HttpsGitServer, client: Client) -> None:
        server.behaviour.answers["/birds"] = (200, "text/plain", b"0123\trefs/heads/main\n")
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert "answers, but is not a Git repository (or a server without Git's smart protocol)" in said

    @pytest.mark.parametrize("commit", ["main", "abbreviated", "whole"])
    def test_a_server_that_is_smart_at_first_alone(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, commit: str
    ) -> None:
        """Git would take file by file of it, and no limit holds for them together."""
        sha = birds.commit({"a.md": TEXT, "big.bin": random.Random(1).randbytes(1 << 20)})
        birds.git("update-server-info")
        head = b"001e# service=git-upload-pack\n0000000eversion 2\n0011fetch=filter\n0000"
        answers = server.behaviour.answers
        answers["/birds.git/info/refs"] = (200, "application/x-git-upload-pack-advertisement", head)
        for file in birds.folder.rglob("*"):
            if file.is_file():
                path = f"/birds.git/{file.relative_to(birds.folder)}"
                answers.setdefault(path, (200, "application/octet-stream", file.read_bytes()))
        asked = server.behaviour.seen
        real = answers.pop("/birds.git/info/refs")

        class Changing(dict[str, Any]):
            def items(self) -> Any:
                first = len(asked) < 2
                refs = real if first else (200, "text/plain", f"{sha}\trefs/heads/main\n".encode())
                return [("/birds.git/info/refs", refs), *super().items()]

        server.behaviour.answers = Changing(answers)
        wanted = {"main": "main", "abbreviated": sha[:7], "whole": sha}[commit]
        said = refused(
            fetched(client.access(repository_bytes=1 << 19), document(repo=server.url("birds.git"), commit=wanted))
        )
        assert "the server does not speak Git's smart protocol all the time" in said

    def test_a_pack_that_breaks_off_may_come_whole_the_next_time(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = birds.commit({"a.md": TEXT})

        def half(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/x-git-upload-pack-result")
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(b"000dpackfile\n0022\x01PACK\0\0\0\2\0\0\0\3")
            handler.close_connection = True

        monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", half)
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=commit))
        assert "cannot be fetched; the log has Git's words" in refused(gathered)
        assert gathered.retriable

    def test_what_a_server_says_cannot_steer_a_terminal(
        self,
        server: HttpsGitServer,
        birds: BareRepository,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        line = b"\x03\x1b[31mred\x07\n::error::no\n##[error]no\n"

        def rude(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/x-git-upload-pack-result")
            handler.end_headers()
            handler.wfile.write(b"000dpackfile\n%04x%b0000" % (len(line) + 4, line))
            handler.close_connection = True

        monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", rude)
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"), commit=commit)))
        out, err = capfd.readouterr()
        assert said.isprintable()
        assert not out
        assert "red" in err
        assert all(part.isprintable() and part.startswith("git: ") for part in err.splitlines())
        assert "##[" not in err

    def test_an_answer_that_is_no_http_cannot_either(
        self, server: HttpsGitServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def rude(handler: Any) -> None:
            handler.wfile.write(b"\x1b[31mSSH-2.0" + b"x" * 10_000 + b"\r\n\r\n")
            handler.close_connection = True

        monkeypatch.setattr(server.server.RequestHandlerClass, "do_GET", rude)
        said = refused(fetched(client.access(), document(repo=server.url("birds.git"))))
        assert "does not answer (BadStatusLine: ?[31mSSH-2.0xxx" in said
        assert said.isprintable()
        assert len(said) < 500

    def test_names_of_files_are_shown_harmless(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        blob = birds.git("hash-object", "-w", "--stdin", stdin=TEXT.encode())
        names = [b"a\n\x1b[31m.md", b"\xff\xfe.md", b"##[x].md"]
        tree = birds.git("mktree", "-z", stdin=b"".join(b"100644 blob %b\t%b\0" % (blob.encode(), n) for n in names))
        commit = birds.git("commit-tree", "-m", "x", tree)
        birds.git("update-ref", "refs/heads/main", commit)
        leaf = {"repo": server.url("birds.git"), "commit": commit}
        gathered = fetched(client.access(), document(**leaf), document(**leaf, patterns=["none.md"]))
        assert sorted(contents(gathered)) == ["_.md", "_x_.md", "a_31m.md"]
        (problem,) = gathered.problems
        assert problem.message.isprintable()
        assert problem.message.encode().isascii()


class TestSizesAndNames:
    @pytest.mark.parametrize("filters", ["true", "false"])
    def test_the_beginning_of_an_old_commit(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, filters: str
    ) -> None:
        birds.git("config", "uploadpack.allowFilter", filters)
        old = birds.commit({"a.md": "old\n"})
        birds.commit({"a.md": "new\n"})
        leaf = {"repo": server.url("birds.git"), "commit": old[:7].upper()}
        assert contents(fetched(client.access(), document(**leaf))) == {"a.md": "old\n"}
        said = refused(fetched(client.access(), document(**{**leaf, "commit": "0000000"})))
        assert "has no commit '0000000'; its default branch 'main' is at" in said

    def test_a_repository_whose_objects_are_named_by_sha256(self, server: HttpsGitServer, client: Client) -> None:
        folder = server.root / "new.git"
        BareRepository.create(folder, object_format="sha256").commit({"a.md": "old\n"})
        commit = BareRepository(folder).commit({"a.md": TEXT})
        for name in (commit, commit[:9], "main"):
            gathered = fetched(client.access(), document(repo=server.url("new.git"), commit=name))
            assert contents(gathered) == {"a.md": TEXT}
            assert gathered.repositories[0].commit == commit

    def test_of_several_addresses_only_those_that_may_be_used_are(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        commit = birds.commit({"a.md": TEXT})
        addresses = ["169.254.169.254", "10.0.0.1", "127.0.0.1", "fe80::1"]
        access = client.access(network=LOOPBACK, resolver=lambda _host, _port: addresses)
        gathered = fetched(access, document(repo=server.url("birds.git", "git.example.org"), commit=commit))
        assert contents(gathered) == {"a.md": TEXT}
        refusing = client.access(network=Network(), resolver=lambda _host, _port: addresses)
        assert "metadata" in refused(fetched(refusing, document(repo=server.url("birds.git", "git.example.org"))))


class TestContents:
    """A server that can leave files out is asked only for those that are documents."""

    @pytest.fixture
    def birds(self, birds: BareRepository) -> BareRepository:
        birds.git("config", "uploadpack.allowFilter", "true")
        return birds

    def test_large_files_that_are_no_documents_are_not_fetched(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        files: dict[str, File] = {
            "a.md": TEXT,
            "docs/b.md": TEXT,
            "c.md": "c\n",
            "movie.mp4": random.Random(1).randbytes(4 << 20),
        }
        leaf = {"repo": server.url("birds.git"), "commit": birds.commit(files)}
        access = client.access(repository_bytes=1 << 20)
        gathered = fetched(
            access,
            document(**leaf, patterns=["a.md", "docs/*"]),
            document(**leaf, patterns=["c.md"]),
            document(**leaf, patterns=["gone.md"]),
        )
        assert contents(gathered) == {"a.md": TEXT, "docs__b.md": TEXT}
        assert contents(gathered, "knowledge_leaf1") == {"c.md": "c\n"}
        (problem,) = gathered.problems
        assert "'gone.md' matches nothing" in problem.message

    @pytest.mark.parametrize(
        ("limits", "want"),
        [
            ({"repository_bytes": 1 << 20}, "TooLarge "),
            ({"document_bytes": 1 << 20}, "TooLarge the documents have more than 1048576 bytes together"),
            ({"documents": 1}, "TooLarge the leaves have more than 1 documents together"),
        ],
    )
    def test_large_documents_are_refused(
        self, server: HttpsGitServer, birds: BareRepository, client: Client, limits: dict[str, Any], want: str
    ) -> None:
        commit = birds.commit({"a.md": random.Random(1).randbytes(4 << 20), "b.md": TEXT})
        access = client.access(**limits)
        assert refused(fetched(access, document(repo=server.url("birds.git"), commit=commit))).startswith(want)

    def test_many_documents_are_brought(self, server: HttpsGitServer, birds: BareRepository, client: Client) -> None:
        files = {f"{number}.md": f"number {number}\n" for number in range(2500)}
        commit = birds.commit(files)
        gathered = fetched(client.access(), document(repo=server.url("birds.git"), commit=commit))
        assert contents(gathered) == files

    def test_what_is_fetched_in_several_requests_has_one_limit(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        source = random.Random(1)
        files: dict[str, File] = {f"{number}.md": source.randbytes(400).hex() for number in range(1500)}
        leaf = document(repo=server.url("birds.git"), commit=birds.commit(files))
        said = refused(fetched(client.access(repository_bytes=700 << 10), leaf))
        assert said.startswith("TooLarge ")
        assert "has more than 716800 bytes (packed)" in said

    def test_a_taxonomy_is_fetched_with_its_contents(
        self, server: HttpsGitServer, birds: BareRepository, client: Client
    ) -> None:
        leaf = knowledge()
        commit = birds.commit({"knowledge/a/qna.yaml": leaf})
        read = read_git(GitTree(url=server.url("birds.git"), ref=commit[:9]), client.access())
        assert read.revision == commit
        assert read.tree.files == {"knowledge/a/qna.yaml": leaf.encode()}


def test_git_reaches_no_server_but_where_it_is_told_to(tmp_path: Path, server: HttpsGitServer) -> None:
    """Not even for objects that are missing, which it would fetch by itself."""
    git = GitProgram.create(tmp_path / "git", tmp_path / "home", 384 << 20, "x")
    for url in (server.url("birds.git"), "ssh://localhost/x", str(tmp_path), "ext::true"):
        with pytest.raises(GitFailed, match=r"transport '.*' not allowed"):
            git.run("ls-remote", url, seconds=60)
    assert not server.behaviour.seen
