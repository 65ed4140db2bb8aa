"""Which known form a user's training file has if it is not ours, and what to do about it. Pure."""

import json
from typing import Any, Final

_PACKED: Final = {
    b"\x1f\x8b": "packed with gzip: unpack it (gunzip)",
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it (unzstd)",
    b"BZh": "packed with bzip2: unpack it (bunzip2)",
    b"\xfd7zXZ": "packed with xz: unpack it (unxz)",
    b"PAR1": "a Parquet file: write its rows as JSON lines (pandas: to_json with orient='records' and lines=True)",
    b"\xff\xfe": "in UTF-16: write it in UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "in UTF-16: write it in UTF-8 (iconv -f UTF-16 -t UTF-8)",
}
_COLUMNS: Final[dict[frozenset[str], str]] = {
    frozenset({"conversations"}): (
        "in the form of ShareGPT: write 'conversations' as 'messages', 'from' as 'role' (human is user, gpt is "
        "assistant), 'value' as 'content'"
    ),
    frozenset({"instruction", "output"}): (
        "in the form of Alpaca: write messages, with 'instruction' and 'input' as what the user says and 'output' as "
        "what the assistant says"
    ),
    frozenset({"user", "assistant"}): (
        "in InstructLab's older form: write 'system', 'user' and 'assistant' as messages with these roles"
    ),
    frozenset({"prompt", "completion"}): (
        "in the form of prompts and completions: write them as messages of the user and of the assistant"
    ),
    frozenset({"question", "response"}): "of samples, not of training rows: merge the run that they are of",
}
_BEGUN: Final = (b"{", b"[", b",")
_LOOKED_AT: Final = 1 << 20


def recognised(line: bytes, *, first: bool) -> str | None:
    """Return in which form a line is that is no training row; `first` is that of a file."""
    if first and (found := _by_its_begin(line[:_LOOKED_AT].lstrip(b" \t\r\n"))):
        return f"the file is {found}"
    try:
        row: Any = json.loads(line) if len(line) <= _LOOKED_AT else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or "messages" in row:
        return None
    return next((f"the row is {form}" for names, form in _COLUMNS.items() if names <= row.keys()), None)


def _by_its_begin(begin: bytes) -> str | None:
    for mark, form in _PACKED.items():
        if begin.startswith(mark):
            return form
    if b"\0" in begin[:2]:
        return _PACKED[b"\xff\xfe"]
    if begin.startswith(b"["):
        return "one JSON array: write each of its rows on a line of its own (jq -c '.[]')"
    if begin.startswith(b"{"):
        return (
            "JSON over several lines: write each row on one line (jq -c .)" if begin.rstrip().endswith(_BEGUN) else None
        )
    header = begin.split(b"\n", 1)[0]
    if any(separator in header for separator in (b",", b"\t", b";")) and header.isascii() and b"{" not in header:
        return "CSV, not JSON: write each row as a JSON object with messages on one line"
    return None
