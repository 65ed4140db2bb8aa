"""What a teacher says beside good answers: none of it gets into a sample, all of it is counted, some of it is shown."""

from pathlib import Path

import pytest

from sdg_operator.engine.contract import EngineResult, ExitCode
from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import Leaf, json_lines, samples, write_work
from tests.integration.engine.running import run_engine
from tests.teacher.running import running_teacher
from tests.teacher.script import Step
from tests.teacher.server import Teacher

SKILL = Leaf("compositional_skills/STEM/math/area", "freeform")
SETTINGS = SampleSettings(pipeline="simple", scale_factor=2, batch_size=2, model="teacher")


def made_with(tmp_path: Path, *script: Step, **settings: object) -> tuple[int, EngineResult, Path]:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS.model_copy(update=settings))
    token = tmp_path / "token"
    token.write_text("our-token")
    with running_teacher(Teacher(script=list(script), token="our-token")) as running:
        code, result, _ = run_engine(work, running.url, {"SDG_TEACHER_TOKEN_FILE": str(token)})
    return code, result, work


def log_of(work: Path) -> str:
    return (work / "out" / "logs" / "engine.log").read_text()


def test_of_answers_with_thinking_the_thinking_is_cut_off(tmp_path: Path) -> None:
    code, result, work = made_with(tmp_path, Step(action="say", text="<think>Hm? No.</think>{}", skip=1, times=-1))
    assert code == 0
    assert result.samples == len(rows := json_lines(samples(work, SKILL))) > 5
    assert not any("think" in row["output"] or "Hm?" in row["output"] for row in rows)
    assert result.answers.thinking >= result.samples


def test_answers_without_a_question_end_a_run_after_the_first_batches(tmp_path: Path) -> None:
    code, result, work = made_with(tmp_path, Step(action="say", text="I cannot do that.", skip=1, times=-1))
    assert (code, result.samples) == (ExitCode.LOW_YIELD, 0)
    assert result.error is not None
    assert "had no sample in them" in result.error.message
    assert log_of(work).count("an answer without a sample begins: 'I cannot do that.'") == 3


@pytest.mark.deep
def test_a_question_may_end_in_a_mark_of_another_script(tmp_path: Path) -> None:
    code, result, _ = made_with(tmp_path, Step(action="say", text="这是什么鸟？这是麻雀。", skip=1, times=-1))
    assert (code, result.answers.unparsed) == (0, 0)
    assert result.samples > 0


@pytest.mark.deep
def test_an_answer_that_ended_at_the_limit_is_no_sample_where_the_whole_answer_is_one(tmp_path: Path) -> None:
    cut = Step(action="say", text="What is half? It is", finish="length", skip=1, times=-1)
    code, result, work = made_with(tmp_path, cut)
    assert code == ExitCode.LOW_YIELD
    assert result.error is not None
    assert "ended before they were whole (at the limit of tokens" in result.error.message
    assert log_of(work).count("an answer without a sample begins: 'What is half? It is'") == 3


@pytest.mark.deep
def test_of_an_answer_with_marked_parts_that_ended_at_the_limit_the_whole_ones_are_taken(tmp_path: Path) -> None:
    cut = Step(action="say", text="{}\n[Start of Question]\nWhat is ha", finish="length", contains="such questions",
               times=-1)  # fmt: skip
    code, result, work = made_with(tmp_path, cut, pipeline="full")
    assert code == 0
    assert result.answers.cut_off > 0
    assert len(rows := json_lines(samples(work, SKILL))) == result.samples > 10
    assert not any("What is ha" in str(row) for row in rows)


@pytest.mark.deep
def test_answers_in_which_a_judge_says_nothing_are_counted_and_a_few_shown_without_our_token(tmp_path: Path) -> None:
    silly = Step(action="say", text="As a model with our-token I cannot judge.", contains="[Start of Score]", times=-1)
    code, result, work = made_with(tmp_path, silly, pipeline="full")
    assert code == ExitCode.LOW_YIELD
    assert result.answers.unparsed > 3
    assert log_of(work).count("'As a model with *** I cannot judge.'") == 3
    assert not any("our-token" in file.read_text() for file in work.rglob("out/**/*.*") if file.is_file())


@pytest.mark.deep
def test_a_prompt_that_is_too_long_fails_its_leaf_and_the_others_go_on(tmp_path: Path) -> None:
    long = Leaf("knowledge/science/long", "knowledge", sections=1)
    work = write_work(tmp_path / "work", [SKILL, long], SETTINGS)
    document = work / "in" / "leaves" / long.id / "documents"
    next(document.iterdir()).write_text("# Long\n\n" + "word " * 350)
    with running_teacher(Teacher(context=600)) as running:
        code, result, stderr = run_engine(work, running.url)
    assert (code, result.leaves_done, result.leaves_failed) == (0, 1, 1), stderr
    assert result.answers.shortened > 0
    assert "PromptTooLong" in log_of(work)
