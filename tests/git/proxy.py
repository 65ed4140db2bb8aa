"""A real forward proxy, as companies have them between a cluster and the world: tunnels, and plain requests."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit


@dataclass
class TunnelProxy:
    """A running proxy that asks for credentials. It knows host names that nobody else does: `names`."""

    port: int
    names: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    """Target (HOST:PORT) and Proxy-Authorization of each tunnel or plain request."""


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[TunnelProxy]

    def do_CONNECT(self) -> None:
        self.proxy.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        if self.headers.get("Proxy-Authorization") is None:
            self.send_error(407)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((self.proxy.names.get(host, host), int(port)), 10) as server:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(server, self.connection), daemon=True)
            back.start()
            _copy(self.connection, server)
            back.join()

    def do_POST(self) -> None:
        """Pass a plain request on; its target is a whole URL."""
        target = urlsplit(self.path)
        self.proxy.seen.append((target.netloc, self.headers.get("Proxy-Authorization")))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Proxy-Authorization") is None:
            self.send_error(407)
            return
        host = target.hostname or ""
        server = HTTPConnection(self.proxy.names.get(host, host), target.port, timeout=10)
        passed = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
        server.request("POST", target.path, body, passed)
        answer = server.getresponse()
        content = answer.read()
        server.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def tunnel_proxy() -> Iterator[TunnelProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = TunnelProxy(int(server.server_address[1]))
    server.RequestHandlerClass = type("Handler", (_Handler,), {"proxy": proxy})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
