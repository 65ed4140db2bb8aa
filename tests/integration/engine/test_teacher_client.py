"""The teacher's client against the scripted teacher: what it bears with, what it gives up, and what it never tells."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure
from sdg_operator.engine.teacher import Stopped, Teacher
from sdg_operator.engine.wire import Answer
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Step
from tests.teacher.server import Teacher as Scripted

slow = pytest.mark.deep  # it waits for bounds of time

PROMPT = "Provide a single question and answer pair based on the examples."


@contextmanager
def client(running: RunningTeacher, bound: int = 64, **access: Any) -> Iterator[Teacher]:
    with Teacher(TeacherAccess(URL(running.url), **access), "teacher", bound) as teacher:
        yield teacher


def ask(teacher: Teacher, *prompts: str, **options: Any) -> list[Answer]:
    return teacher.ask("completions", prompts or (PROMPT,), options, lambda: None)


@pytest.fixture
def running() -> Iterator[RunningTeacher]:
    with running_teacher() as running:
        yield running


def test_answers_come_in_the_order_of_the_prompts(running: RunningTeacher) -> None:
    prompts = [f"{PROMPT} {i}" for i in range(20)]
    with client(running, bound=7) as teacher:
        together = ask(teacher, *prompts, n=3)
        alone = [ask(teacher, prompt, n=3)[0] for prompt in prompts]
    assert together == alone
    assert running.teacher.most_in_flight <= 7
    assert all(len(answer.texts) == 3 and answer.completion_tokens > 0 for answer in together)


@pytest.mark.parametrize(
    "step",
    [
        Step(status=429, headers={"Retry-After": "0"}),
        Step(status=429, times=2),
        Step(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Step(status=500),
        Step(action="drop"),
        Step(action="break"),
        Step(action="raw", text="<html>not what you asked for"),
        Step(action="raw", text="data: {}\n\ndata: [DONE]\n\n"),
        Step(action="raw", text='{"choices": [{"text": "\xff"}]}'),
        Step(action="raw", text="[" * 100_000),
        Step(action="raw", text='{"error": {"message": "boom"}}'),
    ],
    ids=lambda step: f"{step.action}-{step.status}",
)
def test_what_passes_is_tried_again(running: RunningTeacher, step: Step) -> None:
    with client(running) as teacher:
        good = ask(teacher)
        running.teacher.script = [step]
        (again,) = ask(teacher)
    assert (again.texts, again.given_up) == (good[0].texts, False)
    assert again.counts.asked_again == len(running.teacher.asked) - 2


@slow
def test_it_waits_as_long_as_the_teacher_asks(running: RunningTeacher) -> None:
    with client(running, bound=1) as teacher:
        teacher.connect()
        running.teacher.script = [Step(status=429, headers={"Retry-After": "1"})]
        ask(teacher, PROMPT, PROMPT + " 2")
    _connected, refused, *rest = running.teacher.asked
    assert refused.status == 429
    assert refused.ended is not None
    assert len(rest) == 2
    assert all(each.started >= refused.ended + 0.95 for each in rest)


@slow
def test_overload_lowers_the_number_of_choices_at_once(running: RunningTeacher) -> None:
    with client(running, bound=64) as teacher:
        teacher.connect()
        running.teacher.script = [Step(status=429, headers={"Retry-After": "0"}, times=1)]
        ask(teacher)
        assert teacher.limit < 64


@pytest.mark.parametrize(
    ("scripted", "words"),
    [
        (Scripted(token="other"), "401"),
        (Scripted(model="other"), "The model `teacher` does not exist"),
        (Scripted(apis=frozenset()), "404"),
        (Scripted(script=[Step(status=403, times=-1)]), "403"),
        (Scripted(script=[Step(status=400, text="Invalid model name", times=-1)]), "400: Invalid model name"),
        (Scripted(script=[Step(status=302, headers={"Location": "http://127.0.0.1:1/"}, times=-1)]), "302"),
    ],
)
def test_a_refusal_of_the_first_request_ends_the_run_at_once(scripted: Scripted, words: str) -> None:
    with running_teacher(scripted) as running, client(running) as teacher:
        with pytest.raises(EngineFailure, match=words) as caught:
            teacher.connect()
        assert (caught.value.code, caught.value.reason) == (ExitCode.TEACHER_REFUSED, "TeacherRefused")
        assert len(running.teacher.asked) <= 2


def test_a_teacher_with_chat_alone_is_asked_by_chat() -> None:
    with running_teacher(Scripted(apis=frozenset({"chat"}))) as running, client(running) as teacher:
        teacher.connect()
        assert teacher.api == "chat"


@pytest.mark.parametrize("status", [400, 405])
def test_a_teacher_that_refuses_plain_prompts_is_asked_by_chat(running: RunningTeacher, status: int) -> None:
    running.teacher.script = [Step(status=status, text="the operation is not supported")]
    with client(running) as teacher:
        teacher.connect()
        assert teacher.api == "chat"


def test_a_teacher_that_gives_one_choice_at_a_time_is_asked_so(running: RunningTeacher) -> None:
    running.teacher.script = [Step(status=400, text="only n=1 is supported", times=-1, above=1)]
    with client(running) as teacher:
        teacher.connect()
        answers = [*ask(teacher, n=3), *ask(teacher, PROMPT + " 2", n=3)]
    assert all(len(answer.texts) == 3 and all(answer.texts) and not answer.given_up for answer in answers)
    assert [each.status for each in running.teacher.asked].count(400) == 1


@slow
def test_a_busy_teacher_costs_time_and_no_sample(running: RunningTeacher) -> None:
    with client(running) as teacher:
        teacher.connect()
        running.teacher.script = [Step(status=429, headers={"Retry-After": "0"}, times=14, contains="busy")]
        waiting = threading.Thread(target=lambda: answers.extend(ask(teacher, PROMPT + " busy")))
        answers: list[Answer] = []
        waiting.start()
        while waiting.is_alive():
            ask(teacher)  # others are answered meanwhile
        waiting.join()
    assert answers[0].texts[0]
    assert not answers[0].given_up


@slow
def test_a_slow_teacher_is_asked_as_much_as_before(running: RunningTeacher) -> None:
    with client(running, bound=16, timeout=8.0) as teacher:
        teacher.connect()
        running.teacher.script = [Step(action="say", text="slow but sure " * 20, delay=2.1, times=-1)]
        ask(teacher, *(f"{PROMPT} {i}" for i in range(24)))
        assert teacher.limit == 16


def test_a_token_file_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    with running_teacher(Scripted(token="secret")) as running, client(running, token_file=token) as teacher:
        teacher.connect()
        token.unlink()
        back = threading.Timer(0.3, lambda: token.write_text("secret"))
        back.start()
        assert ask(teacher)[0].texts[0]
        back.join()


def test_a_later_refusal_is_waited_out_and_a_new_token_is_taken(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    with running_teacher(Scripted(token="old")) as running, client(running, token_file=token) as teacher:
        teacher.connect()
        running.teacher.token = "new"
        rotated = threading.Timer(0.3, lambda: token.write_text("new\n"))
        rotated.start()
        assert ask(teacher)[0].texts[0]
        rotated.join()
    assert {each.token for each in running.teacher.asked} == {"old", "new"}


@pytest.mark.parametrize(
    "step", [Step(status=401, times=-1), Step(status=500, times=-1), Step(action="drop", times=-1)], ids=str
)
def test_a_teacher_away_for_longer_than_the_bound_ends_the_run_retriably(running: RunningTeacher, step: Step) -> None:
    with client(running, patience=0.5) as teacher:
        teacher.connect()
        running.teacher.script = [step]
        with pytest.raises(Stopped):
            ask(teacher, PROMPT, PROMPT + " 2")
        assert teacher.failure is not None
        assert teacher.failure.code is ExitCode.TEACHER_UNAVAILABLE
        assert teacher.failure.code.retriable


@slow
def test_a_teacher_that_is_not_there_yet_is_waited_for() -> None:
    with running_teacher() as gone:
        pass
    with client(gone, patience=20) as teacher:
        connecting = threading.Thread(target=teacher.connect)
        connecting.start()
        with running_teacher(port=gone.port):
            connecting.join(timeout=15)
            assert not connecting.is_alive()


@slow
def test_silence_counts_as_overload(running: RunningTeacher) -> None:
    with client(running, timeout=0.3) as teacher:
        teacher.connect()
        running.teacher.script = [Step(action="silence")]
        assert ask(teacher)[0].texts[0]
        assert teacher.limit < 64


def test_a_prompt_that_the_teacher_refuses_gets_an_empty_answer(running: RunningTeacher) -> None:
    with client(running) as teacher:
        teacher.connect()
        running.teacher.script = [Step(status=400, text="the content filter was triggered", contains="long", times=-1)]
        good, refused = ask(teacher, PROMPT, PROMPT + " long", n=2)
    assert good.texts[0]
    assert refused.texts == ("", "")
    assert (good.given_up, refused.given_up) == (False, True)
    assert "content filter" in teacher.last_complaint


def test_null_text_and_half_characters_become_text_that_can_be_written(running: RunningTeacher) -> None:
    running.teacher.script = [
        Step(action="null", times=3),
        Step(action="say", text="half \udc00 \u2028 \x00 whole"),
    ]
    with client(running) as teacher:
        (empty,) = ask(teacher)
        assert (empty.texts, empty.counts.empty) == (("",), 1)
        assert ask(teacher)[0].texts == ("half ? \u2028 \x00 whole",)


def test_the_token_is_in_no_message(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret")
    with (
        running_teacher(Scripted(token="other")) as running,
        client(running, token_file=token) as teacher,
        pytest.raises(EngineFailure) as caught,
    ):
        teacher.connect()
    assert running.teacher.asked[0].token == "very-secret"
    assert "very-secret" not in caught.value.message
    assert "***" in caught.value.message


@pytest.mark.parametrize("content", [b"two words", b"line\nbreak", "tökén".encode(), b"\xff\xfe"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_told(
    tmp_path: Path, running: RunningTeacher, content: bytes
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    with client(running, token_file=token) as teacher, pytest.raises(EngineFailure) as caught:
        teacher.connect()
    assert caught.value.code is ExitCode.INVALID_INPUT
    assert not any(word in caught.value.message for word in ("two", "break", "tök"))
    assert running.teacher.asked == []


def test_stop_sends_everyone_home(running: RunningTeacher) -> None:
    with client(running) as teacher:
        teacher.connect()
        running.teacher.script = [Step(action="silence", times=-1)]
        stopper = threading.Timer(0.2, teacher.stop)
        stopper.start()
        with pytest.raises(Stopped):
            ask(teacher)
        with pytest.raises(Stopped):
            ask(teacher)
        stopper.join()
        assert teacher.failure is None


@pytest.mark.parametrize("path", ["/v1", "/v1/", "", "/", "/v1/v1", "/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("apis", [{"completions", "chat"}, {"chat"}], ids=["both", "chat"])
def test_an_address_is_found_however_it_is_written(path: str, apis: set[str]) -> None:
    with running_teacher(Scripted(apis=frozenset(apis))) as running:
        url = URL(running.url).with_path(path or "/")
        with Teacher(TeacherAccess(url), "teacher", 8) as teacher:
            teacher.connect()
            assert (teacher.api == "chat") == ("completions" not in apis)
        assert [each.path for each in running.teacher.asked][-1].startswith("/v1/")


def test_a_wrong_model_is_refused_with_the_names_that_are_served() -> None:
    with (
        running_teacher(Scripted(model="granite")) as running,
        client(running) as teacher,
        pytest.raises(EngineFailure) as caught,
    ):
        teacher.connect()
    assert "asked for model 'teacher' at http://127.0.0.1" in caught.value.message
    assert caught.value.message.endswith("served there: granite")


@slow
def test_an_address_of_something_else_is_refused_with_the_addresses_tried(running: RunningTeacher) -> None:
    running.teacher.script = [Step(action="raw", text="<html>a web page", times=-1)]
    with client(running) as teacher, pytest.raises(EngineFailure) as caught:
        teacher.connect()
    assert caught.value.code is ExitCode.TEACHER_REFUSED
    assert "HTML" in caught.value.message
    assert "/v1/completions and http://127.0.0.1" in caught.value.message


def test_thinking_is_cut_off_and_counted(running: RunningTeacher) -> None:
    running.teacher.script = [Step(action="say", text="<think>Hm? Let me see.</think>\n{}", skip=1)]
    with client(running) as teacher:
        good = ask(teacher)
        (answer,) = ask(teacher, n=2)
    assert answer.texts[0] == good[0].texts[0]
    assert answer.counts.thinking == 2


def test_a_request_that_a_gateway_cuts_twice_is_halved_and_so_are_the_next(running: RunningTeacher) -> None:
    running.teacher.script = [Step(status=504, headers={"Retry-After": "0"}, above=3, times=-1)]
    with client(running) as teacher:
        teacher.connect()
        (first,) = ask(teacher, n=8)
        before = len(running.teacher.asked)
        (second,) = ask(teacher, PROMPT + " 2", n=8)
    assert all(len(answer.texts) == 8 and not answer.given_up for answer in (first, second))
    sizes = [each.choices for each in running.teacher.asked[1:]]
    assert sizes[:4] == [8, 8, 4, 4]
    assert sizes.count(4) == 4  # two requests for four each, cut twice
    assert {each.choices for each in running.teacher.asked[before:]} == {2}


def test_a_prompt_that_fits_gets_fewer_new_tokens_and_one_that_does_not_is_told(running: RunningTeacher) -> None:
    running.teacher.context = 300
    with client(running) as teacher:
        teacher.connect()
        short, long = ask(teacher, PROMPT, PROMPT + " bird" * 300, max_tokens=2048)
    assert short.texts[0]
    assert short.counts.shortened == 1
    assert long.too_long is not None
    assert "leaves no room for an answer in the teacher's context of 300 tokens" in long.too_long


def test_chat_that_is_refused_though_plain_prompts_work_ends_the_run() -> None:
    with running_teacher(Scripted(apis=frozenset({"completions"}))) as running, client(running) as teacher:
        teacher.connect()
        with pytest.raises(Stopped):
            teacher.ask("chat", [[{"role": "user", "content": "Hello"}]], {}, lambda: None)
        assert teacher.failure is not None
        assert (teacher.failure.code, "asks by chat/completions" in teacher.failure.message) == (
            ExitCode.TEACHER_REFUSED,
            True,
        )


@slow
def test_what_a_loading_teacher_says_is_told_while_it_lasts(running: RunningTeacher) -> None:
    running.teacher.script = [Step(status=503, text="Loading model", times=4)]
    said: set[str | None] = set()
    with client(running) as teacher:
        connecting = threading.Thread(target=teacher.connect)
        connecting.start()
        while connecting.is_alive():
            said.add(teacher.trouble)
            connecting.join(timeout=0.05)
        assert teacher.trouble is None
    assert "HTTP 503: Loading model" in said


@slow
def test_a_token_that_expires_is_waited_for_and_costs_no_prompt(running: RunningTeacher) -> None:
    with client(running, patience=20) as teacher:
        teacher.connect()
        # One long answer was under way; everything else is refused from now on, more often than a prompt is tried.
        running.teacher.script = [
            Step(action="say", text="{}", delay=1.0, contains="long"),
            Step(status=401, headers={"Retry-After": "1"}, times=-1),
        ]
        with pytest.raises(Stopped):
            ask(teacher, PROMPT + " long", PROMPT)
        assert teacher.failure is not None
        assert teacher.failure.code is ExitCode.TEACHER_UNAVAILABLE


@slow
def test_a_teacher_that_is_away_for_all_costs_time_and_no_prompt(running: RunningTeacher) -> None:
    away = Step(status=502, headers={"Retry-After": "1"}, times=60)
    with client(running) as teacher:
        teacher.connect()
        running.teacher.script = [away]
        answers = ask(teacher, *(f"{PROMPT} {i}" for i in range(4)))
    assert not any(answer.given_up for answer in answers)


@slow
def test_a_prompt_that_alone_fails_is_given_up_though_nobody_else_asks(running: RunningTeacher) -> None:
    running.teacher.script = [Step(status=500, headers={"Retry-After": "1.1"}, contains="poison", times=-1)]
    with client(running, patience=60) as teacher:
        teacher.connect()
        (answer,) = ask(teacher, PROMPT + " poison", n=2)
    assert answer.given_up
    asked = [each.prompts[0] for each in running.teacher.asked]
    assert sum("poison" in prompt for prompt in asked) < 20
