"""Asks an http(s) Git server for a repository before Git does: follows redirects safely, and learns why one fails.

Git would follow a redirect to any address, with the credentials it had; it is told not to follow any. Here each step
is checked like the URL that the taxonomy names: scheme, address, and its own credentials or none.
"""

import base64
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urljoin, urlsplit

from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl, credential_for
from sdg_operator.taxonomy.proxy import Proxy, proxy_for
from sdg_operator.taxonomy.request import GitCredential
from sdg_operator.taxonomy.serveranswer import judge, no_answer

_SERVICE: Final = "/info/refs?service=git-upload-pack"
_REDIRECTS: Final = 5
_BEGIN: Final = 4096
_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository that can be fetched now: its final URL, where to connect to, and what to show."""

    url: GitUrl
    addresses: tuple[str, ...]
    """Checked addresses; empty when a proxy connects."""
    authorization: str | None = None
    """Value of the ``Authorization`` header."""
    credential: GitCredential | None = None
    proxy: Proxy | None = None
    object_format: str = "sha1"
    """How its objects are named."""
    filters: bool = False
    """Whether it can leave out files or folders of what it sends."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    location: str
    begin: bytes
    """Of its body: what the server can do."""


def locate(
    url: GitUrl, credentials: Iterable[GitCredential], guard: AddressGuard, context: ssl.SSLContext, seconds: float
) -> Remote:
    """Find where an https (or, where allowed, http) repository is, redirects included.

    Raises `CheckError` with reason CloneFailed or SecretIncomplete, in words that say what to mend.
    """
    credentials = tuple(credentials)
    for _ in range(_REDIRECTS + 1):
        remote = _remote(url, credentials, guard)
        answer = _ask(remote, context, min(seconds, _SECONDS))
        if answer.status in {301, 302, 303, 307, 308}:
            url = _redirected(url, answer.location, guard)
            continue
        judge(url, remote.credential, answer.status, answer.content_type)
        object_format = "sha256" if b"object-format=sha256" in answer.begin else "sha1"
        filters = re.search(rb"^.{4}fetch=.*\bfilter\b", answer.begin, re.MULTILINE) is not None
        return replace(remote, object_format=object_format, filters=filters)
    raise CheckError("CloneFailed", f"more than {_REDIRECTS} redirects")


def _remote(url: GitUrl, credentials: tuple[GitCredential, ...], guard: AddressGuard) -> Remote:
    credential = credential_for(url, credentials)
    authorization = _authorization(credential) if credential else None
    proxy = proxy_for(url)
    if proxy and url.scheme == "http":
        message = (
            f"{url} is plain http, and a proxy is set for it: nothing would tell whom the proxy reaches; "
            f"use https://, or let the administrator add {url.host} to NO_PROXY (proxy.noProxy of the settings)"
        )
        raise CheckError("CloneFailed", message)
    if proxy is None:
        return Remote(url, tuple(guard.admit(url)), authorization, credential)
    try:  # The proxy resolves the name by itself; what this side can see of it is checked all the same.
        guard.admit(url)
    except CheckError as error:
        if not error.retriable:
            raise
    return Remote(url, (), authorization, credential, proxy)


def _authorization(credential: GitCredential) -> str:
    folder = Path(credential.folder)
    try:
        password = (folder / "password").read_text("utf-8").strip()
        user_file = folder / "username"
        user = user_file.read_text("utf-8").strip() if user_file.exists() else "git"
    except OSError as error:
        message = f"the credentials for {credential.url_prefix} have no key `password` (type kubernetes.io/basic-auth)"
        raise CheckError("SecretIncomplete", message) from error
    except UnicodeDecodeError as error:
        message = f"the credentials for {credential.url_prefix} have a key that is not text; write it as UTF-8"
        raise CheckError("SecretIncomplete", message) from error
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to a checked address; with https, the certificate must still be the host's."""

    def __init__(self, remote: Remote, context: ssl.SSLContext, seconds: float) -> None:
        super().__init__(remote.url.host, remote.url.port, timeout=seconds)
        self._addresses = remote.addresses
        self._tls = context if remote.url.scheme == "https" else None

    def connect(self) -> None:
        self.sock = self._first_that_answers()
        if self._tls:
            # The handshake comes after `sock` is set, so that a server which drips it can be cut off.
            tls = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = tls
            tls.do_handshake()

    def _first_that_answers(self) -> socket.socket:
        """Try the addresses in turn; the time is for all of them together, however many the name has."""
        problem: OSError = OSError("no address")
        end = monotonic() + (self.timeout or 0)
        for address in self._addresses:
            if (left := end - monotonic()) <= 0:
                break
            try:
                return socket.create_connection((address, self.port), left)
            except OSError as error:
                problem = error
        raise problem


def _ask(remote: Remote, context: ssl.SSLContext, seconds: float) -> _Answer:
    """Send the first request of a fetch; only the answer's head is read, and what the server can do."""
    url = remote.url
    connection: http.client.HTTPConnection
    if remote.proxy:
        connection = http.client.HTTPSConnection(remote.proxy.host, remote.proxy.port, timeout=seconds, context=context)
        connection.set_tunnel(url.host, url.port, headers=remote.proxy.headers)
    else:
        connection = _PinnedConnection(remote, context, seconds)
    headers = {"User-Agent": "git/2 (sdg-operator)", "Accept": "*/*", "Git-Protocol": "version=2"}
    if remote.authorization:
        headers["Authorization"] = remote.authorization
    # Time-outs of sockets are for one read each; a server could drip bytes for hours.
    watchdog = threading.Timer(seconds, lambda: _cut_off(connection))
    watchdog.start()
    try:
        connection.request("GET", url.path.rstrip("/") + _SERVICE, headers=headers)
        answer = connection.getresponse()
        begin = answer.read(_BEGIN) if answer.status == 200 else b""
        return _Answer(answer.status, answer.getheader("Content-Type", ""), answer.getheader("Location", ""), begin)
    except (OSError, http.client.HTTPException) as error:
        raise no_answer(url, error) from error
    finally:
        watchdog.cancel()
        connection.close()


def _cut_off(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):  # it may have ended just now
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _redirected(url: GitUrl, location: str, guard: AddressGuard) -> GitUrl:
    try:
        target = urlsplit(urljoin(str(url.at(url.path.rstrip("/") + _SERVICE)), location))
    except ValueError as error:
        raise CheckError("CloneFailed", f"{url} redirects to something that is not a URL") from error
    path, query = _SERVICE.split("?")
    if not target.path.endswith(path) or target.query != query:
        message = f"{url} redirects to something that is not a Git repository (a login page?)"
        raise CheckError("CloneFailed", message)
    place = target._replace(path=target.path.removesuffix(path), query="").geturl()
    try:
        found = GitUrl.parse(place, guard.network.allowed_hosts)
    except CheckError as error:
        raise CheckError("CloneFailed", f"{url} redirects to a place that is refused: {error.message}") from error
    if found.scheme not in {"https", url.scheme}:
        follows = "https:// is" if url.scheme == "https" else "https:// and allowed http:// are"
        message = f"{url} redirects to a place that is refused: from {url.scheme}:// only {follows} followed"
        raise CheckError("CloneFailed", message)
    return found
