"""An engine that is killed or stopped at any moment loses at most the batches in flight, also on another machine."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from sdg_operator.engine.contract import EngineResult, EngineSettings, ExitCode
from sdg_operator.engine.generation import workers
from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import Leaf, json_lines, samples, write_work
from tests.integration.engine.running import run_engine, start_engine, wait_until
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Pace
from tests.teacher.server import Teacher

CHOICES_AT_ONCE = 24
LEAVES = (
    *(Leaf(f"compositional_skills/facts/bird{i:02}", "freeform", seeds=10) for i in range(12)),
    *(Leaf(f"compositional_skills/grounded/fish{i:02}", "grounded", seeds=9) for i in range(4)),
    *(Leaf(f"knowledge/science/tree{i:02}", "knowledge", sections=3) for i in range(4)),
)
SETTINGS = SampleSettings(pipeline="simple", scale_factor=3, batch_size=2, model="teacher")
PACE = Pace(median=0.12, sigma=0.5, slots=4)


def marks(work: Path) -> set[tuple[str, ...]]:
    """Words by which a prompt for a row of a finished batch is known."""
    found: set[tuple[str, ...]] = set()
    for file in (*work.glob("out/checkpoints/*/*"), *work.glob("in/checkpoints/*/*")):
        for row in json_lines(file.read_bytes())[1:]:
            found.add((row["document"], row["icl_query_1"]) if "document" in row else (row["seed_question"],))
    return found


def move_to_another_machine(work: Path, to: Path) -> Path:
    """Keep what a bucket would: finished leaves leave the list, checkpoints come along; everything else is gone."""
    settings = EngineSettings.model_validate_json((work / "in" / "settings.json").read_bytes())
    done = {file.parent.name for file in work.glob("out/leaves/*/leaf.json")}
    left = tuple(leaf for leaf in settings.leaves if leaf.id not in done)
    shutil.copytree(work / "in", to / "in")
    for file in work.glob("out/checkpoints/*/*"):
        if file.parent.name not in done:
            kept = to / "in" / "checkpoints" / file.parent.name / file.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, kept)
    (to / "in" / "settings.json").write_bytes(settings.model_copy(update={"leaves": left}).to_json())
    for file in work.glob("out/leaves/*/samples.jsonl"):
        if file.parent.name in done:
            shutil.copytree(file.parent, to.parent / "bucket" / file.parent.name)
    return to


def prompts(running: RunningTeacher, since: int = 0) -> list[str]:
    return [asked.prompts[0] for asked in running.teacher.asked[since:] if asked.prompts[0] != "Hello"]


def kill_soon_after_it_asks(work: Path, running: RunningTeacher, chance: random.Random) -> None:
    before = len(running.teacher.asked)
    finished = marks(work)
    engine = start_engine(work, running.url)
    wait_until(lambda: len(running.teacher.asked) > before + 1)
    time.sleep(chance.uniform(0, 1.2))
    engine.kill()
    assert engine.wait() == -signal.SIGKILL, "the run ended before the last kill: make it longer"
    for prompt in prompts(running, before):
        assert not any(all(word in prompt for word in mark) for mark in finished)


@pytest.mark.deep
@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.deep)])
def test_kill_at_any_point_repeats_only_batches_in_flight(tmp_path: Path, kills: int) -> None:
    with running_teacher() as running:
        whole = write_work(tmp_path / "whole", LEAVES, SETTINGS)
        assert run_engine(whole, running.url)[0] == 0
        needed = len(prompts(running))
    chance = random.Random(4)
    work = write_work(tmp_path / "0" / "work", LEAVES, SETTINGS, max_concurrency=CHOICES_AT_ONCE)
    with running_teacher(Teacher(pace=PACE)) as running:
        for kill in range(kills):
            kill_soon_after_it_asks(work, running, chance)
            work = move_to_another_machine(work, tmp_path / str(kill + 1) / "work")
        assert run_engine(work, running.url)[0] == 0
        total = len(prompts(running))
    finished = {path.parent.name: path.read_bytes() for path in tmp_path.glob("*/bucket/*/samples.jsonl")}
    finished |= {path.parent.name: path.read_bytes() for path in work.glob("out/leaves/*/samples.jsonl")}
    assert finished == {leaf.id: samples(whole, leaf) for leaf in LEAVES}
    print(f"{kills} kills, {needed} prompts needed, {total} asked")
    # One prompt of a batch may have been answered when the other was cut off, and a batch when it was not yet written.
    in_flight = workers(CHOICES_AT_ONCE) * SETTINGS.batch_size
    assert needed <= total <= needed + kills * in_flight


@pytest.mark.deep
def test_a_finished_leaf_in_the_same_folder_is_not_asked_for_again(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", LEAVES[:2], SETTINGS)
    with running_teacher() as running:
        first = run_engine(work, running.url)[1]
        asked = len(running.teacher.asked)
        code, second, _ = run_engine(work, running.url)
        assert len(running.teacher.asked) == asked
    assert code == 0
    assert (second.leaves_done, second.samples, second.tokens) == (2, first.samples, first.tokens)


def test_a_checkpoint_that_is_cut_off_or_of_other_inputs_is_made_again(tmp_path: Path) -> None:
    leaf = LEAVES[0]
    work = write_work(tmp_path / "work", [leaf], SETTINGS)
    with running_teacher() as running:
        run_engine(work, running.url)
        expected = samples(work, leaf)
        again = write_work(tmp_path / "again", [leaf], SETTINGS)
        old = again / "in" / "checkpoints" / leaf.id
        shutil.copytree(work / "out" / "checkpoints" / leaf.id, old)
        files = sorted(old.iterdir())
        files[0].write_bytes(files[0].read_bytes()[:-10])
        files[1].write_bytes(files[1].read_bytes().replace(leaf.input_digest.encode(), b"sha256:" + b"0" * 64))
        files[2].write_bytes(b"")
        asked = len(running.teacher.asked)
        code, _, stderr = run_engine(again, running.url)
        assert len(prompts(running, asked)) == 3 * SETTINGS.batch_size
    assert code == 0, stderr
    assert samples(again, leaf) == expected


def test_sigterm_keeps_finished_batches_and_ends_the_engine(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", LEAVES[:4], SETTINGS)
    with running_teacher(Teacher(pace=PACE)) as running:
        engine = start_engine(work, running.url)
        wait_until(lambda: any(work.glob("out/checkpoints/*/*")))
        engine.terminate()
        assert engine.wait(timeout=120) == ExitCode.INTERRUPTED
    result = EngineResult.model_validate_json((work / "out" / "result.json").read_bytes())
    assert (result.exit_code, result.error and result.error.reason) == (ExitCode.INTERRUPTED, "Interrupted")


@pytest.mark.deep
@pytest.mark.parametrize("sign", ["logs/engine.log", "progress.json"], ids=["while it imports", "before it asks"])
def test_sigterm_at_the_very_beginning_leaves_a_result_too(tmp_path: Path, sign: str) -> None:
    work = write_work(tmp_path / "work", LEAVES[:1], SETTINGS)
    with running_teacher(Teacher(pace=PACE)) as running:
        engine = start_engine(work, running.url)
        wait_until((work / "out" / sign).exists)
        engine.terminate()
        assert engine.wait(timeout=120) == ExitCode.INTERRUPTED
    result = EngineResult.model_validate_json((work / "out" / "result.json").read_bytes())
    assert (result.exit_code, result.error and result.error.reason) == (ExitCode.INTERRUPTED, "Interrupted")
