"""Where the question ends in a sample whose ``output`` holds question and answer in one. Pure.

instructlab-sdg's mixing knows the ASCII question mark alone, and silently loses skills samples without one. Those that
have one are left to it; others are divided here at the question mark of their own script, which stays as it is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

ASCII: Final = "?"
_ARMENIAN: Final = "\u055e"
_MARKS: Final = (
    "\uff1f\ufe56\ufe16"  # Chinese, Japanese, Korean
    "\u061f\u2e2e"  # Arabic, and its mirror image
    "\u037e"  # Greek; mostly written as an ASCII semicolon, which may be anything and is therefore no mark here
    "\u1367\ua60f"  # Ethiopic, Vai
    "\u2047\u2048\u2049\u203d"  # two marks in one character
)
_END: Final = re.compile(f"[{_MARKS}]|{_ARMENIAN}[^\u0589:\n]*[\u0589:\n]")
"""The end of a question. The Armenian mark stands on a word within it; the question goes on to its stop."""


def split(output: str) -> tuple[str, str]:
    """Return question and answer; no question, and all of it as the answer, where there is no question mark."""
    if ASCII in output:
        question, _, answer = output.partition(ASCII)
        return question.strip() + ASCII, answer.strip()
    end = _END.search(output)
    if end is None:
        return "", output.strip()
    return output[: end.end()].strip(), output[end.end() :].strip()


def parts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return question and answer of a sample as mixing takes them; what it has none of is empty."""
    question, answer = split(_text(row.get("output")))
    return (
        _text(row["question"]).strip() if "question" in row else question,
        _text(row["response"]).strip() if "response" in row else answer,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
