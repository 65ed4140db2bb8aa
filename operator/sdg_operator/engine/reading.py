"""How a block of a pipeline reads the answers that it asked for; its client needs to know."""

from collections.abc import Callable, Collection
from dataclasses import dataclass


def _nothing(_text: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the block that asks reads its answers."""

    marks: Collection[str] = ()
    """Its own marks, in lower case: they are no thinking."""
    of_cut: Callable[[str], str] = _nothing
    """What can be used of an answer that ended before it was whole."""
