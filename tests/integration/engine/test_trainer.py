"""InstructLab's own trainer reads both training files: every row, every letter, and what it is to learn of each."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.cache import built, content_key, root
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE
from tests.integration.engine.leaves import json_lines
from tests.integration.engine.test_mix import Mixed
from tests.integration.engine.test_training_files import mixed_with_own_file

pytestmark = pytest.mark.deep  # brings the trainer's packages the first time

HERE = Path(__file__).with_name("trainer")
REQUIREMENTS = HERE / "requirements.txt"
SHORTEST = 20
"""Tokens of the shortest row that the trainer keeps. Ours are letters here, so hardly any row is shorter."""


def install(into: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes", "--python", sys.executable,
         "--target", str(into), "--requirements", str(REQUIREMENTS)],
        check=True, timeout=500,
    )  # fmt: skip


@pytest.fixture(scope="module")
def packages() -> Path:
    return built(root() / "trainer" / content_key(REQUIREMENTS, sys.version), install)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    return mixed_with_own_file(tmp_path_factory.mktemp("mixed"))


def as_trained(row: dict[str, Any]) -> dict[str, str]:
    """What the trainer should make of a row: the whole of it, and what of it is learned."""
    whole = learned = ""
    for message in row["messages"]:
        role, content = message["role"], message["content"]
        whole += f"<|start_of_role|>{role}<|end_of_role|>{content}<|end_of_text|>\n"
        if role == "assistant" or (row["unmask"] and role != "system"):
            learned += content
        if role == "assistant":
            learned += "<|end_of_text|>"
    return {"text": whole, "learned": learned}


def tokens(text: str) -> int:
    return len(re.sub(r"<\|[a-z_]+\|>", "t", text).encode())


@pytest.mark.parametrize("name", [KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE])
def test_instructlab_s_trainer_reads_every_row(mixed: Mixed, name: str, packages: Path, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(mixed.file(name))
    options = {"file": str(file), "out": str(tmp_path), "packages": str(packages)}
    done = subprocess.run(
        [sys.executable, "-IS", str(HERE / "read.py"), json.dumps(options)],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [as_trained(row) for row in json_lines(mixed.file(name))]
    long_enough = [row for row in rows if tokens(row["text"]) >= SHORTEST]
    assert len(long_enough) >= len(rows) - 2
    assert json_lines((tmp_path / "read.jsonl").read_bytes()) == long_enough
