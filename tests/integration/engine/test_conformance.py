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
PYTHON = (sys.executable, str(Path(__file__).parent / "foreign" / "engine.py"))


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


@pytest.mark.parametrize("way", ["", "alone", "few", "no-checkpoints"])
def test_a_strange_way_to_keep_the_contract_is_no_breach(way: str) -> None:
    assert broken(CommandEngine((*PYTHON, way), limit=60)) == {}


@pytest.mark.parametrize(
    ("breaks", "clause", "words"),
    [
        ("fifo-leaf", "files", "leaf.json is no regular file"),
        ("fifo-checkpoint", "files", "a.jsonl is no regular file"),
        ("folder", "files", "samples.jsonl is no regular file"),
        ("deep", "checkpoints", "line 1 is not JSON"),
        ("cut", "leaves", "is cut off"),
        ("blank", "leaves", "is not JSON"),
        ("bom", "leaves", "line 1 is not JSON"),
        ("columns", "leaves", "has neither 'output' nor 'question' with 'response'"),
        ("nan", "leaves", "it has NaN"),
        ("hard-link", "files", "has another name elsewhere"),
        ("name", "checkpoints", "b.0 has a name that is not kept"),
        ("cut-checkpoint", "checkpoints", "is cut off"),
        ("all-failed", "result", "not with 10 or 21"),
        ("leaf-first", "leaves", "leaf.json was there before samples.jsonl"),
        ("halves", "leaves", "leaf.json was read when it was not whole"),
        ("no-result", "stop", "there is no result.json"),
        ("asks-on", "refused", "times, though it was refused from the first"),
        ("token-name", "secrets", "in a file's name"),
        ("token-cache", "secrets", "is in tmp/cache"),
        ("session", "secrets", "among a process's arguments"),
        ("outlives", "result", "its processes went on: sleep 600"),
        ("beside", "files", "wrote outside/stray outside its work folder"),
        ("link", "files", "link is no plain file"),
        ("input", "files", "in/leaves/trial_freeform/qna.yaml was changed"),
    ],
)
def test_a_breach_that_is_easily_missed_is_found_out(breaks: str, clause: str, words: str) -> None:
    found = broken(CommandEngine((*PYTHON, breaks), limit=60), clause)
    assert set(found) == {clause}
    assert any(words in problem for problem in found[clause]), found


def test_an_engine_without_checkpoints_is_told_of_it() -> None:
    (verdict,) = check(CommandEngine((*PYTHON, "no-checkpoints"), limit=60), ["resume"])
    assert "no checkpoint was there when it was killed" in verdict.remarks[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine as a user of its own")
def test_a_file_left_where_everybody_may_write_is_found() -> None:
    user = 40_000 + os.getpid() % 10_000
    try:
        found = broken(
            CommandEngine(("sh", "-c", Path(SHELL[1]).read_text(), SHELL[1], "tmp"), user, limit=60), "files"
        )
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
