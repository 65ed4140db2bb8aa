"""Why an engine or a mix ends without its result: a class for the exit code, a reason and words for people."""

from sdg_operator.engine.contract import EngineError, ExitCode

MAX_MESSAGE = 1000
"""Characters of a message; longer ones are cut."""


class EngineFailure(Exception):
    """The whole run of this container ends with `code`."""

    def __init__(self, code: ExitCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = one_line(message)

    @property
    def error(self) -> EngineError:
        return EngineError(reason=self.reason, message=self.message)


class LeafFailure(Exception):
    """One leaf cannot be made, by its own fault; the others go on."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = one_line(message)


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return text that is safe in a record or a log: printable, one line, bounded."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    flat = " ".join(printable.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
