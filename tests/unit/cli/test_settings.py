"""``sdg settings check`` as an administrator runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sdg_operator.cli.main import main

GOOD = "images: {engine: example.com/engine:1, runner: example.com/runner:1}\n"


def test_good_settings_are_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(GOOD)
    assert main(["settings", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: the settings can be used\n"


def test_all_that_is_wrong_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"{GOOD}queus: {{}}\nlimits:\n  workers: 0\n")
    assert main(["settings", "check", str(file)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:2: queus: there is no such setting; did you mean queues?",
        f"{file}:4: limits.workers: 0 is too small; at least 1",
        "The settings cannot be used: 2 to mend.",
    ]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", str(tmp_path / "none.yaml")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_cluster_s_own_settings_come_by_standard_input() -> None:
    """As ``kubectl get configmap … | sdg settings check -`` gives them."""
    command = [sys.executable, "-m", "sdg_operator.cli.main", "settings", "check", "-"]
    done = subprocess.run(command, input=GOOD, capture_output=True, text=True, check=True)
    assert done.stdout == "-: the settings can be used\n"


def test_what_the_terminal_cannot_show_is_written_in_other_letters(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"{GOOD}prüfung: 1\n")
    command = [sys.executable, "-m", "sdg_operator.cli.main", "settings", "check", str(file)]
    done = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{file}:2: pr\\xfcfung: there is no such setting;")
    assert (done.returncode, done.stderr) == (1, "")


def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", str(tmp_path / ("n" * 300))]) == 1
    assert "cannot be read: File name too long" in capsys.readouterr().out
