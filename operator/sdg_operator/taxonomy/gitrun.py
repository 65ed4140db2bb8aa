"""Runs the ``git`` program as if on a machine that knows nothing: no user's or system's settings, hooks or prompts."""

import os
import pwd
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdg_operator.taxonomy.childwatch import Watch
from sdg_operator.taxonomy.errors import CheckError

# Git reads these from the environment, so that no secret is in a command line.
_SETTINGS: Final[dict[str, str]] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "16m",
    "core.packedGitLimit": "128m",
    "core.deltaBaseCacheLimit": "16m",
    "credential.helper": "",
    "fetch.unpackLimit": "1",  # one pack for each fetch, so that a limit on a file's size limits the fetch
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}
_PASSED_ON: Final = ("PATH", "LANG", "TZ")
_NSS_WRAPPERS: Final = Path("/usr/lib")
_OWN_MEMORY_BYTES: Final = 208 << 20
"""What a check needs for itself beside Git: the program and all qna.yaml files."""
_LEAST_MEMORY_BYTES: Final = 64 << 20
_OUTPUT_BYTES: Final = 16 << 20
"""Most that is read of what one Git prints; lists of files are read as a stream."""


class GitFailed(Exception):
    """Git said no; `text` is what it, or the server, wrote. Not fit for a status message."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"git ended with {code}: {text[-1000:]}")


@dataclass(frozen=True, slots=True)
class GitProgram:
    """How to call ``git`` in one bare repository."""

    folder: Path
    home: Path
    memory_bytes: int
    name: str
    """Of the repository, for messages."""

    @classmethod
    def create(
        cls, folder: Path, home: Path, memory_bytes: int, name: str, object_format: str = "sha1"
    ) -> "GitProgram":
        """Make an empty bare repository. Raises `CheckError` when there is no ``git``."""
        if shutil.which("git") is None:
            raise CheckError("CloneFailed", "the program `git` is not installed here")
        home.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        git = cls(folder, home, memory_bytes, name)
        git.run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", ".", seconds=30)
        return git

    def run(
        self,
        *arguments: str,
        seconds: float,
        settings: Mapping[str, str | list[str]] | None = None,
        environment: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
    ) -> str:
        """Run to the end and give the output. Raises what `running` raises, and TooLarge for endless output."""
        more = {"settings": settings, "environment": environment, "file_bytes": file_bytes}
        with self.running(*arguments, seconds=seconds, **more) as process:  # type: ignore[arg-type]
            assert process.stdout is not None, "it is a pipe"
            output = process.stdout.read(_OUTPUT_BYTES + 1)
            if len(output) > _OUTPUT_BYTES:
                message = f"{self.name}: Git has more than {_OUTPUT_BYTES} bytes to say of it"
                raise CheckError("TooLarge", message)
            process.wait()
        return output.decode(errors="surrogateescape")

    @contextmanager
    def running(
        self,
        *arguments: str,
        seconds: float,
        settings: Mapping[str, str | list[str]] | None = None,
        environment: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> "Iterator[subprocess.Popen[bytes]]":
        """Run while the block lasts, which reads the output; nothing of it is left running afterwards.

        Raises `GitFailed` when it ended by itself and said no; `CheckError` with reason TimedOut after `seconds`, and
        CloneFailed when it, or the server through it, says more than anybody would read.
        """
        merged: dict[str, str | list[str]] = {**_SETTINGS, **(settings or {})}
        process = subprocess.Popen(
            _limited(["git", *arguments], self.memory_bytes, file_bytes),
            cwd=self.folder,
            env={**self._environment(merged), **(environment or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        watch = Watch(process, seconds)
        try:
            yield process
        except (CheckError, OSError):
            watch.end()
            self._judge(watch, seconds)  # the better reason, when it was ended from here
            raise
        finally:
            watch.end()
        self._judge(watch, seconds)
        if watch.code:
            raise GitFailed(watch.code, watch.errors.decode(errors="replace"))

    def _judge(self, watch: Watch, seconds: float) -> None:
        if watch.late:
            message = f"{self.name}: Git did not finish within {seconds:.0f} seconds; is the repository very large?"
            raise CheckError("TimedOut", message, retriable=True)
        if watch.noisy:
            message = f"{self.name}: the server, or Git, has more to say than anybody reads; it was stopped"
            raise CheckError("CloneFailed", message)

    def _environment(self, settings: Mapping[str, str | list[str]]) -> dict[str, str]:
        pairs = [
            (key, one) for key, value in settings.items() for one in ([value] if isinstance(value, str) else value)
        ]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= identity(self.home, os.getuid(), os.getgid())
        environment |= {
            "GIT_ALLOW_PROTOCOL": "none",  # but for what is meant to go out, which names its own
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": str(len(pairs)),
            "GIT_DIR": str(self.folder),
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(self.home),
        }
        for number, (key, value) in enumerate(pairs):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return environment


def identity(home: Path, uid: int, gid: int) -> dict[str, str]:
    """Give the user a name where it has none (OpenShift runs us under any uid): ssh refuses to run without."""
    try:
        pwd.getpwuid(uid)
        return {}
    except KeyError:
        pass
    if (library := next(_NSS_WRAPPERS.glob("*/libnss_wrapper.so"), None)) is None:
        return {}
    passwd, group = home / "passwd", home / "group"
    passwd.write_text(f"sdg:x:{uid}:{gid}:sdg:{home}:/bin/sh\n")
    group.write_text(f"sdg:x:{gid}:\n")
    return {"LD_PRELOAD": str(library), "NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(group)}


def memory_share(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How much memory a Git beside us may take, in bytes, by the limit of the container that both are in."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # a cgroup of the other kind, or "max"
            return max(int((cgroup / name).read_text()) - _OWN_MEMORY_BYTES, _LEAST_MEMORY_BYTES)
    return sys.maxsize


_LIMITED: Final = 'ulimit -S -v "$1" && ulimit -S -f "$2" && shift 2 && exec "$@"'
"""Memory in KiB, and the size of a file in blocks of 512 bytes: what a shell counts in."""


def _limited(command: Sequence[str], memory_bytes: int, file_bytes: int | None) -> list[str]:
    """Put a shell before the command that gives itself these limits and becomes it.

    Memory: a pack of a few bytes can stand for an object of gigabytes. Not by limits of our own that the child would
    inherit: while they are low, our other threads cannot even begin.
    """
    wanted = ((resource.RLIMIT_AS, memory_bytes, 1024), (resource.RLIMIT_FSIZE, file_bytes, 512))
    return ["/bin/sh", "-c", _LIMITED, "sh", *(_in_units(*each) for each in wanted), *command]


def _in_units(kind: int, wanted: int | None, unit: int) -> str:
    """Return the lower of what is wanted and what we have ourselves."""
    ours, _ = resource.getrlimit(kind)
    bounds = [bound for bound in (wanted, ours) if bound not in {None, resource.RLIM_INFINITY}]
    return str(min(bounds) // unit) if bounds else "unlimited"
