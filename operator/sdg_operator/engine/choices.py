"""Get all choices for one prompt from a teacher that may give fewer, none, or only some at a time.

How often a request is sent again is not decided here: `ask` does that, and raises Trouble when there is no more hope.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sdg_operator.engine.trouble import Kind, Trouble
from sdg_operator.engine.wire import Answer, Choice

CUTS: Final[frozenset[Kind]] = frozenset({"silent", "cut"})
"""A request for fewer choices may be done before whoever waits for it loses patience."""
BLANK_ROUNDS: Final = 2
"""How often choices without text are asked for again."""

_OF_N: Final = re.compile(r"\bn\b|best_of|choices|completions|sequences|candidates", re.IGNORECASE)

Ask = Callable[[Mapping[str, Any], int], Awaitable[Answer]]
"""Sends a request with these options for so many choices. Raises Trouble."""
Tally = Counter[str]
"""Counts by the names of `AnswerCounts`."""


@dataclass(slots=True)
class Width:
    """How many choices of one prompt a request may ask for, as far as the teacher has shown it. Shared by all."""

    most: int = 1 << 20
    suspected: str = ""
    """What the teacher said when it refused several choices last: of one prompt, or of all?"""
    _cured: int = 0
    """Prompts that were answered one choice at a time after that."""

    def learnt(self, most: int, sizes: Sequence[int], answers: Sequence[Answer]) -> int:
        """Take note of what passed; return how many to ask for in this prompt's next requests."""
        given = max((len(answer.choices) for answer in answers), default=0)
        if len(sizes) == 1 and 0 < given < sizes[0]:
            self.most = min(self.most, given)  # it does not know `n`, or has a bound of its own
            return given
        if most == 1 and self.suspected:
            self._cured += 1
            if _OF_N.search(self.suspected) or self._cured > 1:
                self.most = 1
        elif most < sum(sizes):
            self.most = min(self.most, most)  # it helped: others need not find out
        return most


async def all_choices(ask: Ask, options: Mapping[str, Any], wanted: int, width: Width, tally: Tally) -> Answer:
    """Return an answer with exactly `wanted` choices; those that the teacher does not give are empty.

    Servers that know no `n` give one at a time, or refuse to give more: they are asked for one at a time, for all at
    once. Raises Trouble.
    """
    got = _Gathered(wanted)
    most = min(wanted, width.most)
    while got.missing:
        sizes = [min(most, got.missing - begin) for begin in range(0, got.missing, most)]
        requests = (ask(got.varied(options, most * number), n) for number, n in enumerate(sizes))
        ended = await asyncio.gather(*requests, return_exceptions=True)
        answers = [answer for answer in ended if isinstance(answer, Answer)]
        got.take(answers)
        failed = next((error for error in ended if isinstance(error, BaseException)), None)
        if failed is None:
            most = width.learnt(most, sizes, answers)
        elif not isinstance(failed, Trouble):
            raise failed
        elif failed.kind == "prompt" and most > 1:
            most, width.suspected = 1, failed.message
        elif failed.kind in CUTS and most > 1:
            most = -(-most // 2)
            tally["shortened"] += 1
        elif failed.kind == "context":
            options = _shorter(options, failed)
            tally["shortened"] += 1
        else:
            raise failed
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

    def varied(self, options: Mapping[str, Any], ahead: int) -> Mapping[str, Any]:
        """The same seed would give the same text again."""
        if options.get("seed") is None:
            return options
        return {**options, "seed": options["seed"] + len(self.choices) + ahead}

    def take(self, answers: Sequence[Answer]) -> None:
        """Keep what has text; keep the rest too, once it was asked for again often enough."""
        self.prompt_tokens += sum(answer.prompt_tokens for answer in answers)
        self.completion_tokens += sum(answer.completion_tokens for answer in answers)
        choices = [choice for answer in answers for choice in answer.choices]
        good = [choice for choice in choices if not choice.blank]
        if answers and (len(good) < len(choices) or not choices):
            self._blank_rounds += 1
        if self._blank_rounds <= BLANK_ROUNDS:
            self.choices += good
        else:
            self.choices += choices or [Choice("")] * self.missing


def _shorter(options: Mapping[str, Any], trouble: Trouble) -> Mapping[str, Any]:
    new = options.get("max_tokens")
    fewer = trouble.context.fewer(new) if trouble.context and isinstance(new, int) else None
    if fewer is None:
        raise trouble
    return {**options, "max_tokens": fewer}
