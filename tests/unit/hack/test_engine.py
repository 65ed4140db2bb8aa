"""Our own Docker engine, started again after everything of it was killed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.engine import forget_ended_containerd
from hack.cluster.steps import wait_for


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name, whose end nobody asks for before the test is over."""
    program = shutil.copy("/bin/sleep", tmp_path / "containerd")
    process = subprocess.Popen([program, "600"])
    # The kernel shows its words a moment after it runs.
    wait_for("its words", 60, lambda: bool(Path(f"/proc/{process.pid}/cmdline").read_bytes()), interval=0.01)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    file = tmp_path / "exec" / "containerd" / "containerd.pid"
    file.parent.mkdir(parents=True)
    return file


def test_a_containerd_that_outlived_its_engine_is_taken_up(
    containerd: subprocess.Popen[bytes], pid_file: Path, tmp_path: Path
) -> None:
    pid_file.write_text(str(containerd.pid))
    forget_ended_containerd(tmp_path / "exec")
    assert pid_file.exists()


def test_one_that_was_killed_and_not_yet_reaped_is_forgotten(
    containerd: subprocess.Popen[bytes], pid_file: Path, tmp_path: Path
) -> None:
    pid_file.write_text(str(containerd.pid))
    containerd.kill()
    os.waitid(os.P_PID, containerd.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still there
    forget_ended_containerd(tmp_path / "exec")
    assert not pid_file.exists()


def test_another_process_of_the_same_id_is_not_taken_for_it(pid_file: Path, tmp_path: Path) -> None:
    pid_file.write_text(str(os.getpid()))
    forget_ended_containerd(tmp_path / "exec")
    assert not pid_file.exists()


def test_where_none_ever_ran_there_is_nothing_to_forget(tmp_path: Path) -> None:
    forget_ended_containerd(tmp_path / "exec")
