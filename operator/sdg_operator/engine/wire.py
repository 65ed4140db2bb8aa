"""The OpenAI protocol as we read it: answers, and what a server's refusal means. Pure."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

from sdg_operator.engine.failure import one_line

Api = Literal["completions", "chat"]
PATHS: Final[Mapping[Api, str]] = {"completions": "completions", "chat": "chat/completions"}


@dataclass(frozen=True, slots=True)
class Answer:
    texts: tuple[str, ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    given_up: bool = False
    """The teacher would not answer; the texts are empty."""


class Trouble(Exception):
    """A request that got no good answer."""

    def __init__(
        self,
        kind: Literal["refused", "overloaded", "silent", "away", "prompt"],
        message: str,
        retry_after: float | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.token = token
        """The token that was used."""


def parse(api: Api, content: bytes, n: int) -> Answer:
    try:
        body = json.loads(content.decode(errors="replace"))
        choices = sorted(body["choices"], key=lambda choice: int(choice.get("index", 0)))
        texts = [choice["message"]["content"] if api == "chat" else choice["text"] for choice in choices[:n]]
        usage = body.get("usage") or {}
        answer = Answer(
            tuple(_clean(text) for text in texts),
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Trouble("away", f"an answer that is none ({type(error).__name__})") from error
    if not answer.texts:
        raise Trouble("away", "an answer without choices")
    return answer


def _clean(text: Any) -> str:
    """Return an answer's text; half characters (lone surrogates) cannot be written as UTF-8 and become ``?``."""
    return text.encode(errors="replace").decode() if isinstance(text, str) else ""


def refusal(status: int, headers: Mapping[str, str], content: bytes, token: str | None) -> Trouble:
    message = f"HTTP {status}"
    try:
        body = json.loads(content.decode(errors="replace"))
        error = body.get("error", body)
        said = error.get("message") if isinstance(error, dict) else error
        if isinstance(said, str):
            message += f": {one_line(without(token, said), 300)}"
    except (ValueError, AttributeError, RecursionError):
        pass  # a proxy's HTML page says nothing that the status does not
    if status in {429, 503}:
        return Trouble("overloaded", message, _retry_after(headers.get("Retry-After")))
    if status in {401, 403, 404, 405, 407} or 300 <= status < 400:
        return Trouble("refused", message, token=token)
    if status in {408, 409, 425} or status >= 500:
        return Trouble("away", message, _retry_after(headers.get("Retry-After")))
    return Trouble("prompt", message)


def without(token: str | None, text: str) -> str:
    return text.replace(token, "***") if token else text


def _retry_after(value: str | None) -> float | None:
    """Return the seconds a server asks for, given as seconds or as a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
