"""The files that are, or would be, committed."""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def files(*patterns: str) -> list[Path]:
    """Return tracked files, and new ones that no .gitignore names, by Git's path patterns (all by default)."""
    names = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns).split("\0")
    return sorted(path for name in set(names) if name and (path := ROOT / name).is_file())


def tracked(path: Path) -> bool:
    """Return whether Git knows a file."""
    return bool(_git("ls-files", "--", str(path)))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout
