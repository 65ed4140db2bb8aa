"""When a user's endpoint is left alone."""

from dataclasses import dataclass, field
from typing import Final

_FAILURES_TO_OPEN: Final = 3
_FIRST_PAUSE_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Circuit:
    """Whether an endpoint is worth a call, by its latest answers: after some silence in a row it gets longer pauses."""

    failures: int = 0
    pause: float = _FIRST_PAUSE_SECONDS
    paused_until: float = 0.0
    """Monotonic time until which it is left alone."""

    def check(self, now: float) -> float:
        """Seconds until the next try; 0 if a call may be made. The one that may tries for all others."""
        if self.failures < _FAILURES_TO_OPEN:
            return 0.0
        if now < self.paused_until:
            return self.paused_until - now
        self.paused_until = now + self.pause
        return 0.0

    def succeeded(self) -> None:
        self.failures, self.pause, self.paused_until = 0, _FIRST_PAUSE_SECONDS, 0.0

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.failures == _FAILURES_TO_OPEN:
            self.paused_until = now + self.pause
        elif self.failures > _FAILURES_TO_OPEN:
            self.pause = min(self.pause * 2, _LONGEST_PAUSE_SECONDS)
            self.paused_until = now + self.pause


@dataclass(slots=True)
class SharedCircuit:
    """What several namespaces met at one endpoint: each need not find out by itself, at the cost of its own tries.

    Only silence counts, which no user can bring about at another's store, and only that of two namespaces or more.
    """

    circuit: Circuit = field(default_factory=Circuit)
    silent: set[str] = field(default_factory=set)
    """Namespaces that it did not answer since its last answer to any."""

    def check(self, now: float) -> float:
        """Seconds until the next try; 0 if a call may be made."""
        return self.circuit.check(now) if len(self.silent) > 1 else 0.0

    def answered(self) -> None:
        self.circuit.succeeded()
        self.silent.clear()

    def was_silent(self, namespace: str, now: float) -> None:
        self.circuit.failed(now)
        self.silent.add(namespace)
