"""How the scripted teacher behaves: how fast it is, and how it fails when told to."""

import heapq
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tests.teacher.answers import digest


class Step(BaseModel):
    """What happens to the next requests for answers instead of a good answer."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["status", "raw", "null", "silence", "drop", "break", "say"] = "status"
    """``status``: answer with `status` and `headers`; ``raw``: 200 with the bytes of `text` (Latin-1); ``null``:
    choices without text; ``silence``: never answer; ``drop``: close the connection; ``break``: close it in mid-answer;
    ``say``: `text` as the text of every choice, with the good answer in place of ``{}``."""
    status: int = 500
    headers: dict[str, str] = {}
    text: str = "scripted failure"
    delay: float = 0.0
    """Seconds to wait before."""
    skip: int = 0
    """Answer well so many requests first."""
    finish: str = "stop"
    """Why the choices of ``say`` ended."""
    aside: str = ""
    """Of ``say``: thinking in a field of its own."""
    give: int | None = None
    """Of ``say``: only so many choices."""
    reverse: bool = False
    """Of ``say``: the last choice first; their indexes are right."""
    times: int = 1
    """For how many requests; -1 is for ever."""
    contains: str = ""
    """Only requests whose prompt has these words."""
    above: int = 0
    """Only requests for more choices than so many."""


class Pace(BaseModel):
    """How long choices take: lognormal, from a hash of the prompt, on a bounded number of slots served in order."""

    model_config = ConfigDict(frozen=True)

    median: float = 0.0
    """Seconds a choice; 0 answers at once."""
    sigma: float = 0.5
    slots: int = 256
    """Choices made at once; more wait their turn."""

    def seconds(self, prompt: str, choice: int) -> float:
        uniform = (digest(f"{prompt}/{choice}/pace") + 0.5) / 2**64
        return self.median * math.exp(self.sigma * NormalDist().inv_cdf(uniform))


class Slots:
    """The teacher's decoding slots. Works out when choices end without a timer for each."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._free = [0.0] * pace.slots
        self.busy_seconds = 0.0
        self._first: float | None = None
        self._last_start = 0.0

    def finish(self, prompts: Sequence[str], choices: int, now: float) -> float:
        """Take slots for all choices of a request that comes in at `now`; return when the last one ends."""
        last = now
        self._first = now if self._first is None else self._first
        for prompt in prompts:
            for choice in range(choices):
                seconds = self._pace.seconds(prompt, choice)
                start = max(now, self._free[0])
                heapq.heapreplace(self._free, start + seconds)
                self.busy_seconds += seconds
                self._last_start = max(self._last_start, start)
                last = max(last, start + seconds)
        return last

    def summary(self) -> dict[str, float]:
        """Return how busy the slots were: in all, and until the last choice began (then there is no more to begin)."""
        if self._first is None:
            return {}
        seconds = max(self._free) - self._first
        begun = self._last_start - self._first
        tail = sum(max(0.0, end - self._last_start) for end in self._free)
        return {
            "seconds": seconds,
            "busy": self.busy_seconds / (len(self._free) * seconds),
            "busyUntilLastBegan": (self.busy_seconds - tail) / (len(self._free) * begun) if begun > 0 else 0.0,
        }
