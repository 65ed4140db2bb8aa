"""The scripted teacher answers like an OpenAI-compatible server, always the same, and fails as told."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Pace, Step
from tests.teacher.server import Teacher

QUESTION = "Provide a single question and answer pair based on the examples."


@pytest.fixture
def running() -> Iterator[RunningTeacher]:
    with running_teacher(Teacher(token="right")) as running:
        yield running


def ask(running: RunningTeacher, token: str = "right", path: str = "/completions", **body: Any) -> httpx.Response:
    body = {"model": "teacher", **body}
    return httpx.post(running.url + path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def test_a_list_of_prompts_gets_n_choices_each_in_order(running: RunningTeacher) -> None:
    both = ask(running, prompt=[QUESTION + " A", QUESTION + " B"], n=3).json()
    single = ask(running, prompt=QUESTION + " B", n=3).json()
    texts = [choice["text"] for choice in both["choices"]]
    assert len(texts) == 6
    assert texts[3:] == [choice["text"] for choice in single["choices"]]
    assert "?" in texts[0]
    assert both["usage"]["completion_tokens"] > 0


def test_chat_gets_a_message(running: RunningTeacher) -> None:
    body = ask(running, path="/chat/completions", messages=[{"role": "user", "content": QUESTION}]).json()
    assert "?" in body["choices"][0]["message"]["content"]


def test_a_wrong_token_and_an_unknown_model_are_refused(running: RunningTeacher) -> None:
    assert ask(running, token="wrong", prompt=QUESTION).status_code == 401
    assert ask(running, prompt=QUESTION, model="other").status_code == 404


def test_it_fails_as_told_and_then_answers_well(running: RunningTeacher) -> None:
    running.teacher.script = [Step(status=429, headers={"Retry-After": "7"}), Step(action="null")]
    busy = ask(running, prompt=QUESTION)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "7")
    assert ask(running, prompt=QUESTION).json()["choices"][0]["text"] is None
    assert ask(running, prompt=QUESTION).status_code == 200
    assert [asked.status for asked in running.teacher.asked] == [429, 200, 200]


def test_choices_wait_for_a_free_slot() -> None:
    with running_teacher(Teacher(pace=Pace(median=0.05, sigma=0.0, slots=2))) as running:
        seconds = ask(running, prompt=[QUESTION], n=4).elapsed.total_seconds()
    assert seconds >= 0.1
    assert running.teacher.slots.busy_seconds == pytest.approx(0.2)
