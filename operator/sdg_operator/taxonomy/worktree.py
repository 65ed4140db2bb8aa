"""What a person, or a pull request, changed: the leaves of a Git work tree that are new against a base."""

import subprocess
from pathlib import Path

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.tree import is_leaf_like


def changed_leaves(folder: Path, base: str) -> frozenset[str]:
    """Give the files below a folder that look like leaves, and are new or changed since it and `base` parted.

    Files that are not committed yet count. Raises `CheckError` with reason SourceRefused.
    """
    try:
        commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
        parted = _git(folder, "merge-base", commit, "HEAD").strip()
        how = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--diff-filter=d", "--relative")
        changed = _git(folder, "diff", *how, parted)
        new = _git(folder, "ls-files", "--others", "--exclude-standard", "-z")
    except (OSError, subprocess.CalledProcessError) as error:
        message = (
            f"{folder} is no folder of a Git work tree, or {base!r} no commit, branch or tag with a history in common; "
            "in CI fetch all of it (actions/checkout: `fetch-depth: 0`)"
        )
        raise CheckError("SourceRefused", message) from error
    return frozenset(name for name in (changed + new).split("\0") if is_leaf_like(name))


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    result = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return result.stdout.decode(errors="surrogateescape")
