"""The OpenAI protocol as we read it: what is asked, and what an answer holds. Pure."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sdg_operator.engine.failure import one_line
from sdg_operator.engine.thinking import without_thinking
from sdg_operator.engine.trouble import Trouble, refusal, without, words_of
from sdg_operator.storage.records import AnswerCounts

Api = Literal["completions", "chat"]
PATHS: Final[Mapping[Api, str]] = {"completions": "completions", "chat": "chat/completions"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a teacher is asked, and how its answers are read."""

    api: Api
    content: Any
    """Text, or the messages of a chat."""
    own_marks: Collection[str] = ()
    """See `without_thinking`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a prompt."""

    text: str
    cut: bool = False
    """It ended before it was whole: at the limit of tokens, by a filter or an error."""
    thought: bool = False
    """There was thinking, which is not part of `text`."""

    @property
    def blank(self) -> bool:
        """There is nothing in it, and nothing tells why."""
        return not (self.text.strip() or self.cut or self.thought)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a teacher answered to one prompt."""

    choices: tuple[Choice, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    given_up: bool = False
    """The teacher would not answer; the texts are empty."""
    too_long: str | None = None
    """Why the prompt does not fit into the teacher's context; None where it does."""
    counts: AnswerCounts = field(default_factory=AnswerCounts)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(choice.text for choice in self.choices)


def parse(prompt: Prompt, content: bytes, n: int, token: str | None = None) -> Answer:
    """Read the body of an answer with status 200: at most `n` choices, in the order of their index.

    A server may give fewer, or none. Raises Trouble for what is no answer.
    """
    try:
        body = json.loads(content.decode("utf-8-sig"))
        if error := body.get("error"):
            raise _error_within(error, token)
        found = list(body["choices"])
        usage = body.get("usage")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise Trouble("unreadable", f"an answer with status 200 that is none: {_what(content, problem)}") from problem
    ordered = [choice for _, choice in sorted(enumerate(found), key=lambda each: _index(*each))]
    choices = tuple(_choice(prompt, choice, token) for choice in ordered[:n])
    spent = usage if isinstance(usage, dict) else {}
    return Answer(choices, _count(spent.get("prompt_tokens")), _count(spent.get("completion_tokens")))


def _index(position: int, choice: Any) -> float:
    """A choice's index; its position where it has none that is a number."""
    try:
        return float(choice["index"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return position


_UNFINISHED: Final = frozenset(
    {
        *("length", "max_length", "max_tokens", "model_length", "max_output_tokens", "token_limit", "incomplete"),
        *("context_length", "context_window", "content_filter", "safety", "recitation", "abort", "aborted", "error"),
        *("cancelled", "canceled", "time_limit", "timeout", "preempted"),
    }
)
"""Why a choice ended before it was whole, in the words of many servers."""


def _choice(prompt: Prompt, choice: Any, token: str | None) -> Choice:
    """Read a choice; one that is none, or holds no text, is empty."""
    whole = choice if isinstance(choice, dict) else {}
    said = whole.get("message") if prompt.api == "chat" else whole
    said = said if isinstance(said, dict) else {}
    text = said.get("content" if prompt.api == "chat" else "text")
    aside = any(isinstance(said.get(key), str) and said[key].strip() for key in ("reasoning_content", "reasoning"))
    if isinstance(text, list):
        parts = [part for part in text if isinstance(part, dict)]
        aside = aside or any(part.get("type") in {"reasoning", "thinking"} for part in parts)
        text = "".join(str(part.get("text") or "") for part in parts if part.get("type") in _TEXT_PARTS)
    answer, thought = without_thinking(without(token, _clean(text)), prompt.own_marks)
    return Choice(answer, cut=_unfinished(whole), thought=thought or aside)


_TEXT_PARTS: Final = frozenset({None, "text", "output_text"})


def _unfinished(choice: Mapping[str, Any]) -> bool:
    reason = choice.get("finish_reason")
    reason = reason.get("type") if isinstance(reason, dict) else reason
    return bool(choice.get("error")) or str(reason).lower() in _UNFINISHED


def _clean(text: Any) -> str:
    """Return an answer's text; half characters (lone surrogates) cannot be written as UTF-8 and become ``?``."""
    return text.encode(errors="replace").decode() if isinstance(text, str) else ""


def _count(value: Any) -> int:
    return min(max(0, value), _MOST_TOKENS) if isinstance(value, int) else 0


_MOST_TOKENS: Final = 1 << 32
"""Of one answer; what claims more is no count."""


def _error_within(error: Any, token: str | None) -> Trouble:
    """Some gateways give errors with status 200; the error's own code, if it has one, says what it is."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if code.isdecimal() and 400 <= int(code) < 600:
        return refusal(int(code), {}, json.dumps({"error": error}).encode(), token)
    words = words_of(error, token)
    return Trouble("unreadable", f"an error with status 200: {words}" if words else "an error with status 200")


def _what(content: bytes, problem: Exception) -> str:
    start = content[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<")):
        return "HTML, as of a gateway or of another service"
    if start.startswith((b"data:", b"event:", b":")):
        return "an event stream, though none was asked for"
    if isinstance(problem, UnicodeDecodeError):
        return "it is not UTF-8"
    return "it is not JSON" if isinstance(problem, (json.JSONDecodeError, RecursionError)) else "it has no choices"


def served_models(content: bytes) -> tuple[str, ...]:
    """Return the names in the body of ``/v1/models``, at most five; none where it is something else."""
    try:
        names = [each["id"] for each in json.loads(content.decode())["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(one_line(name, 100) for name in names if isinstance(name, str))[:5]
