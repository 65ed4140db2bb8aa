"""Wrong usage of ``sdg engine run`` is told in words, and nothing of a user's is overwritten."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdg_operator.cli.child import call
from sdg_operator.cli.main import main
from sdg_operator.cli.run_folder import WORK, locked, remove_work
from sdg_operator.cli.run_usage import WrongUsage
from sdg_operator.storage.layout import RunLayout

LAYOUT = RunLayout("result")


def said(path: Path, capsys: pytest.CaptureFixture[str], out: Path, *flags: str) -> str:
    teacher = [] if "--teacher" in flags else ["--teacher", "http://localhost:1/v1"]
    (path / "taxonomy").mkdir(exist_ok=True)
    try:
        code = main(["engine", "run", str(path / "taxonomy"), str(out), "--model", "m", *teacher, *flags])
    except SystemExit as error:  # argparse
        code = int(str(error.code))
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--token-file", "{folder}/none"), "there is no {folder}/none"),
        (("--token-file", "{folder}/there"), "{folder}/there is no file"),
        (("--teacher-ca-file", "{folder}/there"), "{folder}/there is no file"),
        (("--teacher-ca-file", "{folder}/text"), "holds no certificate"),
        (("--teacher", "ftp://x/v1"), "--teacher must be http(s)://host[:port]/path"),
        (("--teacher", "not a url"), "it is 'not a url'"),
        (("--teacher", "http://127.0.0.1:99999/v1"), "--teacher must be"),
        (("--pipeline", "nosuch"), "there is no pipeline 'nosuch'; use simple, full, llama, or a folder"),
        (("--pipeline", "{folder}/none"), "there is no folder {folder}/none"),
        (("--pipeline", "{folder}/there"), "{folder}/there holds no flow files"),
        (("--pipeline", "{folder}/bad"), "{folder}/bad/knowledge.yaml is not UTF-8"),
        (("--pipeline", "{folder}/odd"), "{folder}/odd/knowledge.yaml cannot be read: Is a directory"),
        (("--system-prompt", "\udcff"), "system_prompt holds bytes that are not UTF-8"),
        (("--scale-factor", "x"), "--scale-factor: 'x' is no whole number"),
        (("--preview", "0"), "--preview: 0 is less than 1"),
        (("--model", ""), "--model is empty"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_made(
    flags: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "text").write_text("x")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "knowledge.yaml").write_bytes(b"\xff")
    (tmp_path / "odd" / "knowledge.yaml").mkdir(parents=True)
    given = (flag.format(folder=tmp_path) for flag in flags)
    assert words.format(folder=tmp_path) in said(tmp_path, capsys, tmp_path / "out", *given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["text", "text/below", "/proc/1/below"])
def test_an_out_that_cannot_be_a_folder_is_refused(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("x")
    with pytest.raises(WrongUsage, match="cannot be a folder for the result"), locked(tmp_path / out, LAYOUT):
        pass


def test_an_empty_out_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taxonomy").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["engine", "run", str(tmp_path / "taxonomy"), "", "--model", "m", "--teacher", "http://localhost/v1"])
    assert "argument OUT: it is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", [WORK, "result"])
def test_a_folder_that_is_not_ours_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis").write_text("mine")
    with pytest.raises(WrongUsage, match="is not of sdg"), locked(tmp_path, LAYOUT):
        pass
    assert (tmp_path / name / "thesis").read_text() == "mine"


def test_our_own_folder_is_taken_up_and_removed_and_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis").write_text("mine")
    with locked(tmp_path, LAYOUT) as (work, _):
        (work / "tmp").mkdir()
    with locked(tmp_path, LAYOUT) as (work, _):
        assert (work / "tmp").is_dir()
        remove_work(work)
    assert {path.name for path in tmp_path.iterdir()} == {"work", ".sdg-lock"}


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path, LAYOUT), pytest.raises(WrongUsage, match="another sdg works in"), locked(tmp_path, LAYOUT):
        pass
    with locked(tmp_path, LAYOUT):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_that_has_no_words_yet_for_being_stopped_ends_as_interrupted(
    number: signal.Signals, tmp_path: Path
) -> None:
    text = f"import os, signal, time; os.kill(os.getppid(), signal.{number.name}); time.sleep(600)"
    with (tmp_path / "lock").open("w") as lock:
        assert call([sys.executable, "-c", text], os.environ, lock.fileno()) == 31
        assert call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], os.environ, lock.fileno()) == 31
        assert call([sys.executable, "-c", "raise SystemExit(20)"], os.environ, lock.fileno()) == 20
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under `nohup`, when the terminal goes away."""
    text = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); raise SystemExit(20)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with (tmp_path / "lock").open("w") as lock:
            assert call([sys.executable, "-c", text], os.environ, lock.fileno()) == 20
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lock alone keeps the next run out")
def test_a_child_ends_when_sdg_is_killed(tmp_path: Path) -> None:
    lock, began = tmp_path / "lock", tmp_path / "began"
    child = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(600)"
    parent = f"""
import fcntl, os, sys
from sdg_operator.cli.child import call
lock = os.open({str(lock)!r}, os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
call([sys.executable, "-c", {child!r}], os.environ, lock)
"""
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        try:
            deadline = time.monotonic() + 60
            while not began.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.kill()
    with lock.open() as held:  # the child held the lock too
        fcntl.flock(held, fcntl.LOCK_EX)


def test_closed_standard_output_is_told_in_words() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "sdg_operator.cli.main", "settings", "check", "/dev/null"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "standard output was closed" in done.stderr
