"""Times as the API writes them."""

from datetime import UTC, datetime, timedelta


def to_text(when: datetime) -> str:
    """RFC 3339 in UTC, to the second, as in every Kubernetes object."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str | None) -> datetime | None:
    """Read RFC 3339; None where there is none or it cannot be read (a hostile edit of a status)."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def seconds_since(text: str | None, now: datetime) -> float:
    """Seconds from then to now; 0 where then is unknown or lies ahead (a clock that was set back)."""
    then = from_text(text)
    return max(0.0, (now - then).total_seconds()) if then else 0.0


def seconds_until(text: str | None, now: datetime, longest: float) -> float:
    """Seconds from now to then; 0 where then is unknown or past, or further away than it can be (a clock that was set
    back)."""
    then = from_text(text)
    left = max(0.0, (then - now).total_seconds()) if then else 0.0
    return left if left <= longest else 0.0


def not_ahead(text: str | None, now: datetime) -> str | None:
    """A time that lies in the past as it is; None where there is none, or it lies ahead (a clock that was set back)."""
    then = from_text(text)
    return text if then and then <= now else None


def after(now: datetime, seconds: float) -> str:
    return to_text(now + timedelta(seconds=seconds))
