"""What is built once is kept whole, and made anew only when what it is made of changes."""

import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster import cache
from hack.cluster.steps import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDG_CACHE", str(tmp_path / "cache"))


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    builds = []

    def build(scratch: Path) -> None:
        builds.append(scratch)
        (scratch / "file").write_text("built")

    for _ in range(2):
        assert (cache.built(tmp_path / "thing", build) / "file").read_text() == "built"
    assert len(builds) == 1


def test_a_build_that_fails_leaves_nothing_under_the_name_and_is_done_again(tmp_path: Path) -> None:
    def fail(scratch: Path) -> None:
        (scratch / "half").touch()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        cache.built(tmp_path / "thing", fail)
    assert not (tmp_path / "thing").exists()
    cache.built(tmp_path / "thing", lambda scratch: (scratch / "whole").touch())
    assert [path.name for path in (tmp_path / "thing").iterdir()] == ["whole"]
    assert list(tmp_path.glob(".thing-*")) == []


def test_a_key_follows_the_content_and_the_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_text("1")
    first = cache.content_key(tmp_path / "a", "flag")
    assert first == cache.content_key(tmp_path / "a", "flag")
    (tmp_path / "a/x").write_text("2")
    changed = cache.content_key(tmp_path / "a", "flag")
    (tmp_path / "a/x").rename(tmp_path / "a/y")
    renamed = cache.content_key(tmp_path / "a", "flag")
    assert len({first, changed, renamed, cache.content_key(tmp_path / "a", "other")}) == 4


HOLDER = """
import subprocess, sys
from hack.cluster import cache
scratch = cache.Scratch("work-")
subprocess.Popen(["sleep", "300"], cwd=scratch.path, start_new_session=True)
print(scratch.path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_unfinished_is_removed_and_what_runs_in_it_is_ended() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        left = Path(holder.stdout.readline().strip())
        with cache.Scratch("work-") as mine:
            cache.sweep()
            assert left.is_dir(), "its owner is alive"
            assert mine.is_dir()
        holder.kill()
        holder.wait()
        assert processes_in(left)
        cache.sweep()
    assert not left.exists()
    wait_for("the end of what ran in it", 10, lambda: not processes_in(left))


def processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(str(folder)):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_waiting_for_a_lock_says_who_holds_it() -> None:
    program = 'from hack.cluster import cache\nwith cache.lock("x"):\n    print("held", flush=True)\n    input()'
    holder = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "held\n"
        wait = [sys.executable, "-c", 'from hack.cluster import cache\nwith cache.lock("x"):\n    pass']
        with subprocess.Popen(wait, cwd=ROOT, stderr=subprocess.PIPE, text=True) as waiter:
            assert waiter.stderr
            words = f"  · wait for process {holder.pid}, which holds x"
            assert waiter.stderr.read(len(words)) == words
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert waiter.wait(30) == 0
