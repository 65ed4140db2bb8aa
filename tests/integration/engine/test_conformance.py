"""The conformance check tells engines that keep the contract from those that break it, and which clause they break."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdg_operator.cli.main import main
from sdg_operator.engine.conformance.clauses import CLAUSES, check
from sdg_operator.engine.conformance.trials import CommandEngine, Engine, stray_files

pytestmark = [
    pytest.mark.deep,  # each clause starts engines
    pytest.mark.skipif(shutil.which("curl") is None, reason="the foreign engine is made of curl"),
]

SHELL = ("sh", str(Path(__file__).parent / "foreign" / "engine.sh"))


def broken(engine: Engine, *clauses: str) -> dict[str, tuple[str, ...]]:
    verdicts = list(check(engine, clauses or tuple(CLAUSES)))
    assert [verdict.clause for verdict in verdicts] == list(clauses or CLAUSES)
    return {verdict.clause: verdict.problems for verdict in verdicts if not verdict.holds}


@pytest.fixture
def somebody_else() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_an_engine_of_a_few_lines_of_shell_keeps_the_contract() -> None:
    assert broken(CommandEngine(SHELL)) == {}


@pytest.mark.parametrize("clause", CLAUSES)
def test_an_engine_that_breaks_a_clause_is_found_out(clause: str, somebody_else: int) -> None:
    found = broken(CommandEngine((*SHELL, clause, str(somebody_else)), limit=60), clause)
    assert set(found) == {clause}


@pytest.mark.parametrize(
    ("breaks", "clause", "words"),
    [
        ("afresh", "resume", "times with checkpoints"),
        ("arguments", "secrets", "among a process's arguments"),
    ],
)
def test_another_way_to_break_a_clause_is_found_out(breaks: str, clause: str, words: str) -> None:
    found = broken(CommandEngine((*SHELL, breaks), limit=60), clause)
    assert set(found) == {clause}
    assert words in found[clause][0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine as a user of its own")
def test_a_file_left_where_everybody_may_write_is_found() -> None:
    user = 40_000 + os.getpid() % 10_000
    try:
        found = broken(CommandEngine((*SHELL, "tmp"), user, limit=60), "files")
        assert "wrote /tmp/sdg-conformance-stray-" in found["files"][0]
    finally:
        for stray in stray_files(user):
            stray.unlink()


def test_the_instructlab_engine_keeps_the_contract() -> None:
    assert broken(CommandEngine((sys.executable, "-m", "sdg_operator.engine.instructlab"))) == {}


def test_an_image_needs_a_program_that_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["engine", "conformance", "--image", "registry.example/engine:1"]) == 2
    assert "needs docker or podman in PATH" in capsys.readouterr().err


def test_an_engine_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "conformance"]) == 2
    assert "--image IMAGE, or a command after --" in capsys.readouterr().err
