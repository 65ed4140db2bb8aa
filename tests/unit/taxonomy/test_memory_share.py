"""How much memory Git may take beside a check, by what the container has."""

import sys
from pathlib import Path

import pytest

from sdg_operator.taxonomy.gitrun import memory_share

MIB = 1 << 20


@pytest.mark.parametrize(
    ("file", "text", "share"),
    [
        ("memory.max", f"{512 * MIB}\n", 304 * MIB),
        ("memory/memory.limit_in_bytes", f"{1024 * MIB}\n", 816 * MIB),
        ("memory.max", f"{128 * MIB}\n", 64 * MIB),
        ("memory.max", "max\n", sys.maxsize),
        ("other", "", sys.maxsize),
    ],
)
def test_git_gets_what_the_check_itself_leaves(tmp_path: Path, file: str, text: str, share: int) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert memory_share(tmp_path) == share
