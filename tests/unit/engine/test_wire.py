"""What bodies with status 200 hold, and what other statuses mean."""

import json
from typing import Any

import pytest

from sdg_operator.engine.trouble import Trouble, refusal
from sdg_operator.engine.wire import Choice, Prompt, parse, served_models

TEXT = Prompt("completions", "Hello")
CHAT = Prompt("chat", [])


def body(*choices: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": list(choices), **more}).encode()


def test_choices_are_put_into_the_order_of_their_index() -> None:
    said = body({"index": 2, "text": "c"}, {"index": 0, "text": "a"}, {"index": 1, "text": "b"})
    assert parse(TEXT, said, 3).texts == ("a", "b", "c")
    assert parse(TEXT, said, 2).texts == ("a", "b")


@pytest.mark.parametrize(
    ("prompt", "choice", "expected"),
    [
        (TEXT, {"text": "a"}, Choice("a")),
        (TEXT, {"text": "a", "finish_reason": "length"}, Choice("a", cut=True)),
        (TEXT, {"text": None}, Choice("")),
        (TEXT, {"index": 0}, Choice("")),
        (TEXT, None, Choice("")),
        (TEXT, {"text": "a", "index": 1e999}, Choice("a")),
        (TEXT, {"text": "a", "index": "first"}, Choice("a")),
        (TEXT, {"text": "a", "finish_reason": "content_filter"}, Choice("a", cut=True)),
        (TEXT, {"text": "a", "finish_reason": "MAX_TOKENS"}, Choice("a", cut=True)),
        (TEXT, {"text": "a", "finish_reason": {"type": "length"}}, Choice("a", cut=True)),
        (TEXT, {"text": "a", "finish_reason": "eos_token"}, Choice("a")),
        (TEXT, {"text": "a", "error": {"message": "upstream died"}}, Choice("a", cut=True)),
        (
            CHAT,
            {"message": {"content": [{"type": "reasoning", "text": "b"}, {"text": "a"}]}},
            Choice("a", thought=True),
        ),
        (TEXT, {"text": "<think>b</think>a"}, Choice("a", thought=True)),
        (TEXT, {"text": "half \udc00"}, Choice("half ?")),
        (CHAT, {"message": {"content": "a", "reasoning_content": "b"}}, Choice("a", thought=True)),
        (CHAT, {"message": {"content": None, "reasoning": "b"}, "finish_reason": "length"}, Choice("", True, True)),
        (CHAT, {"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}, Choice("ab")),
        (CHAT, {"message": {"role": "assistant", "refusal": "no"}}, Choice("")),
    ],
)
def test_a_choice(prompt: Prompt, choice: dict[str, Any], expected: Choice) -> None:
    assert parse(prompt, body(choice), 1).choices == (expected,)


def test_a_choice_is_blank_only_where_nothing_tells_why() -> None:
    assert Choice(" \n").blank
    assert not any(choice.blank for choice in (Choice("a"), Choice("", cut=True), Choice("", thought=True)))


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": -1}, {}, "many", {"prompt_tokens": None, "completion_tokens": "4"}]
)
def test_a_server_that_counts_no_tokens_is_none_the_worse(usage: Any) -> None:
    answer = parse(TEXT, body({"text": "a"}, usage=usage), 1)
    assert (answer.texts, answer.prompt_tokens, answer.completion_tokens) == (("a",), 0, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"data: {}\n\ndata: [DONE]\n", "event stream"),
        (b'{"choices": [{"text": "\xff"}]}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"choices": [{"te', "not JSON"),
        (b"", "not JSON"),
        (b"{}", "no choices"),
        (b'{"choices": null}', "no choices"),
        (b'{"error": {"message": "boom", "code": "oops"}}', "an error with status 200: boom"),
    ],
)
def test_what_is_no_answer_is_told_as_what_it_is(content: bytes, says: str) -> None:
    with pytest.raises(Trouble, match=says) as caught:
        parse(TEXT, content, 1)
    assert caught.value.kind == "unreadable"


