"""Cut a teacher's thinking off its answer: what reasoning models write before they answer is no training data. Pure."""

import re
from collections.abc import Collection
from typing import Final

_WORDS: Final = ("think", "thinking", "thought", "thoughts", "reasoning")
_PAIRS: Final = (
    *((f"<{word}>", f"</{word}>") for word in _WORDS),  # DeepSeek, Qwen, Granite, Nemotron and many others
    ("[think]", "[/think]"),  # Mistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<seed:think>", "</seed:think>"),
    ("<|start_thinking|>", "<|end_thinking|>"),  # Cohere
    ("<|channel|>analysis<|message|>", "<|end|>"),  # gpt-oss
)
_CLOSES: Final = dict(_PAIRS)
_ALONE: Final = frozenset(_CLOSES.values()) - {"<|end|>"}
"""Closing marks that tell of thinking also where its opening mark is not in the answer: templates of chat put it at the
end of the prompt."""
_MARKS: Final = re.compile("|".join(re.escape(mark) for pair in _PAIRS for mark in pair), re.IGNORECASE)
_FINAL: Final = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>|<\|return\|>")


def without_thinking(text: str, own: Collection[str] = ()) -> tuple[str, bool]:
    """Return an answer without its thinking, and whether there was any.

    Thinking that never ends (the answer was cut off in it) leaves nothing. `own` are marks that the pipeline itself
    asks for: they are no thinking. Takes time in proportion to the text, whatever it holds.
    """
    kept: list[str] = []
    end = 0
    awaited: str | None = None
    found = False
    for match in _MARKS.finditer(text):
        mark = match.group().lower()
        if mark in own:
            continue
        if awaited is not None:
            if mark == awaited:
                awaited, end = None, match.end()
        elif mark in _CLOSES:
            kept.append(text[end : match.start()])
            awaited, found = _CLOSES[mark], True
        elif mark in _ALONE:
            kept.clear()
            end, found = match.end(), True
    if not found:
        return text, False
    if awaited is None:
        kept.append(text[end:])
    return _FINAL.sub("", "".join(kept)).strip(), True
