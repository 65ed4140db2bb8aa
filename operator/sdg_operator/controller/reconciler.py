"""What the shell (watch, queue, workers) asks of the code that knows a kind."""

from typing import Protocol

from sdg_operator.reconcile.names import Key
from sdg_operator.reconcile.plan import Again

__all__ = ["Again", "Key", "Reconciler", "Unreadable"]


class Unreadable(Exception):
    """The resource is none of this version: its CRD forbids that, but another version's may have allowed it."""


class Reconciler(Protocol):
    """Brings one resource a step further. One key is never worked on twice at once."""

    async def reconcile(self, key: Key) -> Again | None:
        """One pass: look, decide, act, report.

        The answer says when to look again even without an event; None leaves it to events and the resync. Raising
        anything means: the same key again, after a back-off that grows. A resource that is gone is None, not an error.
        """
