"""What a teacher says when prompt and answer do not fit into its context. Every server has words of its own. Pure."""

import re
from dataclasses import dataclass
from typing import Final

MIN_NEW_TOKENS: Final = 16
"""With less room than that no answer is asked for."""

# Words of vLLM, SGLang, TGI, TensorRT-LLM, llama.cpp, OpenAI, Anthropic, Gemini, watsonx and the gateways before them.
_ABOUT: Final = re.compile(
    r"context[ _-]?(?:length|size|window|limit)|max(?:imum)?[ _](?:model|input|output|sequence|supported)[ _]\w*"
    r"|max_new_tokens|max_num_tokens|max_seq_len|exceed max tokens|maximum number of (?:input |output )?tokens"
    r"|max_(?:completion_)?tokens is too large|total tokens limit|only supports up to|supports at most \d+"
    r"|input is too long|too many (?:input )?tokens|prompt is too long|exceed_context|length is \d+ while limit is"
    r"|token count.{0,40}exceed|prompt length.{0,40}exceed",
    re.IGNORECASE,
)
_LATER: Final = re.compile(r"\bwait\b|try again|throttl|\brate\b|per (?:minute|second|hour|day)|quota", re.IGNORECASE)
"""Too many tokens in too short a time: another thing."""
_SEPARATOR: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_SUM: Final = re.compile(r"(\d+) \+ \d+ > (\d+)")


def _any(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_LIMITS: Final = _any(
    r"(?:context|model)[ _](?:length|len|size|window|limit)(?: limit)?(?: is| of|:|=)?(?: only)? ?\(?(\d+)",
    r"(\d+) maximum context",
    r"must be <=? (\d+)",
    r"> (\d+) maximum",
    r"n_ctx\D{1,4}(\d+)",
    r"(?:supports at most|up to|limit is|limit of|maximum (?:input|sequence|output) length\D{0,4})\s?\(?(\d+)",
    r"(?:limit|maximum|allowed)\D{1,30}(\d+)",
)
_PROMPTS: Final = _any(
    r"(\d+) (?:tokens )?(?:in|from) the (?:messages|prompt|input)",
    r"(\d+) (?:in your prompt|(?:input|prompt) tokens)",
    r"(?:request|prompt) (?:has|with|of|contains) (\d+)",
    r"prompt \((?:length )?(\d+)",
    r"(?:input token count|prompt length) \(?(\d+)",
    r"current length is (\d+)",
    r"given: (\d+) `?inputs",
    r"n_prompt_tokens\D{1,4}(\d+)",
    r"request \((\d+) tokens\)",
    r"prompt is too long: (\d+)",
)


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """Tokens, as far as the teacher tells them."""

    limit: int | None = None
    prompt: int | None = None

    def fewer(self, new_tokens: int) -> int | None:
        """Return how many new tokens to ask for instead of so many, or None where the prompt alone is too long."""
        if self.limit is not None and self.prompt is not None and self.limit - self.prompt < new_tokens:
            room = self.limit - self.prompt
        elif self.limit is not None and self.prompt is None and self.limit < new_tokens:
            room = self.limit  # of the answer alone, it may be
        else:
            room = new_tokens // 2  # it says too little: less and less, until it fits or nothing is left
        return room if room >= MIN_NEW_TOKENS else None


def context_limit(message: str) -> ContextLimit | None:
    """Read a refusal; None where it is about something else."""
    if not _ABOUT.search(message) or _LATER.search(message):
        return None
    said = _SEPARATOR.sub("", message)
    if parts := _SUM.search(said):
        return ContextLimit(limit=_number(parts.group(2)), prompt=_number(parts.group(1)))
    return ContextLimit(_first(_LIMITS, said), _first(_PROMPTS, said))


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(message))), None)
    return _number(found.group(1)) if found else None


def _number(digits: str) -> int:
    return int(digits[:9])
