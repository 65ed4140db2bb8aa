"""Where the teacher is and how long to bear with it, as the engine contract's environment says. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from sdg_operator.engine import contract
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure

DEFAULT_PATIENCE: Final = 900.0
DEFAULT_TIMEOUT: Final = 600.0


@dataclass(frozen=True, slots=True)
class TeacherAccess:
    """Where the teacher is and how long to bear with it."""

    url: URL
    token_file: Path | None = None
    ca_file: Path | None = None
    patience: float = DEFAULT_PATIENCE
    """Seconds without any good answer after which the engine gives up: longer than a served model needs to restart."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for one answer."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "TeacherAccess":
        """Read the contract's variables. Raises EngineFailure (InvalidSettings)."""
        text = environment.get(contract.TEACHER_URL_ENV, "").strip()
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in {"http", "https"} or not _is_host(url.host) or url.user or url.query_string:
            raise invalid_settings(
                f"{contract.TEACHER_URL_ENV} must be http(s)://host[:port]/path, for example https://host/v1"
            )
        token, ca = environment.get(contract.TEACHER_TOKEN_FILE_ENV), environment.get(contract.TEACHER_CA_FILE_ENV)
        try:
            return cls(
                url=url,
                token_file=Path(token) if token else None,
                ca_file=Path(ca) if ca else None,
                patience=float(environment.get(contract.TEACHER_PATIENCE_ENV, DEFAULT_PATIENCE)),
                timeout=float(environment.get(contract.TEACHER_TIMEOUT_ENV, DEFAULT_TIMEOUT)),
            )
        except ValueError as error:
            names = f"{contract.TEACHER_PATIENCE_ENV} and {contract.TEACHER_TIMEOUT_ENV}"
            raise invalid_settings(f"{names} must be numbers of seconds") from error

    @property
    def bases(self) -> tuple[URL, ...]:
        """The base addresses that may be meant, the likeliest first: people leave ``/v1`` out, double it, or give the
        address of the requests themselves."""
        parts = [part for part in self.url.raw_path.split("/") if part]
        for end in (["chat", "completions"], ["completions"]):
            if parts[-len(end) :] == end:
                parts = parts[: -len(end)]
                break
        other = parts[:-1] if parts[-1:] == ["v1"] else [*parts, "v1"]
        return tuple(self.url.with_path("/" + "/".join(each), encoded=True) for each in (parts, other))


def _is_host(host: str | None) -> bool:
    """Whether a host can be looked up at all: Python's own look-up ends in a traceback for some."""
    try:
        return bool(host and host.encode("idna"))
    except UnicodeError:
        return False


def invalid_settings(message: str) -> EngineFailure:
    return EngineFailure(ExitCode.INVALID_INPUT, "InvalidSettings", message)
