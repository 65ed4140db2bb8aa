"""A storage Secret, read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sdg_operator.storage.store import StorageRefused

CA_KEYS = ("ca.crt", "AWS_CA_BUNDLE")
_REQUIRED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_BUCKET")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A storage Secret: the data-connection keys of OpenShift AI and Open Data Hub."""

    access_key: str
    secret_key: str = field(repr=False)
    bucket: str
    endpoint: str | None = None
    region: str | None = None
    session_token: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    """PEM text."""

    @classmethod
    def from_secret(cls, data: Mapping[str, str]) -> "S3Settings":
        """Read the keys of a Secret; raises `StorageRefused` that names what is absent (SecretKeyMissing) or that the
        endpoint is no address (InvalidEndpoint)."""
        values = {key: value.strip() for key, value in data.items()}
        if missing := [key for key in _REQUIRED if not values.get(key)]:
            raise StorageRefused("SecretKeyMissing", f"the storage Secret has no {' and no '.join(missing)}")
        return cls(
            access_key=values["AWS_ACCESS_KEY_ID"],
            secret_key=values["AWS_SECRET_ACCESS_KEY"],
            bucket=values["AWS_S3_BUCKET"],
            endpoint=_endpoint(values.get("AWS_S3_ENDPOINT")),
            region=values.get("AWS_DEFAULT_REGION") or None,
            session_token=values.get("AWS_SESSION_TOKEN") or None,
            ca_bundle=next((values[key] for key in CA_KEYS if values.get(key)), None),
        )

    @classmethod
    def from_folder(cls, folder: Path) -> "S3Settings":
        """Read a Secret that is mounted as files."""
        keys = (*_REQUIRED, "AWS_S3_ENDPOINT", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", *CA_KEYS)
        return cls.from_secret(
            {key: (folder / key).read_text(errors="replace") for key in keys if (folder / key).is_file()}
        )


def _endpoint(text: str | None) -> str | None:
    """An address that can be asked for. Its text is not repeated: it may hold a password."""
    if not text:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 443) > 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        usable = False
    if not usable:
        raise StorageRefused(
            "InvalidEndpoint",
            "AWS_S3_ENDPOINT in the storage Secret is no http(s) address, as https://s3.example.com:9000 is",
        )
    return text
