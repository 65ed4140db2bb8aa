"""What the API server can answer instead of what was asked for."""


class KubernetesError(Exception):
    """A call did not do what was asked.

    `message` is the API server's own sentence (bounded), fit for a user; `status` its HTTP status, 0 if there was none.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        """The `reason` of the Status object, for example ``AlreadyExists``; empty where there was none."""


class NotFound(KubernetesError):
    """404: the object, its namespace or its kind is not there."""


class Conflict(KubernetesError):
    """409: the object is another one, or a newer one, than the precondition says. Look again."""


class AlreadyExists(Conflict):
    """409 on create: the name is taken. Look whose it is."""


class Forbidden(KubernetesError):
    """401 or 403: rights, quota, or an admission plug-in. The message says which."""

    @property
    def quota(self) -> bool:
        return "exceeded quota" in self.message


class Refused(KubernetesError):
    """400, 405, 413, 415 or 422: the API server or an admission webhook does not take this object."""


class Unavailable(KubernetesError):
    """No answer, too late an answer, 410 in mid-list, 429 or 5xx. Trying again later may help."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after
        """Seconds that the server asked to wait, if it did."""

    @property
    def webhook(self) -> bool:
        """Whether it is an admission webhook that does not answer, not the API server."""
        return "failed calling webhook" in self.message
