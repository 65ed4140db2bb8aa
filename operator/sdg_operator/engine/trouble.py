"""Requests that get no good answer: of what kind that is decides what is done about it. Pure."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import quote

from sdg_operator.engine.contextlimit import ContextLimit, context_limit
from sdg_operator.engine.failure import one_line

Kind = Literal[
    "refused",  # credentials, address or model
    "token",  # ours cannot be read
    "overloaded",  # told to come later
    "silent",  # no answer in time
    "cut",  # a gateway, or the server, ended the request before its answer was whole
    "away",  # other errors of a server, or none there
    "unreadable",  # status 200, and no answer
    "prompt",  # this prompt is refused
    "context",  # it is too long, together with what is to be answered
]


class Trouble(Exception):
    """A request that got no good answer."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        retry_after: float | None = None,
        token: str | None = None,
        status: int | None = None,
        context: ContextLimit | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.token = token
        """The token that was used."""
        self.status = status
        self.context = context


def refusal(status: int, headers: Mapping[str, str], content: bytes, token: str | None) -> Trouble:
    """Say what an answer with another status than 200 means."""
    said, kind_of_error = _said(content, token)
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if 300 <= status < 400:
        target = _target(without(token, headers.get("Location") or ""))
        message = f"HTTP {status}: it redirects{target}; give the address that it leads to"
    # Some servers say 500 where they mean that a prompt is too long.
    limit = context_limit(f"{said} {kind_of_error}") if _kind(status) in {"prompt", "away"} else None
    return Trouble(
        "context" if limit else _kind(status),
        message,
        retry_after=_retry_after(headers.get("Retry-After")),
        token=token,
        status=status,
        context=limit,
    )


def _said(content: bytes, token: str | None) -> tuple[str, str]:
    """Return what an error's body says, and what kind of error it says that it is; a proxy's page says nothing."""
    try:
        body = json.loads(content.decode(errors="replace"))
    except (ValueError, RecursionError):
        return "", ""
    return words_of(body, token), one_line(_kind_of_error(body), 100)


def words_of(error: Any, token: str | None) -> str:
    """Return the words of an error, fit for a message; empty where it has none."""
    return one_line(without(token, _words(error)), 300)


def _words(body: Any) -> str:
    """Find the words in an error of any of the shapes that servers give it."""
    match body:
        case str():
            return body
        case [first, *_]:
            return _words(first)
        case {"msg": str(words), "loc": place}:  # FastAPI's checks
            return f"{words} ({place})"
        case dict():
            return next((words for key in _WHERE_WORDS if (words := _words(body.get(key)))), "")
    return ""


_WHERE_WORDS: Final = ("error", "message", "detail", "errors", "msg")


def _kind_of_error(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else None
    return f"{error.get('type')} {error.get('code')}" if isinstance(error, dict) else ""


def _kind(status: int) -> Kind:
    if status in {420, 429, 498, 503, 529}:
        return "overloaded"
    if status in {401, 402, 403, 404, 405, 407, 501} or 300 <= status < 400:
        return "refused"
    if status in {408, 460, 499, 504, 524, 598, 599}:
        return "cut"
    return "prompt" if status in {400, 413, 414, 422} else "away"


def _target(location: str) -> str:
    """Where a redirect leads, without what may be secret in it."""
    place = re.split("[?#]", location)[0]
    return f" to {one_line(place, 200)}" if place and "@" not in place else ""


def without(token: str | None, text: str) -> str:
    """Return text without our token, in whatever form a teacher echoes it."""
    if not token:
        return text
    for form in (token, quote(token, safe=""), quote(token)):
        text = text.replace(form, "***")
    return "***" if token in "".join(letter for letter in text if letter.isprintable()) else text


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
    except (ValueError, TypeError, OverflowError):
        return None
