"""Links in the documents: a file that a link names is there, and so is the heading behind ``#``.

Links to other sites are not followed: a gate must not depend on them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from hack.verify.repository import ROOT, files

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    found: set[str] = set()
    for title in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        number = 1
        unique = slug
        while unique in found:
            unique, number = f"{slug}-{number}", number + 1
        found.add(unique)
    return found


def links(text: str) -> Iterator[str]:
    """Yield the targets of a document's links, code left out."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        yield match[1] or match[2]


def broken(document: Path, root: Path = ROOT) -> Iterator[str]:
    """Yield what is wrong with each broken link of a document."""
    text = document.read_text()
    for target in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (root / name.lstrip("/") if name.startswith("/") else document.parent / name) if name else document
        if not path.exists():
            yield f"{target}: there is no such file"
        elif anchor and path.suffix == ".md" and anchor not in anchors(path.read_text()):
            yield f"{target}: {path.name} has no such heading"


def check() -> list[str]:
    """Return one line for each broken link."""
    return [f"{path.relative_to(ROOT)}: {problem}" for path in files("*.md") for problem in broken(path)]
