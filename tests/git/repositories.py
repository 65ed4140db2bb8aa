"""Bare repositories made by code: files, links, submodules, branches and tags."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Submodule:
    commit: str


File = str | bytes | Link | Submodule


@dataclass(frozen=True)
class BareRepository:
    folder: Path

    @classmethod
    def create(cls, folder: Path, object_format: str = "sha1") -> "BareRepository":
        folder.parent.mkdir(parents=True, exist_ok=True)
        repository = cls(folder)
        options = ["--quiet", "--bare", "--initial-branch=main", f"--object-format={object_format}"]
        subprocess.run(["git", "init", *options, str(folder)], env=_ENVIRONMENT, check=True)
        return repository

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        result = subprocess.run(command, input=stdin, env=_ENVIRONMENT, check=True, capture_output=True)
        return result.stdout.decode().strip()

    def commit(self, files: Mapping[str, File], branch: str = "main", message: str = "x") -> str:
        """Commit these files, and no others, on top of a branch; give the commit."""
        known = subprocess.run(
            ["git", "-C", str(self.folder), "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"],
            env=_ENVIRONMENT,
            check=False,
            capture_output=True,
        )
        text = message.encode()
        stream = b"commit refs/heads/%b\ncommitter test <test@example.org> 1700000000 +0000\n" % branch.encode()
        stream += b"data %d\n%b\n" % (len(text), text)
        if known.returncode == 0:
            stream += b"from refs/heads/%b^0\n" % branch.encode()
        stream += b"deleteall\n"
        for path, file in files.items():
            stream += _modification(path, file)
        self.git("fast-import", "--quiet", "--force", stdin=stream)
        return self.git("rev-parse", branch)


def _modification(path: str, file: File) -> bytes:
    if isinstance(file, Submodule):
        return b"M 160000 %b %b\n" % (file.commit.encode(), path.encode())
    mode, content = (b"120000", file.target) if isinstance(file, Link) else (b"100644", file)
    data = content.encode() if isinstance(content, str) else content
    return b"M %b inline %b\ndata %d\n%b\n" % (mode, path.encode(), len(data), data)
