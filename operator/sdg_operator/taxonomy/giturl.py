"""URLs of Git repositories: what is accepted, and which credentials serve which. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from sdg_operator.taxonomy.allowedhost import plain_http
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.request import GitCredential

_PORTS: Final = {"https": 443, "ssh": 22, "http": 80}
_HOST: Final = re.compile(r"^(?!-)[A-Za-z0-9._-]{1,253}$|^[0-9A-Fa-f:.]+$")
_USER: Final = re.compile(r"^(?!-)[A-Za-z0-9._-]{1,64}$")
_SCP: Final = re.compile(r"^(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9._-]+):(?!/)(?P<path>.+)$")
_WITHOUT_SCHEME: Final = re.compile(r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/[A-Za-z0-9._~/-]+$")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LENGTH: Final = 1024


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A checked URL of a repository."""

    scheme: str
    host: str
    port: int
    path: str
    """Begins with ``/``."""
    user: str | None = None
    """For ssh only."""

    @classmethod
    def parse(cls, text: str, allowed_hosts: Iterable[str] = ()) -> "GitUrl":
        """Accept ``https://host[:port]/path``, ``ssh://[user@]host[:port]/path`` and ``user@host:path`` (ssh).

        ``http://`` is accepted for those of the allowed hosts that are written so. Raises `CheckError` with reason
        CloneFailed; the message never repeats a password.
        """
        if len(text) > _LENGTH or not text.isprintable() or not text.isascii() or " " in text:
            raise CheckError("CloneFailed", "the URL is too long, or has spaces or other than plain characters")
        if short := _SCP.match(text):
            text = f"ssh://{short['user']}@{short['host']}/{short['path']}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise CheckError("CloneFailed", "this is not a URL") from error
        if parts.scheme not in _PORTS:
            scheme = f"{parts.scheme}://" if parts.scheme else "without a scheme"
            meant = f": write https://{text}" if _WITHOUT_SCHEME.match(text) else ""
            raise CheckError("CloneFailed", f"a URL {scheme} is not accepted; use https:// or ssh://{meant}")
        if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
            message = "there are credentials in the URL; put them into a Secret and name it in spec.credentials"
            raise CheckError("CloneFailed", message)
        if parts.query or parts.fragment:
            raise CheckError("CloneFailed", "the URL has a query or a fragment; give the repository's own URL")
        if not parts.hostname or not _is_host(parts.hostname):
            raise CheckError("CloneFailed", "the URL names no host, or one with other than plain characters")
        if parts.username is not None and not _USER.match(parts.username):
            raise CheckError("CloneFailed", "the user name in the URL has other than plain characters")
        if any(unquote(part) in {".", ".."} or set(unquote(part)) & set("/\\") for part in parts.path.split("/")):
            raise CheckError("CloneFailed", "the URL's path has . or .. parts, encoded slashes or backslashes")
        if not parts.path.strip("/") or parts.path.startswith("/-"):
            raise CheckError("CloneFailed", "the URL names no repository")
        url = cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path, parts.username)
        if url.scheme == "http" and not plain_http(allowed_hosts, url.host, url.port):
            raise CheckError("CloneFailed", _refusal_of_plain_http(url))
        return url

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}{port}"

    def at(self, path: str) -> "GitUrl":
        return replace(self, path=path)


def _refusal_of_plain_http(url: GitUrl) -> str:
    host = url.origin
    return (
        f"a URL http:// is not accepted: use https://, or let the administrator list {host} in taxonomies.allowedHosts "
        f"of the settings (sdg taxonomy check: --allow-host {host})"
    )


def _is_host(name: str) -> bool:
    """A name of plain characters whose parts a resolver can ask for: none is empty or longer than 63 characters."""
    return bool(_HOST.match(name)) and all(0 < len(label) <= 63 for label in name.removesuffix(".").split("."))


def without_credentials(text: str) -> str:
    """Give a URL, accepted or not, as it may be shown."""
    scheme = _SCHEME.match(text)
    begin = scheme[0] if scheme else ""
    return begin + text[len(begin) :].rpartition("@")[2]


def credential_for(url: GitUrl, credentials: Iterable[GitCredential]) -> GitCredential | None:
    """Choose the credential whose prefix covers the URL, the longest one; None when there is none.

    A prefix ends at a ``/``: ``https://host/acme`` covers ``https://host/acme/x``, never ``https://host/acme-evil``.
    Nothing serves a URL ``http://``: whoever listens would have the password.
    """
    if url.scheme == "http":
        return None
    covering = [item for item in credentials if _covers(item.url_prefix, url)]
    return max(covering, key=lambda item: len(item.url_prefix), default=None)


def _covers(prefix: str, url: GitUrl) -> bool:
    parts = urlsplit(prefix)
    if parts.scheme not in _PORTS or (parts.hostname or "") != url.host:
        return False
    same_place = (parts.scheme, parts.port or _PORTS[parts.scheme]) == (url.scheme, url.port)
    same_user = parts.username is None or parts.username == url.user
    path = parts.path.rstrip("/")
    return same_place and same_user and (url.path == path or url.path.startswith(f"{path}/"))
