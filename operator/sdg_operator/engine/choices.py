"""Get all choices for one prompt from a teacher that may give fewer, none, or only some at a time.

How often a request is sent again is not decided here: `ask` does that, and raises Trouble when there is no more hope.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sdg_operator.engine.trouble import Kind, Trouble
from sdg_operator.engine.wire import Answer, Choice

CUTS: Final[frozenset[Kind]] = frozenset({"silent", "cut"})
"""A request for fewer choices may be done before whoever waits for it loses patience."""
BLANK_ROUNDS: Final = 2
"""How often choices without text are asked for again."""

Ask = Callable[[Mapping[str, Any], int], Awaitable[Answer]]
"""Sends a request with these options for so many choices. Raises Trouble."""
Tally = Counter[str]
"""Counts by the names of `AnswerCounts`."""


@dataclass(slots=True)
class Width:
    """How many choices of one prompt a request may ask for, as far as the teacher has shown it. Shared by all."""

    most: int = 1 << 20


async def all_choices(ask: Ask, options: Mapping[str, Any], wanted: int, width: Width, tally: Tally) -> Answer:
    """Return an answer with exactly `wanted` choices; those that the teacher does not give are empty.

    Servers that know no `n` give one at a time, or refuse to give more. Raises Trouble.
    """
    got = _Gathered(wanted)
    most = min(wanted, width.most)
    while got.missing:
        n = min(most, got.missing)
        try:
            more = await ask(got.varied(options), n)
        except Trouble as trouble:
            if trouble.kind == "prompt" and n > 1:
                most = 1
            elif trouble.kind in CUTS and n > 1:
                most = -(-n // 2)
                tally["shortened"] += 1
            elif trouble.kind == "context":
                options = _shorter(options, trouble)
                tally["shortened"] += 1
            else:
                raise
        else:
            if most < wanted:
                width.most = min(width.most, most)  # it helped: others need not find out
            got.take(more)
    tally["empty"] += sum(choice.blank for choice in got.choices)
    tally["thinking"] += sum(choice.thought for choice in got.choices)
    tally["cut_off"] += sum(choice.cut for choice in got.choices)
    return Answer(tuple(got.choices), got.prompt_tokens, got.completion_tokens)


class _Gathered:
    def __init__(self, wanted: int) -> None:
        self.choices: list[Choice] = []
        self.prompt_tokens = self.completion_tokens = 0
        self._wanted = wanted
        self._blank_rounds = 0

    @property
    def missing(self) -> int:
        return self._wanted - len(self.choices)

    def varied(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same seed would give the same text again."""
        return {**options, "seed": options["seed"] + len(self.choices)} if options.get("seed") is not None else options

    def take(self, more: Answer) -> None:
        self.prompt_tokens += more.prompt_tokens
        self.completion_tokens += more.completion_tokens
        good = [choice for choice in more.choices if not choice.blank]
        if good and len(good) == len(more.choices):
            self.choices += good
        elif self._blank_rounds < BLANK_ROUNDS:
            self._blank_rounds += 1
            self.choices += good
        else:
            self.choices += more.choices or [Choice("")] * self.missing


def _shorter(options: Mapping[str, Any], trouble: Trouble) -> Mapping[str, Any]:
    new = options.get("max_tokens")
    fewer = trouble.context.fewer(new) if trouble.context and isinstance(new, int) else None
    if fewer is None:
        raise trouble
    return {**options, "max_tokens": fewer}
