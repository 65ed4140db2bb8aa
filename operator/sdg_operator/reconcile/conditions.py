"""Conditions that move their lastTransitionTime only when their status changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sdg_operator.api.common import Condition
from sdg_operator.reconcile import clock

MESSAGE_LENGTH = 1024


def bounded(text: str, length: int = MESSAGE_LENGTH) -> str:
    """Cut a text from outside to what a status should carry."""
    return text if len(text) <= length else text[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class Said:
    """What a condition says, without when and about which generation."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def with_condition(conditions: Iterable[Condition], said: Said, generation: int, now: datetime) -> list[Condition]:
    """Return the conditions with one set, in the order in which they first appeared."""
    rest = list(conditions)
    old = find(rest, said.type)
    since = old.last_transition_time if old and old.status == said.status else clock.to_text(now)
    new = Condition(
        type=said.type,
        status=said.status,
        reason=said.reason,
        message=bounded(said.message),
        observed_generation=generation,
        last_transition_time=since,
    )
    return [new if c.type == said.type else c for c in rest] if old else [*rest, new]


def without(conditions: Iterable[Condition], kind: str) -> list[Condition]:
    return [c for c in conditions if c.type != kind]


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((c for c in conditions if c.type == kind), None)
