"""The common tools of the gate, each with our settings in pyproject.toml."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from hack.cluster.cache import root
from hack.verify.repository import ROOT, files

_BIN: Final = Path(sys.executable).parent
_CODE: Final = [folder for folder in ("operator/sdg_operator", "hack", "tests", "bench") if (ROOT / folder).is_dir()]
_IN_IMAGES: Final = [str(path.relative_to(ROOT)) for path in files("images/**.py")]
_TYPES: Final = root() / "mypy"
"""Outside the work tree: a fresh clone checks types in seconds with it, and in a minute without."""


def _run(*command: str) -> list[str]:
    """Run a tool; return what it says if it is not content."""
    done = subprocess.run([_BIN / command[0], *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or [f"{command[0]} failed"]


TOOLS: Final[dict[str, Callable[[], list[str]]]] = {
    "format": partial(_run, "ruff", "format", "--check", "--output-format=concise", "."),
    "lint": partial(_run, "ruff", "check", "--output-format=concise", "."),
    "types": partial(_run, "mypy", "--cache-dir", str(_TYPES), *_CODE, *_IN_IMAGES),
    "layers": partial(_run, "lint-imports", "--no-logo"),
    "dependencies": partial(_run, "deptry", "--no-ansi", "operator"),
}
