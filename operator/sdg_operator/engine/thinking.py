"""Cut a teacher's thinking off its answer: what reasoning models write before they answer is no training data. Pure."""

import re
from collections.abc import Collection
from typing import Final

_WORDS: Final = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reason", "reflection"),
    *("analysis", "scratchpad", "inner_monologue", "seed:think"),
)
_PAIRS: Final = (
    *((f"<{word}>", f"</{word}>") for word in _WORDS),  # DeepSeek, Qwen, Granite, Nemotron and many others
    ("[think]", "[/think]"),  # Mistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|start_thinking|>", "<|end_thinking|>"),  # Cohere
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker
    ("<unused94>", "<unused95>"),  # MedGemma
    ("<|channel>thought", "<channel|>"),  # Gemma
    ('<details type="reasoning">', "</details>"),  # Open WebUI
    ("<|think|>", "<|end|>"),  # Solar
    ("<|channel|>analysis<|message|>", "<|end|>"),  # gpt-oss
    ("<|channel|>commentary<|message|>", "<|end|>"),
)
_CLOSES: Final = dict(_PAIRS)
MARKS: Final = frozenset(mark for pair in _PAIRS for mark in pair)
"""All marks of thinking, in lower case."""
_ALONE: Final = frozenset(_CLOSES.values()) - {"<|end|>", "</details>"}
"""Closing marks that tell of thinking also where its opening mark is not in the answer: templates of chat put it at the
end of the prompt."""
_MARK: Final = re.compile("|".join(re.escape(mark) for mark in sorted(MARKS, key=len, reverse=True)), re.IGNORECASE)
_SPACED: Final = re.compile(r"(<\|channel\|>(?:analysis|commentary|final))\s*(?:[^<\n]{0,80})(<\|message\|>)")

_ANSWER_BEGINS: Final = (
    (
        re.compile(r""),
        re.compile(r"<\|channel\|>final<\|message\|>|<\|start_response\|>|\[BEGIN FINAL RESPONSE\]", re.IGNORECASE),
    ),
    # gpt-oss where the server leaves its special tokens out, and Granite 3.2.
    (re.compile(r"\s*analysis"), re.compile(r"assistantfinal")),
    (re.compile(r"\s*here is my thought process:", re.IGNORECASE), re.compile(r"here is my response:", re.IGNORECASE)),
)
"""How an answer begins that is all thinking until a mark, and that mark."""
_WRAPPING: Final = re.compile(
    r"<\|start\|>assistant|<\|return\|>|<\|end\|>|<\|end_response\|>|\[END FINAL RESPONSE\]"
    r"|^\s*<(?:answer|output|response)>|</(?:answer|output|response)>\s*$",
    re.IGNORECASE,
)


def without_thinking(text: str, own: Collection[str] = ()) -> tuple[str, bool]:
    """Return an answer without its thinking, and whether there was any.

    Thinking that never ends (the answer was cut off in it) leaves nothing. `own` are marks that the pipeline itself
    asks for, in lower case: they are no thinking. Takes time in proportion to the text, whatever it holds.
    """
    said = _SPACED.sub(r"\1\2", text)
    begun, found = _answer_of(said)
    answer, marked = _outside_marks(begun, own)
    if not (found or marked):
        return text, False
    return _WRAPPING.sub("", answer).strip(), True


def _answer_of(text: str) -> tuple[str, bool]:
    for begins, mark in _ANSWER_BEGINS:
        if begins.match(text):
            *_, last = [None, *mark.finditer(text)]
            if last is not None:
                return text[last.end() :], True
    return text, False


def _outside_marks(text: str, own: Collection[str]) -> tuple[str, bool]:
    kept: list[str] = []
    end = 0
    awaited: str | None = None
    found = False
    for match in _MARK.finditer(text):
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
    return "".join(kept), True
