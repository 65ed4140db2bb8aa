"""What servers say when a prompt is too long, in their own words, and how many tokens are asked for then."""

import pytest

from sdg_operator.engine.contextlimit import ContextLimit, context_limit


@pytest.mark.parametrize(
    ("said", "limit", "prompt"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, you requested 6000 tokens (3952 in the "
            "messages, 2048 in the completion). Please reduce the length of the messages or completion.",
            4096,
            3952,
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 "
            "tokens and your request has 1000 input tokens (5000 > 4096 - 1000).",
            4096,
            1000,
        ),
        ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 4096, 5000),
        (
            "You passed 3073 input tokens and requested 1024 output tokens. However, the model's context length is "
            "only 4096 tokens, resulting in a maximum input length of 3072 tokens.",
            4096,
            3073,
        ),
        ("the request exceeds the available context size (4096 tokens), try increasing it", 4096, None),
        ("request (5210 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096, 5210),
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens "
            "and 2048 `max_new_tokens`",
            4096,
            4000,
        ),
        (
            "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
            "6000 tokens: 3952 tokens from the input messages and 2048 tokens for the completion.",
            4096,
            3952,
        ),
        ("prompt is too long: 205000 tokens > 200000 maximum", 200000, 205000),
        ("Prompt contains 70 tokens, too large for model with 64 maximum context length", 64, 70),
        ("too long None context_length_exceeded", None, None),
        ("maximum context length is 8,192 tokens. Your request has 7,100 input tokens", 8192, 7100),
        ("input length and max_tokens exceed context limit: 188240 + 21333 > 200000", 200000, 188240),
        ("max_tokens is too large: 2048. This model supports at most 1024 completion tokens", 1024, None),
        ("The input token count (5000) exceeds the maximum number of tokens allowed (4096).", 4096, 5000),
        ("Prompt length (5000) exceeds maximum input length (4096)", 4096, 5000),
        ("Current length is 5000 while limit is 4096", 4096, 5000),
        ("The model only supports up to 4096 tokens", 4096, None),
    ],
)
def test_the_words_of_servers(said: str, limit: int | None, prompt: int | None) -> None:
    assert context_limit(said) == ContextLimit(limit, prompt)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Invalid model name",
        "n must be 1 when using greedy sampling",
        "content filter",
        "Too many tokens, please wait before trying again.",
        "Rate limit reached: too many tokens per minute",
    ],
)
def test_refusals_of_other_kinds(said: str) -> None:
    assert context_limit(said) is None


@pytest.mark.parametrize(
    ("said", "asked", "fewer"),
    [
        (ContextLimit(4096, 3000), 2048, 1096),
        (ContextLimit(4096, 4090), 2048, None),
        (ContextLimit(4096, 5000), 2048, None),
        (ContextLimit(4096, None), 2048, 1024),
        (ContextLimit(1024, None), 2048, 1024),
        (ContextLimit(1000, None), 2048, 1000),
        (ContextLimit(None, None), 31, None),
        (ContextLimit(4096, 3000), 1000, 500),  # it refuses what should fit: its count may be another
    ],
)
def test_how_many_tokens_are_asked_for_instead(said: ContextLimit, asked: int, fewer: int | None) -> None:
    assert said.fewer(asked) == fewer
