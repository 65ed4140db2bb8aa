"""A Git repository of which one commit is fetched and read, never checked out.

Without a work tree there are no links to follow, no filters (LFS), no hooks and no submodules, and no name that the
repository chose ever becomes a name on this disk.
"""

import shutil
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdg_operator.taxonomy import refname
from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.advertised import HEADS, TAGS, Advertised, Revision, asked_for, names_of
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.files import Entry, listed, open_reader
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram, memory_share
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.gitwords import cannot_give, explained, log, packed_bytes
from sdg_operator.taxonomy.handshake import Remote, locate
from sdg_operator.taxonomy.request import GitCredential, Limits
from sdg_operator.taxonomy.sshcommand import ssh_command

_SHOWN: Final = 10
_AT_ONCE: Final = 1000
"""Files that are asked for in one command line."""
_EVERYTHING: Final = ("--depth=2147483647", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
"""With a depth, here one that Git takes for endless, it never talks to a server without the smart protocol: of such a
one it takes file by file, and no limit would hold for them together."""
_LOOK_SECONDS: Final = 60
_LOOK_BYTES: Final = 64 << 20
"""Most that is fetched of the default branch where only its list of files is wanted."""


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


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a branch is now, and the files there; their sizes are not known."""

    branch: str
    commit: str
    entries: tuple[Entry, ...]


class Repository:
    """One repository, fetched into a bare folder of its own."""

    def __init__(self, url: str, access: Access, folder: Path) -> None:
        """Find the repository. Raises `CheckError` with reason CloneFailed."""
        self.url = GitUrl.parse(url, access.guard.network.allowed_hosts)
        self._access = access
        self._settings: dict[str, str | list[str]] = {}
        self._environment: dict[str, str] = {}
        self._object_format, self._filters = "sha1", False
        self._lacks_contents = False
        self._prepare()
        self._git = self._repository(folder)

    def fetch(self, wanted: str | None, *, contents: bool = True) -> Revision:
        """Fetch one commit without its history; without `contents`, only the names of its files, if the server can.

        `wanted` is a commit (also abbreviated), a branch or a tag; None is the default branch. Raises `CheckError`.
        """
        self._lacks_contents = self._filters and not contents
        name = _checked("HEAD" if wanted is None else wanted)
        found: Revision | None = Revision(name)
        if not refname.is_commit(name):
            advertised = self._advertised(*asked_for(name))
            found = advertised.revision(name)
            if found is None and not refname.is_abbreviated(name):
                raise self._unknown(name, advertised)
            if found is None and self._filters:
                found = Revision(self._whole_name(name))
        if found is not None:
            try:
                self._fetch("--depth=1", *(["--filter=blob:none"] if self._lacks_contents else []), found.commit)
            except GitFailed as error:
                if not cannot_give(error):
                    raise self._explained(error) from error
            else:
                return Revision(self._commit(found.commit, name), found.note)
        return Revision(self._fetch_all(name), found.note if found else "")

    def bring(self, files: Iterable[Entry]) -> None:
        """Fetch the contents of files, where the commit was fetched without. Raises `CheckError`."""
        names = sorted({file.sha for file in files}) if self._lacks_contents else []
        try:
            for start in range(0, len(names), _AT_ONCE):
                self._fetch("--depth=1", *names[start : start + _AT_ONCE])  # see _EVERYTHING
        except GitFailed as error:
            raise self._explained(error) from error

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
        access = self._access
        try:
            most = access.limits.entries
            yield from listed(self._git, tree, access.seconds(), most, sizes=not self._lacks_contents)
        except GitFailed as error:
            raise self._explained(error) from error

    def changed(self, base: str, head: str) -> frozenset[str]:
        """Give the paths that are new or changed between two commits."""
        # -t as in `listed`: folders are named too, and the output is bounded.
        output = self._run("diff-tree", "-r", "-t", "-z", "--no-renames", "--diff-filter=d", "--name-only", base, head)
        return frozenset(output.split("\0")) - {""}

    def reader(self) -> AbstractContextManager[Callable[[str, Callable[[bytes], object]], None]]:
        """Open a way to read many files: ``read(sha, write)`` hands the content to `write` in pieces."""
        return open_reader(self._git, self._access.seconds())

    def default_branch(self) -> Tip | None:
        """Look at the files that the default branch has now; None where that cannot be had cheaply.

        Only the names are fetched, if the server can do that, into a folder of their own: they are for a message.
        """
        seconds = min(self._access.seconds(), _LOOK_SECONDS)
        try:
            advertised = self._advertised("HEAD")
            if (found := advertised.revision("HEAD")) is None:
                return None
            with self._beside() as git:
                wanted = ("--depth=1", "--filter=blob:none", found.commit)
                self._fetch(*wanted, git=git, seconds=seconds, most=_LOOK_BYTES)
                entries = tuple(listed(git, found.commit, seconds, self._access.limits.entries, sizes=False))
        except GitFailed as error:
            log(error)
            return None
        except CheckError:
            self._access.deadline.left()
            return None
        return Tip(advertised.default or "HEAD", found.commit, entries)

    def _prepare(self) -> None:
        """Find out where Git may go, and with what."""
        access = self._access
        if self.url.scheme == "ssh":
            command = ssh_command(self.url, access.credentials, access.guard, access.work / "home")
            self._environment = {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}
            return
        context = ssl.create_default_context(cafile=str(access.ca_file))
        remote = locate(self.url, access.credentials, access.guard, context, access.seconds())
        self.url = remote.url
        self._settings = _http_settings(remote, access.ca_file)
        self._object_format, self._filters = remote.object_format, remote.filters

    def _repository(self, folder: Path) -> GitProgram:
        memory = min(self._access.limits.git_memory_bytes, memory_share())
        return GitProgram.create(folder, self._access.work / "home", memory, str(self.url), self._object_format)

    @contextmanager
    def _beside(self) -> Iterator[GitProgram]:
        """Make a repository for a look at a part of what the server has; nothing of it stays."""
        folder = self._access.work / "beside"
        try:
            yield self._repository(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, *arguments: str) -> str:
        return self._git.run(*arguments, seconds=self._access.seconds())

    def _network(
        self, *arguments: str, git: GitProgram | None = None, seconds: float | None = None, most: int | None = None
    ) -> str:
        git = git or self._git
        # A server answers each of several requests with a pack: what one leaves of the limit is the next one's.
        left = self._access.limits.repository_bytes - packed_bytes(git)
        return git.run(
            *arguments,
            seconds=seconds or self._access.seconds(),
            settings=self._settings,
            environment={**self._environment, "GIT_ALLOW_PROTOCOL": self.url.scheme},
            file_bytes=max(min(most or sys.maxsize, left), 0),
        )

    def _fetch(
        self, *arguments: str, git: GitProgram | None = None, seconds: float | None = None, most: int | None = None
    ) -> None:
        options = [item for item in arguments if item.startswith("--")]
        refs = [item for item in arguments if not item.startswith("--")]
        arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *options, "--", str(self.url), *refs)
        self._network(*arguments, git=git, seconds=seconds, most=most)

    def _advertised(self, *names: str) -> Advertised:
        """Ask the server for refs, also by globs."""
        try:
            output = self._network("ls-remote", "--quiet", "--symref", "--", str(self.url), *names)
        except GitFailed as error:
            raise self._explained(error) from error
        return Advertised.parse(output)

    def _fetch_all(self, wanted: str) -> str:
        """Fetch all branches and tags with their history: for abbreviated commits, and servers that give no others."""
        self._lacks_contents = False
        head = ["+HEAD:refs/fetched/head"] if wanted == "HEAD" else []
        try:
            self._fetch(*_EVERYTHING, *head)
        except GitFailed as error:
            if not self._is_empty(error):
                raise self._explained(error) from error
        return self._resolved(wanted)

    def _is_empty(self, error: GitFailed) -> bool:
        """Tell whether there was nothing to fetch: with a depth, Git fails of that without a word."""
        return not error.text.strip() and not self._advertised(f"{HEADS}*", f"{TAGS}*").refs

    def _whole_name(self, abbreviated: str) -> str:
        """Find the commit that begins so among all that branches and tags lead to, without their files."""
        with self._beside() as git:
            try:
                self._fetch("--filter=tree:0", *_EVERYTHING, git=git)
            except GitFailed as error:
                if not self._is_empty(error):
                    raise explained(error, git, self._access.limits.repository_bytes) from error
            return self._resolved(abbreviated, git)

    def _resolved(self, wanted: str, git: GitProgram | None = None) -> str:
        git = git or self._git
        names = ["refs/fetched/head"] if wanted == "HEAD" else [*names_of(wanted), wanted]
        for name in names:
            with suppress(GitFailed):
                return self._rev_parse(f"{name}^{{commit}}", git)
        if refname.is_abbreviated(wanted) and (commits := self._beginning_with(wanted, git)):
            message = f"{wanted!r} is the beginning of several commits of {self.url}: {', '.join(commits)}; write more"
            raise CheckError("CloneFailed", f"{message} of it")
        raise self._unknown(wanted, self._advertised(*asked_for(wanted)))

    def _beginning_with(self, abbreviated: str, git: GitProgram) -> list[str]:
        """Give some of the commits whose names begin so."""
        seconds = self._access.seconds()
        objects = git.run("rev-parse", f"--disambiguate={abbreviated}", seconds=seconds).split()[:_SHOWN]
        return [name for name in objects if git.run("cat-file", "-t", name, seconds=seconds).strip() == "commit"]

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
            return self._rev_parse(f"{name}^{{commit}}", self._git)
        except GitFailed as error:
            message = f"{wanted!r} of {self.url} is no commit, but a file, a folder or a tag of one; write a commit"
            raise CheckError("CloneFailed", message) from error

    def _rev_parse(self, name: str, git: GitProgram) -> str:
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return git.run(*arguments, seconds=self._access.seconds()).strip()

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
