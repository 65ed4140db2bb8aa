"""The bound on the time of a whole check."""

from time import monotonic

from sdg_operator.taxonomy.errors import CheckError


class Deadline:
    """Time left for the whole check."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises `CheckError` with reason TimedOut when there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise CheckError("TimedOut", f"the check took more than {self._seconds:.0f} seconds", retriable=True)
        return left
