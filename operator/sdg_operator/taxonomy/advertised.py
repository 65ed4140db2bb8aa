"""What a server says of its branches and tags, and which commit a name means by that. Pure."""

from dataclasses import dataclass
from typing import Final

from sdg_operator.taxonomy import refname

HEADS: Final = "refs/heads/"
TAGS: Final = "refs/tags/"
_PEELED: Final = "^{}"


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, and what its author should know of how it was named."""

    commit: str
    note: str = ""
    """Empty when the name means the same for ever."""


def names_of(wanted: str) -> list[str]:
    """Give the refs that a name may mean, in Git's own order (a tag before a branch)."""
    if wanted == "HEAD":
        return ["HEAD"]
    if wanted.startswith("refs/"):
        return [wanted]
    return [TAGS + wanted, HEADS + wanted, f"refs/{wanted}"]


def asked_for(wanted: str) -> list[str]:
    """Give the refs to ask a server for: those that may be meant, and what a good answer needs beside."""
    names = names_of(wanted)
    return ["HEAD", *names, *(name + _PEELED for name in names), HEADS + refname.without_remote(wanted)]


@dataclass(frozen=True, slots=True)
class Advertised:
    """The answer of ``git ls-remote --symref``."""

    refs: dict[str, str]
    """Ref → object; for an annotated tag the commit that it is of."""
    default: str
    """The default branch's name; empty where the server does not say."""

    @classmethod
    def parse(cls, output: str) -> "Advertised":
        refs: dict[str, str] = {}
        default = ""
        for line in output.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: ") and name == "HEAD":
                default = value.removeprefix("ref: ").removeprefix(HEADS)[: refname.REF_LENGTH]
            else:
                refs[name] = value
        for name in [name for name in refs if name.endswith(_PEELED)]:
            refs[name.removesuffix(_PEELED)] = refs.pop(name)
        return cls(refs, default)

    def revision(self, wanted: str) -> Revision | None:
        """Give the commit that a branch, tag or HEAD is at; None when the server names no such ref."""
        found = [name for name in names_of(wanted) if name in self.refs]
        if not found:
            return None
        commit = self.refs[found[0]]
        others = {self.refs[name] for name in found} - {commit}
        if others:
            note = (
                f"{wanted} is both a tag ({commit}) and a branch ({others.pop()}); the tag is taken: write the commit"
            )
        elif found[0].startswith(TAGS):
            note = ""
        else:
            what = "the default branch" if wanted == "HEAD" else wanted
            note = f"not pinned: {what} is now {commit}; write the commit to keep it"
        return Revision(commit, note)

    def hint(self, wanted: str) -> str:
        """Say what there is in place of a name that the server does not know; begins with ``;`` or is empty."""
        if (branch := refname.without_remote(wanted)) != wanted and HEADS + branch in self.refs:
            return f"; on the server the branch is called {branch!r}: write that"
        if "HEAD" not in self.refs:
            return ""
        return f"; its default branch{f' {self.default!r}' if self.default else ''} is at {self.refs['HEAD']}"
