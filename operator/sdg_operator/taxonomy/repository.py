"""A Git repository of which one commit is fetched and read, never checked out.

Without a work tree there are no links to follow, no filters (LFS), no hooks and no submodules, and no name that the
repository chose ever becomes a name on this disk.
"""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdg_operator.taxonomy import refname
from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.advertised import HEADS, TAGS, Advertised, Revision, asked_for, names_of
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram, memory_share
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.gitwords import cannot_give, explained
from sdg_operator.taxonomy.handshake import Remote, locate
from sdg_operator.taxonomy.request import GitCredential, Limits
from sdg_operator.taxonomy.sshcommand import ssh_command

_CHUNK: Final = 1 << 16
_SHOWN: Final = 10


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

    def fetch(self, wanted: str | None) -> Revision:
        """Fetch one commit without its history.

        `wanted` is a commit (also abbreviated), a branch or a tag; None is the default branch. Raises `CheckError`.
        """
        name = _checked("HEAD" if wanted is None else wanted)
        found: Revision | None = Revision(name)
        if not refname.is_commit(name):
            advertised = self._advertised(*asked_for(name))
            found = advertised.revision(name)
            if found is None and not refname.is_abbreviated(name):
                raise self._unknown(name, advertised)
        if found is not None:
            try:
                self._fetch("--depth=1", found.commit)
            except GitFailed as error:
                if not cannot_give(error):
                    raise self._explained(error) from error
            else:
                return Revision(self._commit(found.commit, name), found.note)
        return Revision(self._fetch_all(name), found.note if found else "")

    def fetch_history(self, wanted: str | None, base: str) -> tuple[str, str]:
        """Fetch everything; give the commit of `wanted`, and the one where it and `base` parted."""
        wanted, base = _checked("HEAD" if wanted is None else wanted), _checked(base)
        head = self._fetch_all(wanted)
        other = self._resolved(base)
        try:
            parted = self._run("merge-base", head, other).strip()
        except GitFailed as error:
            raise CheckError("CloneFailed", f"{base!r} and {wanted!r} have no commit in common") from error
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

    def _advertised(self, *names: str) -> Advertised:
        """Ask the server for refs, also by globs."""
        try:
            output = self._network("ls-remote", "--quiet", "--symref", "--", str(self.url), *names)
        except GitFailed as error:
            raise self._explained(error) from error
        return Advertised.parse(output)

    def _fetch_all(self, wanted: str) -> str:
        """Fetch all branches and tags with their history: for abbreviated commits, and servers that give no others."""
        head = ["+HEAD:refs/fetched/head"] if wanted == "HEAD" else []
        try:
            self._fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", *head)
        except GitFailed as error:
            raise self._explained(error) from error
        return self._resolved(wanted)

    def _resolved(self, wanted: str) -> str:
        names = ["refs/fetched/head"] if wanted == "HEAD" else [*names_of(wanted), wanted]
        for name in names:
            with suppress(GitFailed):
                return self._rev_parse(f"{name}^{{commit}}")
        if refname.is_abbreviated(wanted) and (commits := self._beginning_with(wanted)):
            message = f"{wanted!r} is the beginning of several commits of {self.url}: {', '.join(commits)}; write more"
            raise CheckError("CloneFailed", f"{message} of it")
        raise self._unknown(wanted, self._advertised(*asked_for(wanted)))

    def _beginning_with(self, abbreviated: str) -> list[str]:
        """Give some of the commits whose names begin so."""
        objects = self._run("rev-parse", f"--disambiguate={abbreviated}").split()[:_SHOWN]
        return [name for name in objects if self._run("cat-file", "-t", name).strip() == "commit"]

    def _unknown(self, wanted: str, advertised: Advertised) -> CheckError:
        if not advertised.refs and not (others := self._advertised(f"{HEADS}*", f"{TAGS}*").refs):
            return CheckError("CloneFailed", f"{self.url} is empty: it has no branch, no tag and no commit")
        if wanted == "HEAD":
            message = f"{self.url} has no default branch: its HEAD names one that is not there"
            shown = ", ".join(repr(name.removeprefix(HEADS)) for name in sorted(others)[:_SHOWN])
            return CheckError("CloneFailed", f"{message}; it has {shown}: write one of them, or a commit")
        is_commit = refname.is_commit(wanted) or refname.is_abbreviated(wanted)
        kind = "commit" if is_commit else "commit, branch or tag"
        return CheckError("CloneFailed", f"{self.url} has no {kind} {wanted!r}{advertised.hint(wanted)}")

    def _commit(self, name: str, wanted: str) -> str:
        try:
            return self._rev_parse(f"{name}^{{commit}}")
        except GitFailed as error:
            message = f"{wanted!r} of {self.url} is no commit, but a file, a folder or a tag of one; write a commit"
            raise CheckError("CloneFailed", message) from error

    def _rev_parse(self, name: str) -> str:
        return self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()

    def _explained(self, error: GitFailed) -> CheckError:
        return explained(error, self._git, self._access.limits.repository_bytes)


def _checked(wanted: str) -> str:
    name = refname.spelt(wanted)
    if why := refname.refusal(name):
        raise CheckError("CloneFailed", why)
    return name


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
