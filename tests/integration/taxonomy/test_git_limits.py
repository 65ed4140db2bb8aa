"""Git has little memory, and who starts it keeps its own."""

import mmap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sdg_operator.taxonomy.gitrun import GitProgram

MEMORY = 64 << 20


@pytest.fixture
def git(tmp_path: Path) -> GitProgram:
    return GitProgram.create(tmp_path / "git", tmp_path / "home", MEMORY, "https://git.example.org/x.git")


def test_git_and_its_helpers_have_the_limits(git: GitProgram) -> None:
    told = {"alias.limits": "!ulimit -v; ulimit -f"}
    assert git.run("limits", seconds=60, settings=dict(told), file_bytes=1 << 20).split() == ["65536", "2048"]
    assert git.run("limits", seconds=60, settings=dict(told)).split() == ["65536", "unlimited"]


def test_other_threads_can_have_memory_while_git_is_started(git: GitProgram) -> None:
    with ThreadPoolExecutor(1) as pool:
        gits = [pool.submit(git.run, "version", seconds=60) for _ in range(12)]
        while not all(each.done() for each in gits):
            mmap.mmap(-1, MEMORY).close()
    assert all(each.result().startswith("git version") for each in gits)
