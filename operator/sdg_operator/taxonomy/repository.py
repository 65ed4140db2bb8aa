"""A Git repository of which one commit is fetched and read, never checked out.

Without a work tree there are no links to follow, no filters (LFS), no hooks and no submodules, and no name that the
repository chose ever becomes a name on this disk.
"""

import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram, memory_share
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.handshake import Remote, locate
from sdg_operator.taxonomy.request import GitCredential, Limits
from sdg_operator.taxonomy.sshcommand import ssh_command

_COMMIT: Final = re.compile(r"^[0-9a-f]{40}$|^[0-9a-f]{64}$")
_ABBREVIATED: Final = re.compile(r"^[0-9a-f]{4,39}$")
_REF: Final = re.compile(r"^(?![-./])[A-Za-z0-9._/+@#-]{1,255}$")
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit."""

    mode: str
    """``100644`` and ``100755`` are files, ``120000`` is a link, ``160000`` a submodule."""
    sha: str
    size: int
    path: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")

    @property
    def is_link(self) -> bool:
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        return self.mode == "160000"


@dataclass(frozen=True, slots=True)
class Access:
    """What a fetch may use and where it may go."""

    guard: AddressGuard
    credentials: tuple[GitCredential, ...]
    limits: Limits
    work: Path
    ca_file: Path
    """PEM file of all authorities."""
    deadline: Deadline

    def seconds(self) -> float:
        """Time for one thing that Git does. Raises `CheckError` with reason TimedOut when the whole has none left."""
        return min(self.limits.git_seconds, self.deadline.left())


class Repository:
    """One repository, fetched into a bare folder of its own."""

    def __init__(self, url: str, access: Access, folder: Path) -> None:
        """Find the repository. Raises `CheckError` with reason CloneFailed."""
        self.url = GitUrl.parse(url, access.guard.network.allowed_hosts)
        self._access = access
        self._settings, self._environment = self._transport()
        memory = min(access.limits.git_memory_bytes, memory_share())
        self._git = GitProgram.create(folder, access.work / "home", memory, str(self.url))

    def fetch(self, wanted: str | None) -> str:
        """Fetch one commit without its history, and give its full name.

        `wanted` is a commit (also abbreviated), a branch or a tag; None is the default branch. Raises `CheckError`.
        """
        if wanted is not None and not _REF.match(wanted):
            raise CheckError("CloneFailed", f"{wanted[:80]!r} is no name of a commit, branch or tag")
        if wanted is not None and _COMMIT.match(wanted):
            name: str | None = wanted
        else:
            name = self._advertised(wanted)
        if name is not None:
            try:
                self._fetch("--depth=1", name)
                return self._commit(name)
            except GitFailed as error:
                if not _cannot_give(error):
                    raise self._explained(error) from error
        return self._fetch_all(wanted or "HEAD")

    def fetch_history(self, wanted: str | None, base: str) -> tuple[str, str]:
        """Fetch everything; give the commit of `wanted`, and the one where it and `base` parted."""
        refs = [name for name in (wanted, base) if name is not None]
        if any(not _REF.match(name) for name in refs):
            raise CheckError("CloneFailed", "ref or baseRef is no name of a commit, branch or tag")
        head = self._fetch_all(wanted or "HEAD")
        other = self._resolved(base)
        try:
            parted = self._run("merge-base", head, other).strip()
        except GitFailed as error:
            raise CheckError(
                "CloneFailed", f"{base!r} and {wanted or 'the default branch'!r} have no commit in common"
            ) from error
        return head, parted

    def entries(self, commit: str, path: str = "") -> Iterator[Entry]:
        """Give every file, link and submodule below a folder of a commit, paths relative to it.

        Raises `CheckError`: CloneFailed when there is no such folder, TooLarge beyond the limits.
        """
        try:
            place = self._run("rev-parse", "--verify", "--quiet", f"{commit}:{path}").strip()
            tree = self._run("rev-parse", "--verify", "--quiet", f"{place}^{{tree}}").strip()
        except GitFailed as error:
            raise CheckError("CloneFailed", f"the repository has no folder {path!r} at this commit") from error
        # Folders are counted too (-t): a few objects can stand for billions of empty ones.
        arguments = ("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", tree)
        try:
            with self._git.running(*arguments, seconds=self._access.seconds()) as process:
                for number, line in enumerate(_records(process)):
                    if number >= self._access.limits.entries:
                        message = f"{self.url} has more than {self._access.limits.entries} files and folders"
                        raise CheckError("TooLarge", message)
                    head, _, name = line.partition(b"\t")
                    mode, kind, sha, size = head.split()
                    if kind == b"tree":
                        continue
                    number_of_bytes = 0 if size == b"-" else int(size)
                    yield Entry(mode.decode(), sha.decode(), number_of_bytes, name.decode(errors="surrogateescape"))
                process.wait()
        except GitFailed as error:
            raise self._explained(error) from error

    def changed(self, base: str, head: str) -> frozenset[str]:
        """Give the paths that are new or changed between two commits."""
        # -t for the same reason as above: folders are named too, and the output is bounded.
        output = self._run("diff-tree", "-r", "-t", "-z", "--no-renames", "--diff-filter=d", "--name-only", base, head)
        return frozenset(output.split("\0")) - {""}

    @contextmanager
    def reader(self) -> Iterator[Callable[[str, Callable[[bytes], object]], None]]:
        """Open a way to read many files: ``read(sha, write)`` hands the content to `write` in pieces."""
        with self._git.running("cat-file", "--batch", seconds=self._access.seconds(), stdin=subprocess.PIPE) as process:
            sink, source = process.stdin, process.stdout
            assert sink is not None
            assert source is not None

            def read(sha: str, write: Callable[[bytes], object]) -> None:
                try:
                    sink.write(sha.encode() + b"\n")
                    sink.flush()
                except BrokenPipeError as error:
                    raise CheckError("CloneFailed", f"{self.url}: its files cannot be read any more") from error
                header = source.readline().split()
                if len(header) != 3 or header[1] != b"blob":
                    raise CheckError("CloneFailed", f"the repository {self.url} lacks the content of a file it names")
                left = int(header[2])
                while left > 0:
                    piece = source.read(min(left, _CHUNK))
                    if not piece:
                        raise CheckError("CloneFailed", f"a file of the repository {self.url} cannot be read")
                    left -= len(piece)
                    write(piece)
                source.read(1)

            yield read

    def _transport(self) -> tuple[dict[str, str | list[str]], dict[str, str]]:
        if self.url.scheme == "ssh":
            return {}, {
                "GIT_SSH_COMMAND": ssh_command(
                    self.url, self._access.credentials, self._access.guard, self._access.work / "home"
                ),
                "GIT_SSH_VARIANT": "ssh",
            }
        context = ssl.create_default_context(cafile=str(self._access.ca_file))
        access = self._access
        remote = locate(self.url, access.credentials, access.guard, context, access.seconds())
        self.url = remote.url
        return _http_settings(remote, access.ca_file), {}

    def _run(self, *arguments: str) -> str:
        return self._git.run(*arguments, seconds=self._access.seconds())

    def _network(self, *arguments: str) -> str:
        return self._git.run(
            *arguments,
            seconds=self._access.seconds(),
            settings=self._settings,
            environment={**self._environment, "GIT_ALLOW_PROTOCOL": self.url.scheme},
            file_bytes=self._access.limits.repository_bytes,
        )

    def _fetch(self, *arguments: str) -> None:
        depth = [item for item in arguments if item.startswith("--")]
        refs = [item for item in arguments if not item.startswith("--")]
        self._network("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *depth, "--", str(self.url), *refs)

    def _advertised(self, wanted: str | None) -> str | None:
        """Ask the server which commit a branch, tag or HEAD is at; None when it names no such ref."""
        names = ["HEAD"] if wanted is None else [f"refs/heads/{wanted}", f"refs/tags/{wanted}", wanted]
        try:
            output = self._network("ls-remote", "--quiet", "--", str(self.url), *names)
        except GitFailed as error:
            raise self._explained(error) from error
        lines = (line.partition("\t") for line in output.splitlines())
        found = {name: commit for commit, _, name in lines}
        return next((found[name] for name in names if name in found), None)

    def _fetch_all(self, wanted: str) -> str:
        """Fetch all branches and tags with their history: for abbreviated commits, and servers that give no others."""
        try:
            self._fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+HEAD:refs/fetched/head")
        except GitFailed as error:
            raise self._explained(error) from error
        return self._resolved("refs/fetched/head" if wanted == "HEAD" else wanted)

    def _resolved(self, wanted: str) -> str:
        for name in (f"refs/heads/{wanted}", f"refs/tags/{wanted}", wanted):
            try:
                return self._commit(name)
            except GitFailed:
                continue
        kind = "commit" if _COMMIT.match(wanted) or _ABBREVIATED.match(wanted) else "commit, branch or tag"
        raise CheckError("CloneFailed", f"{self.url} has no {kind} {wanted!r}")

    def _commit(self, name: str) -> str:
        return self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()

    def _explained(self, error: GitFailed) -> CheckError:
        """Say in our own words what Git's, or the server's, mean; theirs go to the log."""
        print(f"git: {error.text}", flush=True)  # noqa: T201 - the container's log
        for marker, message, retriable in _EXPLANATIONS:
            if marker in error.text:
                return CheckError("CloneFailed", f"{self.url}: {message}", retriable=retriable)
        limit = self._access.limits.repository_bytes
        # A pack at its limit is ended by the kernel, without a word of Git's.
        if any(file.stat().st_size >= limit for file in self._git.folder.glob("objects/pack/*")):
            return CheckError("TooLarge", f"{self.url} has more than {limit} bytes (packed)")
        return CheckError("CloneFailed", f"{self.url} cannot be fetched; the log has Git's words", retriable=True)


_EXPLANATIONS: Final = (
    ("ut of memory", "the repository needs more memory than a check may use", False),
    ("Host key verification failed", "the server's key is not the one in known_hosts of the Secret", False),
    ("Permission denied", "the server refuses the key (ssh-privatekey of the Secret)", False),
    ("Could not resolve hostname", "the host has no address", True),
    ("Connection refused", "the server refuses connections", True),
    ("Connection timed out", "the server does not answer", True),
    ("does not appear to be a git repository", "there is no such repository", False),
    ("epository not found", "there is no such repository, or the credentials may not read it", False),
    ("error: 404", "there is no such repository", False),
)


def _cannot_give(error: GitFailed) -> bool:
    """Servers may refuse a commit that no branch points at, unless all is fetched."""
    return any(
        marker in error.text
        for marker in ("not our ref", "unadvertised object", "couldn't find remote ref", "does not support shallow")
    )


def _http_settings(remote: Remote, ca_file: Path) -> dict[str, str | list[str]]:
    url = remote.url
    settings: dict[str, str | list[str]] = {
        "http.sslCAInfo": str(ca_file),
        "http.sslVerify": "true",
        "http.proxy": remote.proxy.url if remote.proxy else "",
        "http.proxyAuthMethod": "basic",  # what the handshake used; else Git first tries without
    }
    if remote.addresses:
        addresses = ",".join(f"[{item}]" if ":" in item else item for item in remote.addresses)
        settings["http.curloptResolve"] = f"{url.host}:{url.port}:{addresses}"
    if remote.authorization:
        settings[f"http.{url.origin}/.extraHeader"] = f"Authorization: {remote.authorization}"
    return settings


def _records(process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """Split the output at NUL bytes as it comes."""
    assert process.stdout is not None, "it is a pipe"
    rest = b""
    while piece := process.stdout.read(_CHUNK):
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole
