"""The project's Git server, with and without TLS, and what tests need: private repositories, redirects, bad manners."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hack.gitserver.certificates import Certificates
from hack.gitserver.server import GitHandler, GitServer, make_server


@dataclass
class Behaviour:
    """How a server answers; `seen` are the requests that it got: path and Authorization."""

    accounts: dict[str, str] = field(default_factory=dict)
    """Path prefix → ``user:password``."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Path prefix → where it is instead (a prefix too); the rest of the path is kept."""
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    """Path prefix → status, content type and body."""
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def authorizations(self, prefix: str) -> set[str | None]:
        return {authorization for path, authorization in self.seen if path.startswith(prefix)}


class _Handler(GitHandler):
    behaviour: ClassVar[Behaviour]

    def serve(self) -> None:
        authorization = self.headers.get("Authorization")
        self.behaviour.seen.append((self.path, authorization))
        for prefix, target in self.behaviour.redirects.items():
            if self.path.startswith(prefix):
                self._reply(302, {"Location": target + self.path.removeprefix(prefix)})
                return
        for prefix, (status, content_type, body) in self.behaviour.answers.items():
            if self.path.startswith(prefix):
                self._reply(status, {"Content-Type": content_type}, body)
                return
        for prefix, account in self.behaviour.accounts.items():
            wanted = "Basic " + base64.b64encode(account.encode()).decode()
            if self.path.startswith(prefix) and authorization != wanted:
                self._reply(401, {"WWW-Authenticate": 'Basic realm="git"'})
                return
        super().serve()

    def _reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@dataclass
class HttpGitServer:
    """A running server; its repositories are the folders ``<name>.git`` of `root`."""

    root: Path
    behaviour: Behaviour
    server: GitServer
    scheme: ClassVar[str] = "http"

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str, host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}/{path}"


@dataclass
class HttpsGitServer(HttpGitServer):
    certificates: Certificates
    scheme: ClassVar[str] = "https"


@contextmanager
def https_git_server(root: Path, certificates: Certificates, host: str = "127.0.0.1") -> Iterator[HttpsGitServer]:
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = make_server(root, (host, 0), certificates.certificate, certificates.key, handler)
    with _serving(server):
        yield HttpsGitServer(root, behaviour, server, certificates)


@contextmanager
def http_git_server(root: Path) -> Iterator[HttpGitServer]:
    """Serve without TLS, as Git servers inside clusters do."""
    behaviour = Behaviour()
    server = GitServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"behaviour": behaviour, "root": root}))
    with _serving(server):
        yield HttpGitServer(root, behaviour, server)


@contextmanager
def _serving(server: GitServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
