"""What a teacher says when prompt and answer do not fit into its context. Every server has words of its own. Pure."""

import re
from dataclasses import dataclass
from typing import Final

MIN_NEW_TOKENS: Final = 16
"""With less room than that no answer is asked for."""

# Words of vLLM, SGLang, TGI, llama.cpp, OpenAI and the gateways that hand them on.
_ABOUT: Final = re.compile(
    r"context[ _-]?(?:length|size|window)|max(?:imum)?[ _]model[ _]len|max_new_tokens|max_seq_len|input is too long"
    r"|too many (?:input )?tokens|prompt is too long|exceed_context",
    re.IGNORECASE,
)
_LIMITS: Final = (
    re.compile(
        r"(?:context|model)[ _](?:length|len|size|window)(?: limit)?(?: is| of|:|=)?(?: only)? ?\(?(\d+)", re.IGNORECASE
    ),
    re.compile(r"(\d+) maximum context", re.IGNORECASE),
    re.compile(r"must be <=? (\d+)", re.IGNORECASE),
    re.compile(r"> (\d+) maximum", re.IGNORECASE),
    re.compile(r"n_ctx\D{1,4}(\d+)", re.IGNORECASE),
    re.compile(r"(?:limit|maximum|up to)\D{1,20}(\d+)", re.IGNORECASE),
)
_PROMPTS: Final = (
    re.compile(r"(\d+) (?:tokens )?(?:in|from) the (?:messages|prompt|input)", re.IGNORECASE),
    re.compile(r"(\d+) (?:in your prompt|(?:input|prompt) tokens)", re.IGNORECASE),
    re.compile(r"(?:request|prompt) (?:has|with|of|contains) (\d+)", re.IGNORECASE),
    re.compile(r"prompt \((?:length )?(\d+)", re.IGNORECASE),
    re.compile(r"given: (\d+) `?inputs", re.IGNORECASE),
    re.compile(r"n_prompt_tokens\D{1,4}(\d+)", re.IGNORECASE),
    re.compile(r"request \((\d+) tokens\)", re.IGNORECASE),
    re.compile(r"prompt is too long: (\d+)", re.IGNORECASE),
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
        else:
            room = new_tokens // 2  # it says too little: less and less, until it fits or nothing is left
        return room if room >= MIN_NEW_TOKENS else None


def context_limit(message: str) -> ContextLimit | None:
    """Read a refusal; None where it is about something else."""
    if not _ABOUT.search(message):
        return None
    return ContextLimit(_first(_LIMITS, message), _first(_PROMPTS, message))


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(message))), None)
    return int(found.group(1)[:9]) if found else None
