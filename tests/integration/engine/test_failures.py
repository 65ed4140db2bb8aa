"""Every way in which the engine fails: its exit code, and words that say what, where and what to do."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from instructlab.sdg import pipeline as upstream_pipeline

from sdg_operator.engine.contract import ExitCode, LeafResult
from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import Leaf, json_lines, samples, write_work
from tests.integration.engine.pdf_files import pdf_file
from tests.integration.engine.running import run_engine
from tests.teacher.running import running_teacher
from tests.teacher.script import Step
from tests.teacher.server import Teacher

SKILL = Leaf("compositional_skills/STEM/math/area", "freeform")
KNOWLEDGE = Leaf("knowledge/science/birds/chickadee", "knowledge", sections=1)
SETTINGS = SampleSettings(pipeline="simple", scale_factor=2, batch_size=2, model="teacher")


def qna(leaf: Leaf, text: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        (work / "in" / "leaves" / leaf.id / "qna.yaml").write_text(text)

    return change


def document(name: str, content: bytes | None = None, link: str | None = None) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        folder = work / "in" / "leaves" / KNOWLEDGE.id / "documents"
        shutil.rmtree(folder)
        folder.mkdir()
        if link is not None:
            (folder / name).symlink_to(link)
        elif content is not None:
            (folder / name).write_bytes(content)

    return change


def nothing(_work: Path) -> None:
    pass


@dataclass(frozen=True)
class Case:
    name: str
    code: ExitCode
    reason: str
    words: str
    leaves: tuple[Leaf, ...] = (SKILL,)
    change: Callable[[Path], object] = nothing
    settings: dict[str, object] = field(default_factory=dict)
    teacher: Callable[[], Teacher] = Teacher
    requests: int | None = 0
    """Requests that the teacher may see; None does not count them."""


INVALID, REFUSED, LOW = ExitCode.INVALID_INPUT, ExitCode.TEACHER_REFUSED, ExitCode.LOW_YIELD
CASES = [
    Case("no leaves", INVALID, "InvalidSettings", "names no leaf", leaves=()),
    Case("settings are no JSON", INVALID, "InvalidSettings", "settings.json cannot be used",
         change=lambda work: (work / "in" / "settings.json").write_text("{")),
    Case("no qna.yaml", INVALID, "InvalidLeaf", "qna.yaml cannot be read",
         change=lambda work: (work / "in" / "leaves" / SKILL.id / "qna.yaml").unlink()),
    Case("YAML that does not parse", INVALID, "InvalidLeaf", "no YAML", change=qna(SKILL, "seed_examples: [")),
    Case("a leaf without seeds", INVALID, "InvalidLeaf", "no seed_examples", change=qna(SKILL, "version: 3\n")),
    Case("a seed without answer", INVALID, "InvalidLeaf", "needs question and answer",
         change=qna(SKILL, "seed_examples: [{question: a}]\n")),
    Case("no documents", INVALID, "NoDocuments", "no documents", (KNOWLEDGE,), document("a.md")),
    Case("a broken PDF", INVALID, "InvalidDocument", "a.pdf cannot be read", (KNOWLEDGE,),
         document("a.pdf", b"%PDF-1.7")),
    Case("a document of another kind", INVALID, "UnsupportedDocument", "neither Markdown", (KNOWLEDGE,),
         document("a.docx", b"PK")),
    Case("a document that leads elsewhere", INVALID, "InvalidLeaf", "no regular file", (KNOWLEDGE,),
         document("a.md", link="/etc/passwd")),
    Case("a document without text", INVALID, "NoChunks", "no text", (KNOWLEDGE,), document("a.md", b"")),
    Case("an unknown pipeline", INVALID, "InvalidPipeline", "'agentic'", settings={"pipeline": "agentic"}),
    Case("an unknown model family", INVALID, "InvalidPipeline", "Unknown model family: gpt",
         settings={"model_family": "gpt"}),
    Case("a wrong token", REFUSED, "TeacherRefused", "401", teacher=lambda: Teacher(token="x"), requests=2),
    Case("an unknown model", REFUSED, "TeacherRefused", "does not exist",
         teacher=lambda: Teacher(model="x"), requests=2),
    Case("errors for ever", ExitCode.TEACHER_UNAVAILABLE, "TeacherUnavailable", "HTTP 500",
         teacher=lambda: Teacher(script=[Step(times=-1)]), requests=None),
    Case("errors for ever after it worked", ExitCode.TEACHER_UNAVAILABLE, "TeacherUnavailable", "HTTP 500",
         teacher=lambda: Teacher(script=[Step(times=-1, skip=3)]), requests=None),
    Case("answers of no use", LOW, "LowYield", "keep no sample", settings={"pipeline": "full"},
         teacher=lambda: Teacher(script=[Step(action="say", text="no", times=-1)]), requests=None),
    Case("empty answers", LOW, "LowYield", "keep no sample",
         teacher=lambda: Teacher(script=[Step(action="say", text="", times=-1)]), requests=None),
    Case("prompts that are refused", LOW, "LowYield", "the teacher said: HTTP 400: content filter",
         teacher=lambda: Teacher(script=[Step(status=400, text="content filter", times=-1, skip=1)]), requests=None),
    Case("prompts that are too long", INVALID, "PromptTooLong", "in the teacher's context of 100 tokens",
         teacher=lambda: Teacher(context=100), requests=None),
]  # fmt: skip


@pytest.mark.deep
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_engine_ends_with(tmp_path: Path, case: Case) -> None:
    work = write_work(tmp_path / "work", case.leaves, SETTINGS.model_copy(update=case.settings))
    case.change(work)
    with running_teacher(case.teacher()) as running:
        code, result, stderr = run_engine(work, running.url, {"SDG_TEACHER_PATIENCE_SECONDS": "1"})
        asked = len(running.teacher.asked)
    print(f"{case.name}: exit code {code}, {result.error and f'{result.error.reason}: {result.error.message}'}")
    assert (code, result.exit_code) == (case.code, case.code), stderr
    assert result.error is not None
    assert result.error.reason == case.reason
    assert case.words in result.error.message
    assert "\n" not in result.error.message
    assert case.requests is None or asked <= case.requests


@pytest.mark.deep
def test_one_bad_leaf_does_not_hold_up_the_others(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL, KNOWLEDGE], SETTINGS)
    document("scan.pdf", b"%PDF-1.7")(work)
    with running_teacher() as running:
        code, result, stderr = run_engine(work, running.url)
    assert (code, result.leaves_done, result.leaves_failed) == (0, 1, 1), stderr
    failed = LeafResult.model_validate_json((work / "out" / "leaves" / KNOWLEDGE.id / "leaf.json").read_bytes())
    assert (failed.outcome, failed.reason) == ("failed", "InvalidDocument")
    assert "scan.pdf" in (failed.message or "")


@pytest.mark.deep
def test_leaves_that_keep_nothing_do_not_end_a_run_whose_others_have_samples(tmp_path: Path) -> None:
    bad = [Leaf(f"compositional_skills/bad/leaf{i}", "freeform") for i in range(4)]
    work = write_work(tmp_path / "work", [*bad, SKILL], SETTINGS, leaves_elsewhere=3, leaves_with_samples=2)
    empty = [Step(action="say", text="", times=-1, contains=leaf.name) for leaf in bad]
    with running_teacher(Teacher(script=empty)) as running:
        code, result, stderr = run_engine(work, running.url)
    assert (code, result.leaves_done, result.leaves_failed) == (0, 1, 4), stderr


@pytest.mark.deep
def test_a_shard_whose_own_leaves_all_fail_does_not_end_the_run(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS, leaves_elsewhere=1)
    qna(SKILL, "seed_examples: [")(work)
    with running_teacher() as running:
        code, result, stderr = run_engine(work, running.url)
    assert (code, result.leaves_done, result.leaves_failed) == (0, 0, 1), stderr


@pytest.mark.deep
def test_prompts_that_were_given_up_are_told(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS)
    script = [Step(status=400, text="too long", contains="fact 1", times=-1)]
    with running_teacher(Teacher(script=script)) as running:
        code, _, stderr = run_engine(work, running.url)
    assert code == 0, stderr
    done = LeafResult.model_validate_json((work / "out" / "leaves" / SKILL.id / "leaf.json").read_bytes())
    assert done.prompts_given_up > 0
    assert "prompts were given up, the last: HTTP 400: too long" in stderr


@pytest.mark.deep
def test_a_preview_has_as_many_samples_as_asked_for_though_some_answers_are_of_no_use(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"preview": 3, "scale_factor": 30})
    work = write_work(tmp_path / "work", [SKILL, KNOWLEDGE], settings)
    with running_teacher() as running:
        code, result, stderr = run_engine(work, running.url)
        choices = sum(each.choices for each in running.teacher.asked)
    assert code == 0, stderr
    assert [len(json_lines(samples(work, leaf))) for leaf in (SKILL, KNOWLEDGE)] == [3, 3]
    assert result.samples == 6
    assert choices <= 1 + 2 * 2 * 3


@pytest.mark.deep
def test_a_pipeline_needs_only_the_flows_of_the_leaves_at_hand(tmp_path: Path) -> None:
    flows = Path(upstream_pipeline.__file__).parent / "pipelines" / "simple"
    work = write_work(tmp_path / "work", [SKILL], SETTINGS.model_copy(update={"pipeline": "custom"}))
    (work / "in" / "pipeline").mkdir()
    prompt = flows.parent.parent / "configs" / "skills" / "simple_generate_qa_freeform.yaml"
    shutil.copy(prompt, work / "in" / "pipeline")
    flow = (flows / "freeform_skills.yaml").read_text().replace("../../configs/skills/", "")
    (work / "in" / "pipeline" / "freeform_skills.yaml").write_text(flow)
    with running_teacher() as running:
        code, _, stderr = run_engine(work, running.url)
    assert code == 0, stderr


@pytest.mark.deep
def test_a_pipeline_without_the_flow_of_a_leaf_is_refused_before_any_request(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [KNOWLEDGE], SETTINGS.model_copy(update={"pipeline": "custom"}))
    (work / "in" / "pipeline").mkdir()
    (work / "in" / "pipeline" / "freeform_skills.yaml").write_text("version: '1.0'\nblocks: []\n")
    with running_teacher() as running:
        code, result, _ = run_engine(work, running.url)
        assert running.teacher.asked == []
    assert (code, result.error and result.error.reason) == (INVALID, "InvalidPipeline")
    assert "has no knowledge.yaml, which knowledge leaves need" in (result.error.message if result.error else "")


@pytest.mark.deep
def test_a_pdf_is_read_where_the_extra_is_installed(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [KNOWLEDGE], SETTINGS)
    document("wren.pdf", pdf_file(["The wren builds its nest near water."]))(work)
    with running_teacher() as running:
        code, result, stderr = run_engine(work, running.url)
    assert (code, result.leaves_done) == (0, 1), stderr
    assert {row["document"] for row in json_lines(samples(work, KNOWLEDGE))} == {"The wren builds its nest near water."}


@pytest.mark.deep
def test_a_pdf_is_refused_before_any_request_where_the_extra_is_not_installed(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [KNOWLEDGE], SETTINGS)
    document("wren.pdf", pdf_file(["The wren."]))(work)
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['pypdf'] = None\n")
    with running_teacher() as running:
        code, result, _ = run_engine(work, running.url, {"PYTHONPATH": str(without)})
        assert running.teacher.asked == []
    assert (code, result.error and result.error.reason) == (INVALID, "UnsupportedDocument")
    assert "wren.pdf is a PDF, which this engine image cannot read" in (result.error.message if result.error else "")


@pytest.mark.deep
def test_a_null_answer_costs_one_sample_and_no_more(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS)
    with running_teacher(Teacher(script=[Step(action="null", skip=1, times=4)])) as running:
        code, result, stderr = run_engine(work, running.url)
    assert code == 0, stderr
    rows = json_lines(samples(work, SKILL))
    assert len(rows) == result.samples == 10 - result.answers.empty
    assert all(row["output"] for row in rows)


@pytest.mark.deep
@pytest.mark.parametrize("text", ["a\u2028b\u0085? c", "nul \x00? c\x1b[31m", "half \udc00? c", "x? " + "y" * 500_000])
def test_answers_of_any_content_leave_whole_files(tmp_path: Path, text: str) -> None:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS)
    with running_teacher(Teacher(script=[Step(action="say", text=text, times=-1, skip=1)])) as running:
        code, result, stderr = run_engine(work, running.url)
    assert code == 0, stderr
    assert len(json_lines(samples(work, SKILL))) == result.samples > 0


@pytest.mark.deep
def test_an_answer_too_long_for_a_sample_is_left_out_and_counted(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL], SETTINGS)
    long = Step(action="say", text="x? " + "y" * 5_000_000, skip=2)
    with running_teacher(Teacher(script=[long])) as running:
        code, result, stderr = run_engine(work, running.url)
    assert code == 0, stderr
    assert result.answers.unparsed > 0
    assert all(len(line) < 1 << 20 for line in samples(work, SKILL).split(b"\n"))


@pytest.mark.deep
def test_it_needs_no_home(tmp_path: Path) -> None:
    work = write_work(tmp_path / "work", [SKILL, KNOWLEDGE], SETTINGS)
    with running_teacher() as running:
        code, _, stderr = run_engine(work, running.url, {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"})
    assert code == 0, stderr
    assert not Path("/nonexistent").exists()
