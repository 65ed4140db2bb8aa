"""Steps say what they do and what to do when they fail; nothing that they start outlives them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster import steps
from hack.cluster.steps import StepFailed, run, step, succeeds, wait_for

ROOT = Path(__file__).parents[3]


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(StepFailed, match="no-such-command is not on this machine; install it"):
        run(["no-such-command", "x"])
    assert not succeeds(["no-such-command"])


def test_a_command_that_takes_too_long_is_named() -> None:
    with pytest.raises(StepFailed, match=r"`sleep 60` did not end within 0 s"):
        run(["sleep", "60"], timeout=0.1)
    assert not succeeds(["sleep", "60"], timeout=0.1)


def test_a_failed_step_says_what_to_do() -> None:
    with pytest.raises(StepFailed, match=r"(?s)ended with 3:\nbroken\nMend it"), step("work", "Mend it"):
        run(["sh", "-c", "echo broken; exit 3"])


def test_a_long_step_tells_the_time_that_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "_IN_LOG", 0.01)
    said = ""

    def told_twice() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return said.count("    0 s …\n") >= 2

    with step("build"):
        wait_for("the time", 10, told_twice)
    said += capsys.readouterr().err
    assert said.startswith("  · build …\n    0 s …\n")
    assert said.splitlines()[-1].startswith("  · build … 0.")


def test_a_command_ends_with_the_program_that_runs_it() -> None:
    """Else a killed `cluster-up` frees its lock while its kind goes on."""
    program = 'from hack.cluster.steps import run; run(["sh", "-c", "echo $$ >/proc/$PPID/fd/1; exec sleep 300"])'
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for("the end of the command", 10, lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # An orphan whose new parent has not asked for it yet is dead too.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
