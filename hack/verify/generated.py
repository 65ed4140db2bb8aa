"""Every generated file is up to date and known to Git, and none is left of what nothing generates any more."""

from collections.abc import Collection, Iterator
from pathlib import Path

from hack.generate.__main__ import outputs
from hack.verify.repository import ROOT, tracked


def left_over(expected: Collection[Path]) -> Iterator[Path]:
    """Yield files of the CRDs' folders that nothing generates."""
    for folder in sorted({path.parent for path in expected if path.parent.name == "crds"}):
        yield from (path for path in sorted(folder.iterdir()) if path not in expected)


def check() -> list[str]:
    """Return one line for each generated file that is out of date, was never added or is left over."""
    expected = outputs()
    problems = [f"{path.relative_to(ROOT)}: nothing generates it; remove it" for path in left_over(expected)]
    for path, text in expected.items():
        name = path.relative_to(ROOT)
        if not path.exists() or path.read_text() != text:
            problems.append(f"{name}: is out of date; run `make generate`")
        elif not tracked(path):
            problems.append(f"{name}: is not known to Git; add it")
    return problems
