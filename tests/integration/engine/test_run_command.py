"""``sdg engine run``: a taxonomy's folder in, training files out, as a person runs it on a laptop."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sdg_operator.engine.contract import ExitCode
from sdg_operator.storage.records import Manifest
from tests.integration.engine.leaves import Leaf, json_lines
from tests.integration.engine.running import wait_until
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Pace, Step
from tests.teacher.server import Teacher

SKILLS = (
    Leaf("compositional_skills/facts/wren", "freeform", seeds=8),
    Leaf("compositional_skills/grounded/pike", "grounded", seeds=6),
)


@dataclass(frozen=True)
class Laptop:
    folder: Path

    def taxonomy(self, leaves: tuple[Leaf, ...]) -> None:
        for leaf in leaves:
            place = self.folder / "taxonomy" / leaf.folder
            place.mkdir(parents=True)
            (place / "qna.yaml").write_text(leaf.qna())

    def command(self, url: str, *flags: str) -> list[str]:
        given = ["--teacher", url, "--model", "teacher", "--scale-factor", "3", "--batch-size", "2", *flags]
        program = str(Path(sys.executable).with_name("sdg"))
        return [program, "engine", "run", str(self.folder / "taxonomy"), str(self.folder / "out"), *given]

    def run(self, url: str, *flags: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(url, *flags), capture_output=True, text=True, check=False, timeout=300)

    @property
    def result(self) -> dict[str, bytes]:
        root = self.folder / "out" / "result"
        files = [path for path in root.rglob("*") if path.is_file() and ".run" not in path.parts]
        return {str(path.relative_to(root)): path.read_bytes() for path in files if "mix.log" not in path.name}


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


@pytest.fixture
def teacher() -> Iterator[RunningTeacher]:
    with running_teacher() as running:
        yield running


def prompts(teacher: RunningTeacher, since: int = 0) -> list[str]:
    return [asked.prompts[0] for asked in teacher.teacher.asked[since:] if asked.prompts[0] != "Hello"]


@pytest.mark.deep
def test_a_taxonomy_becomes_training_files_and_nothing_is_made_twice(laptop: Laptop, teacher: RunningTeacher) -> None:
    laptop.taxonomy(SKILLS)
    done = laptop.run(teacher.url)
    assert done.returncode == 0, done.stderr
    first, asked = laptop.result, len(teacher.teacher.asked)
    manifest = Manifest.model_validate_json(first["manifest.json"])
    assert [leaf.actual for leaf in manifest.leaves] == [3 * leaf.seeds for leaf in SKILLS]
    assert f"{manifest.samples.skills} rows in {laptop.folder}/out/result/skills_train_msgs.jsonl" in done.stdout
    assert len(json_lines(first["skills_train_msgs.jsonl"])) == manifest.samples.total
    assert first["knowledge_train_msgs.jsonl"] == b""

    again = laptop.run(teacher.url)
    assert again.returncode == 0, again.stderr
    assert len(teacher.teacher.asked) == asked
    assert laptop.result == first


@pytest.mark.deep
def test_a_run_that_was_stopped_goes_on_with_the_same_command(laptop: Laptop) -> None:
    laptop.taxonomy(SKILLS)
    with running_teacher(Teacher(pace=Pace(median=0.1, sigma=0.5, slots=6))) as teacher:
        stopped = subprocess.Popen(laptop.command(teacher.url, "--max-concurrency", "6"), stderr=subprocess.PIPE)
        wait_until(lambda: any(laptop.folder.glob("out/.sdg-work/out/checkpoints/*/*")), 120)
        stopped.terminate()
        _, said = stopped.communicate(timeout=60)
        assert stopped.returncode == ExitCode.INTERRUPTED
        assert b"goes on from what is finished" in said
        done = laptop.run(teacher.url, "--max-concurrency", "6")
        assert done.returncode == 0, done.stderr
        needed = sum(leaf.seeds for leaf in SKILLS)
        # Two requests of three choices fit into the bound: batches in flight are few.
        assert needed <= len(prompts(teacher)) < 2 * needed
    assert not (laptop.folder / "out" / ".sdg-work").exists()


@pytest.mark.deep
@pytest.mark.parametrize("module", ["instructlab", "mix"])
def test_ctrl_c_while_a_program_starts_is_told_and_the_run_goes_on_later(
    laptop: Laptop, teacher: RunningTeacher, module: str
) -> None:
    laptop.taxonomy(SKILLS[:1])
    command = laptop.command(teacher.url)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        name = f"engine.{module}".encode()
        wait_until(lambda: any(name in _command_of(pid) for pid in children.read_text().split()), 120)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (ExitCode.INTERRUPTED, False), said
    assert "to be made; the same command goes on from what is finished" in said
    assert laptop.run(teacher.url).returncode == 0


def _command_of(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.deep
def test_nothing_of_a_run_with_other_inputs_looks_as_if_it_were_of_this_one(
    laptop: Laptop, teacher: RunningTeacher
) -> None:
    laptop.taxonomy(SKILLS)
    assert laptop.run(teacher.url).returncode == 0
    assert {Path(name).name for name in laptop.result if "artifacts/" in name} == {
        f"{leaf.folder.replace('/', '_')}.jsonl" for leaf in SKILLS
    }
    teacher.teacher.token = "another"
    assert laptop.run(teacher.url, "--system-prompt", "other").returncode == ExitCode.TEACHER_REFUSED
    assert not [name for name in laptop.result if name == "manifest.json" or name.endswith("_train_msgs.jsonl")]
    teacher.teacher.token = None
    assert laptop.run(teacher.url, "--leaves", "*wren*").returncode == 0
    manifest = Manifest.model_validate_json(laptop.result["manifest.json"])
    named = {file.path for file in manifest.files}
    assert {name for name in laptop.result if not name.startswith(("logs/", "manifest"))} == {
        name for name in named if not name.startswith("logs/")
    }


@pytest.mark.deep
def test_a_leaf_that_failed_is_tried_again_and_the_others_are_not_made_again(laptop: Laptop) -> None:
    laptop.taxonomy(SKILLS)
    empty = Step(action="say", text="", times=-1, contains=SKILLS[1].name)
    with running_teacher(Teacher(script=[empty])) as teacher:
        done = laptop.run(teacher.url)
        assert done.returncode == 1, done.stderr
        assert "FAILED: compositional_skills->grounded->pike: LowYield" in done.stdout
        teacher.teacher.script = []
        asked = len(teacher.teacher.asked)
        again = laptop.run(teacher.url)
        assert again.returncode == 0, again.stderr
        assert len(prompts(teacher, asked)) == SKILLS[1].seeds


@pytest.mark.deep
def test_what_is_wrong_is_said(tmp_path: Path, laptop: Laptop, teacher: RunningTeacher) -> None:
    laptop.taxonomy(SKILLS)
    missing = laptop.run(teacher.url, "--token-file", str(tmp_path / "none"))
    assert (missing.returncode, f"there is no {tmp_path}/none" in missing.stderr) == (2, True)
    nothing = laptop.run(teacher.url, "--leaves", "knowledge/*")
    assert (nothing.returncode, "no leaf of the taxonomy matches" in nothing.stderr) == (2, True)
    teacher.teacher.token = "another"
    refused = laptop.run(teacher.url)
    assert (refused.returncode, "sdg: TeacherRefused: HTTP 401" in refused.stderr) == (ExitCode.TEACHER_REFUSED, True)
    assert "mend that; then it goes on with what is finished" in refused.stderr
    broken = laptop.folder / "taxonomy" / SKILLS[0].folder / "qna.yaml"
    broken.write_text("version: 3\n")
    unusable = laptop.run(teacher.url)
    assert (unusable.returncode, "is not usable" in unusable.stdout) == (1, True)


@pytest.mark.deep
def test_a_terminal_shows_how_far_it_is(laptop: Laptop, teacher: RunningTeacher) -> None:
    laptop.taxonomy(SKILLS[:1])
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(laptop.command(teacher.url), stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        seen = b""
        try:
            while part := screen.read(1 << 16):
                seen += part
        except OSError:
            pass  # how Linux says that nobody holds the other end any more
        assert process.wait(300) == 0
    assert b"] 100% 24/24 samples, 1/1 leaves" in seen
    assert b"Traceback" not in seen
