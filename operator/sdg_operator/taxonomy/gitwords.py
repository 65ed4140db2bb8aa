"""What Git, or a server through it, says when a fetch fails, in our own words."""

import sys
from typing import Final

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram
from sdg_operator.taxonomy.tree import harmless

_LOGGED: Final = 4000
_BLOCK: Final = 512
"""A limit on a file is kept in blocks of so many bytes."""
_EXPLANATIONS: Final = (
    ("mismatched algorithms", "its objects are named by SHA-256, which is understood over https only", False),
    ("ut of memory", "the repository needs more memory than a check may use", False),
    ("Host key verification failed", "the server's key is not the one in known_hosts of the Secret", False),
    ("Permission denied", "the server refuses the key (ssh-privatekey of the Secret)", False),
    ("Could not resolve hostname", "the host has no address", True),
    ("Connection refused", "the server refuses connections", True),
    ("Connection timed out", "the server does not answer", True),
    ("does not appear to be a git repository", "there is no such repository", False),
    ("epository not found", "there is no such repository, or the credentials may not read it", False),
    ("dumb http transport", "the server does not speak Git's smart protocol all the time", False),
    ("Operation too slow", "the server sends next to nothing for a minute", True),
    ("error: 404", "there is no such repository", False),
)


def explained(error: GitFailed, git: GitProgram, limit: int) -> CheckError:
    """Explain a failed fetch of at most `limit` bytes; Git's own words go to the log."""
    log(error)
    for marker, message, retriable in _EXPLANATIONS:
        if marker in error.text:
            return CheckError("CloneFailed", f"{git.name}: {message}", retriable=retriable)
    # A pack at its limit is ended by the kernel, without a word of Git's.
    if packed_bytes(git) > limit - _BLOCK:
        return CheckError("TooLarge", f"{git.name} has more than {limit} bytes (packed)")
    return CheckError("CloneFailed", f"{git.name} cannot be fetched; the log has Git's words", retriable=True)


def packed_bytes(git: GitProgram) -> int:
    """Give the size of all packs of a repository, unfinished ones included."""
    return sum(file.stat().st_size for file in git.folder.glob("objects/pack/*"))


def log(error: GitFailed) -> None:
    """Print what Git, or the server through it, said: not to stdout, where a result may be awaited."""
    for line in error.text[-_LOGGED:].splitlines():
        print(f"git: {harmless(line, _LOGGED)}", file=sys.stderr, flush=True)  # noqa: T201 - the container's log


def cannot_give(error: GitFailed) -> bool:
    """Servers may refuse a commit that no branch points at, unless all is fetched."""
    return any(
        marker in error.text
        for marker in ("not our ref", "unadvertised object", "couldn't find remote ref", "does not support shallow")
    )
