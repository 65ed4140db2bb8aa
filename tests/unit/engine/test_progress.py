"""How far the engine says it is."""

from pathlib import Path

from sdg_operator.engine.contract import EngineLeaf, Progress
from sdg_operator.engine.progress import BatchMeter, ProgressBoard, ProgressWriter, bar
from sdg_operator.engine.workfolder import WorkFolder
from sdg_operator.storage.records import AnswerCounts, Tokens


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def leaf(name: str, expected: int = 100) -> EngineLeaf:
    path = f"compositional_skills->{name}"
    digest = "sha256:" + "0" * 64
    return EngineLeaf(id=name, path=path, kind="freeform", input_digest=digest, expected_samples=expected)


def board(clock: Clock) -> ProgressBoard:
    made = ProgressBoard([leaf("a"), leaf("b", 50)], clock)
    made.phase = "generating"
    made.leaf_started("a", batches=4, expected=100)
    return made


def test_the_text_is_the_service_s_own() -> None:
    made = board(Clock())
    made.batch_done("a", 0, 12, Tokens(prompt=7, completion=9), AnswerCounts())
    seen = made.look()
    assert seen.text == (
        "Generating data for taxonomy path compositional_skills->a: 12% 12/100 (total qna processed 0/2)"
    )
    assert (seen.samples, seen.expected, seen.tokens.completion) == (12, 150, 9)


def test_answers_within_a_batch_move_it_on() -> None:
    made = board(Clock())
    meter = made.batch_started("a", 0)
    meter.asking(5)
    meter.answered()
    assert made.look().leaf_samples == 5  # a fifth of a quarter
    meter.passed(1, 2)
    assert made.look().leaf_samples == 12
    meter.asking(10)
    assert made.look().leaf_samples == 12


def test_a_finished_leaf_counts_what_it_gave_not_what_was_expected() -> None:
    made = board(Clock())
    made.batch_done("a", 0, 80, Tokens(), AnswerCounts())
    made.leaf_done("a", 80)
    seen = made.look()
    assert (seen.leaf_samples, seen.leaf_expected, seen.leaves_done, seen.leaves_total) == (80, 80, 1, 2)
    assert (seen.samples, seen.expected) == (80, 130)


def test_an_estimate_that_is_exceeded_never_shows_more_than_expected() -> None:
    made = board(Clock())
    made.batch_done("a", 0, 130, Tokens(), AnswerCounts())
    assert made.look().leaf_samples == 100


def test_seconds_left_follow_this_engine_s_own_pace() -> None:
    clock = Clock()
    made = board(clock)
    made.batch_done("a", 0, 25, Tokens(), AnswerCounts())  # of an earlier attempt
    assert made.look().seconds_left is None
    clock.now += 10
    made.batch_done("a", 1, 25, Tokens(), AnswerCounts())
    assert made.look().seconds_left == 40  # 100 to go at 2.5 a second


def test_the_sequence_grows_only_when_something_moved() -> None:
    made = board(Clock())
    first = made.look().sequence
    assert made.look().sequence == first
    made.batch_done("a", 0, 1, Tokens(), AnswerCounts())
    assert made.look().sequence == first + 1


def test_the_file_is_there_from_the_start_and_right_at_the_end(tmp_path: Path) -> None:
    work, made = WorkFolder(tmp_path), board(Clock())
    with ProgressWriter(made, work):
        assert Progress.model_validate_json(work.progress.read_bytes()).samples == 0
        made.leaf_done("a", 70)
    assert Progress.model_validate_json(work.progress.read_bytes()).samples == 70
    assert [path.name for path in work.progress.parent.iterdir()] == ["progress.json"]


def test_a_person_sees_a_bar() -> None:
    seen = Progress(phase="generating", samples=30, expected=120, leaves_done=1, leaves_total=4, seconds_left=90)
    assert bar(seen, width=8) == "[##......]  25% 30/120 samples, 1/4 leaves, 90 s left"


def test_tokens_of_a_batch_add_up() -> None:
    meter = BatchMeter()
    meter.spent(3, 4, given_up=False, counts=AnswerCounts(thinking=2))
    meter.spent(1, 1, given_up=True, counts=AnswerCounts(thinking=1, empty=1))
    meter.count_unparsed()
    assert meter.answers == AnswerCounts(thinking=3, empty=1, unparsed=1)
    assert meter.tokens == Tokens(prompt=4, completion=5)
    assert meter.given_up == 1


def test_what_all_samples_will_cost_is_told_once_some_are_made() -> None:
    made = board(Clock())
    assert made.look().tokens_expected is None
    made.leaf_started("a", 2, 60)
    made.batch_done("a", 0, 30, Tokens(prompt=300, completion=600), AnswerCounts())
    seen = made.look()
    assert seen.tokens_expected == Tokens(prompt=10 * seen.expected, completion=20 * seen.expected)


def test_what_was_wrong_with_answers_adds_up_also_of_batches_under_way_and_of_leaves_that_failed() -> None:
    made = board(Clock())
    made.batch_done("a", 0, 30, Tokens(), AnswerCounts(empty=1))
    made.batch_started("a", 1).answers = AnswerCounts(empty=10)
    assert made.answers.empty == 11
    made.leaf_done("a", 0)
    assert (made.answers.empty, made.look().samples) == (11, 0)
    made.batch_done("a", 1, 5, Tokens(completion=7), AnswerCounts(empty=10))  # it was under way when the leaf failed
    assert (made.answers.empty, made.tokens.completion, made.look().samples) == (11, 7, 0)


def test_what_a_batch_has_cost_that_gives_nothing_stays_counted_once() -> None:
    made = board(Clock())
    made.batch_started("a", 0).spent(2, 3, given_up=False, counts=AnswerCounts(shortened=4))
    made.batch_failed("a", 0)
    made.leaf_done("a", 0)
    assert (made.answers.shortened, made.tokens) == (4, Tokens(prompt=2, completion=3))
