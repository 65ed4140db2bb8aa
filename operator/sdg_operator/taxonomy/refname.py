"""Names of commits, branches and tags, as a taxonomy's author and a Git source write them. Pure."""

import re
from typing import Final

REF: Final = r"^[!-,0-~][!-~]*$"
REF_NEVER: Final = r"[~^:?*\[\\]|\.\.|@\{"
REF_LENGTH: Final = 255
"""What a name is (in the language of RE2 and Python): `REF`, and nothing of `REF_NEVER` in it."""

_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED: Final = re.compile(r"[0-9a-f]{4,39}")
_REMOTE: Final = re.compile(r"(refs/)?(remotes/)?(origin|upstream)/")


def refusal(name: str) -> str | None:
    """Say why this can be no name; None when it can."""
    shown = repr(name[:80])
    if not name:
        return "the name of the commit is empty; write a commit, branch or tag"
    if re.search("[~^]|@[{]", name) and name[0] != "-":
        return f"{shown} counts from another commit; write the commit itself"
    if len(name) > REF_LENGTH or not re.fullmatch(REF, name) or re.search(REF_NEVER, name):
        return f"{shown} is no name of a commit, branch or tag"
    return None


def spelt(text: str) -> str:
    """Give the name as Git spells it: without blanks around, a commit in small letters."""
    name = text.strip()
    return name.lower() if is_commit(name.lower()) else name


def is_commit(name: str) -> bool:
    """Tell whether it is a whole name of a commit."""
    return _COMMIT.fullmatch(name) is not None


def is_abbreviated(name: str) -> bool:
    """Tell whether it can be the beginning of a commit's name."""
    return _ABBREVIATED.fullmatch(name.lower()) is not None


def without_remote(name: str) -> str:
    """Give a branch's name on the server, of the name that it has in somebody's clone (``origin/main``)."""
    return _REMOTE.sub("", name, count=1)