def test_an_error_with_status_200_counts_as_what_its_code_says() -> None:
    with pytest.raises(Trouble, match="HTTP 429: slow down") as caught:
        parse(TEXT, b'{"error": {"message": "slow down", "code": 429}}', 1)
    assert caught.value.kind == "overloaded"


def test_an_error_beside_choices_is_an_error() -> None:
    with pytest.raises(Trouble, match="boom"):
        parse(TEXT, b'{"choices": [{"text": "half"}], "error": {"message": "boom"}}', 1)


def test_counts_of_tokens_are_bounded() -> None:
    said = body({"text": "a"}, usage={"prompt_tokens": 10**400, "completion_tokens": 3})
    assert parse(TEXT, said, 1).prompt_tokens == 1 << 32


def test_our_token_is_in_no_answer() -> None:
    assert parse(TEXT, body({"text": "It is t0ken?"}), 1, "t0ken").texts == ("It is ***?",)


def test_no_choices_at_all_are_an_answer() -> None:
    assert parse(TEXT, b'{"choices": []}', 3).choices == ()


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, "", "refused"),
        (404, "no such model", "refused"),
        (429, "", "overloaded"),
        (503, "Loading model", "overloaded"),
        (500, "", "away"),
        (502, "", "away"),
        (504, "", "cut"),
        (408, "", "cut"),
        (400, "n must be 1", "prompt"),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096", "context"),
        (500, "the request exceeds the available context size (4096 tokens)", "context"),
        (307, "", "refused"),
        (402, "credits are used up", "refused"),
        (498, "", "overloaded"),
        (499, "", "cut"),
        (418, "", "away"),
        (503, "Too many tokens, please wait before trying again.", "overloaded"),
        (400, "max_tokens is too large: 2048. This model supports at most 1024 completion tokens", "context"),
    ],
)
def test_kinds_of_refusal(status: int, said: str, kind: str) -> None:
    assert refusal(status, {}, json.dumps({"error": {"message": said}}).encode(), None).kind == kind


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "no n"}},
        {"error": "no n"},
        {"message": "no n"},
        {"detail": "no n"},
        {"detail": [{"msg": "no n", "loc": ["body", "n"]}]},
        {"errors": [{"message": "no n"}]},
        [{"error": {"message": "no n"}}],
        {"message": {"detail": [{"msg": "no n"}]}},
    ],
    ids=str,
)
def test_the_words_of_an_error_are_found_wherever_servers_put_them(said: Any) -> None:
    assert refusal(400, {}, json.dumps(said).encode(), None).message.startswith("HTTP 400: no n")


@pytest.mark.parametrize("value", ["Mon, 01 Jan 999999999999 00:00:00 GMT", "soon", ""])
def test_a_time_to_come_again_that_is_none_is_as_good_as_not_given(value: str) -> None:
    assert refusal(429, {"Retry-After": value}, b"", None).retry_after is None


def test_a_redirect_says_where_it_leads_without_what_may_be_secret() -> None:
    said = refusal(307, {"Location": "https://other/v1/completions?key=secret"}, b"", None).message
    assert "to https://other/v1/completions;" in said
    assert "secret" not in said


def test_the_token_is_in_no_message() -> None:
    for said in ("bad t/ken", "bad t%2Fken", "bad t/\u200bken"):
        assert "ken" not in refusal(401, {}, json.dumps({"error": said}).encode(), "t/ken").message
    assert "t0ken" not in refusal(302, {"Location": "https://sso/t0ken/login"}, b"", "t0ken").message


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', ("a", "b")),
        (b"<html>", ()),
        (b"{}", ()),
        (b'{"data": [{"id": 1}]}', ()),
    ],
)
def test_names_of_served_models(content: bytes, names: tuple[str, ...]) -> None:
    assert served_models(content) == names
