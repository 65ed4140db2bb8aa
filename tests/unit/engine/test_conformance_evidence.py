"""What a broken engine leaves is told as a problem of a clause; nothing in it ends or holds up the check."""

import json
import os
from pathlib import Path

import pytest

from sdg_operator.engine.conformance.evidence import Seen, Watch, files_below, read_files
from sdg_operator.engine.conformance.network import Family
from sdg_operator.engine.conformance.trials import CommandEngine

LEAF = "trial"
RESULT = {"leaf": LEAF, "inputDigest": f"sha256:{'0' * 64}", "outcome": "done"}
GOOD = {"document": "d", "domain": "d", "question": "q?", "response": "a"}


def seen(work: Path, samples: bytes = b"") -> Seen:
    folder = work / "out" / "leaves" / LEAF
    folder.mkdir(parents=True, exist_ok=True)
    if samples:
        (folder / "samples.jsonl").write_bytes(samples)
        (folder / "leaf.json").write_text(json.dumps(RESULT))
    found = Seen()
    Watch(work, found).end()
    read_files(work, found, files_below(work / "in"), {LEAF: "knowledge"})
    return found


def test_good_samples_are_no_problem(tmp_path: Path) -> None:
    assert seen(tmp_path, json.dumps(GOOD).encode() + b"\n").problems == {}


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (json.dumps(GOOD).encode(), "line 1 is cut off"),
        (b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\n", "line 1 is not JSON"),
        (json.dumps(GOOD).encode() + b"\n\n", "line 2 is not JSON"),
        (json.dumps(GOOD | {"a": float("nan")}).encode() + b"\n", "line 1 is not JSON: it has NaN"),
        (json.dumps(GOOD | {"domain": 1}).encode() + b"\n", "has no text as 'domain'"),
        (
            json.dumps({"document": "d", "domain": "d"}).encode() + b"\n",
            "has neither 'output' nor 'question' with 'response'",
        ),
        (b"[" * 100_000 + b"\n", "line 1 is not JSON"),
    ],
)
def test_samples_that_a_cluster_would_not_take_are_told(samples: bytes, words: str, tmp_path: Path) -> None:
    assert any(words in problem for problem in seen(tmp_path, samples).problems["leaves"])


@pytest.mark.parametrize("name", ["progress.json", "result.json", "leaves/x/leaf.json", "checkpoints/x/a.jsonl"])
@pytest.mark.parametrize("what", ["fifo", "folder", "link"])
def test_what_is_no_plain_file_is_told_and_not_read(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert seen(tmp_path).problems["files"]


def test_processes_are_known_again_and_a_user_with_others_is_not_its_own() -> None:
    family = Family(os.geteuid())
    assert os.getpid() not in family.look(None)
    assert os.getpid() in family.look(os.getsid(0)) + family.look(os.getpid())


def test_a_user_of_an_engine_s_own_is_not_whoever_runs_the_check() -> None:
    assert CommandEngine(("engine",), os.geteuid()).host_user is None
    assert CommandEngine(("engine",), os.geteuid() + 1).host_user == os.geteuid() + 1
