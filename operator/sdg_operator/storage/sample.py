"""What mixing needs of a sample. Pure; sync and the mix ask the same."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

MAX_DEPTH: Final = 32
"""How deep lists and objects may be; Arrow and pandas end soon after."""
_HALF_CHARACTER: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def fault(row: Mapping[str, Any], line: bytes, *, knowledge: bool) -> str | None:
    """Return why mixing cannot take a row, in words that go on from "line 3"; `line` is how it was written.

    Null is no fault: such a row is left out of the mix, and no other suffers.
    """
    for name in ("question", "response", "output", *(("document", "domain") if knowledge else ())):
        if not isinstance(row.get(name), str | None):
            return f"has no text as {name!r}"
    if "output" not in row and not ("question" in row and "response" in row):
        return "has neither 'output' nor 'question' with 'response'"
    if knowledge and "document" not in row:
        return "has no 'document'"
    if _too_deep(row):
        return f"has lists or objects more than {MAX_DEPTH} deep"
    return "has half a character" if _HALF_CHARACTER.search(line) and not _whole(row) else None


def _too_deep(row: Mapping[str, Any]) -> bool:
    level: list[Any] = [row]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner for each in level for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]  # fmt: skip
        if not level:
            return False
    return True


def _whole(row: Mapping[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
