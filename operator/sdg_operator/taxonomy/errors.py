"""The one exception of this package: the taxonomy, or what it points to, cannot be used."""

from sdg_operator.taxonomy.report import Problem, Reason


class CheckError(Exception):
    """Says what is wrong, where, and what to do.

    Raised for what ends a check. What a taxonomy's author can mend file by file is collected as `Problem` instead, so
    that one check names all of it.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        file: str = "",
        problems: tuple[Problem, ...] = (),
        detail: str = "",
        retriable: bool = False,
        root: str = "",
        ignored: int = 0,
    ) -> None:
        self.reason: Reason = reason
        self.message = f"{file}: {message}" if file else message
        self.problems = problems or ((Problem(file=file, message=message),) if file else ())
        self.detail = detail
        self.retriable = retriable
        self.root = root
        self.ignored = ignored
        self.revision = ""
        """ETag or commit that was read, where the source could be read that far."""
        super().__init__(self.message)
