"""Serves bare repositories over https by ``git http-backend``. One file and no packages, so that a ConfigMap holds it.

``python server.py --documents FOLDER --root ROOT --certificate PEM --key PEM`` first makes a bare repository
``ROOT/<name>.git`` of every folder in FOLDER, with one commit whose name depends on the files alone.
"""

import argparse
import base64
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

_WHO: Final = b"sdg-operator <documents@sdg-operator.io> 1767225600 +0000"
_MAX_BODY: Final = 16 << 20


def make_repository(folder: Path, bare: Path) -> str:
    """Make a bare repository with one commit of a folder's files, and give the commit: the same for the same files."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(bare.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    stream = b"commit refs/heads/main\ncommitter " + _WHO + b"\ndata 10\nDocuments\n"
    for name, content in _files(folder):
        stream += b"M 100644 inline %b\ndata %d\n%b\n" % (name.encode(), len(content), content)
    for arguments in (
        ["init", "--quiet", "--bare", "--initial-branch=main", str(bare)],
        ["-C", str(bare), "fast-import", "--quiet"],
    ):
        subprocess.run(["git", *arguments], input=stream, env=environment, check=True)
    command = ["git", "-C", str(bare), "rev-parse", "main"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files by name. A mounted ConfigMap has its files in a folder ``..data``, and links to them."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith("..") for part in relative.parts):
            yield relative.as_posix(), path.read_bytes()


class GitHandler(BaseHTTPRequestHandler):
    """Hands each request to ``git http-backend`` (CGI, RFC 3875)."""

    root: Path
    account: str | None = None
    """``user:password`` that every request for a repository must have."""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, b"ok\n")
        else:
            self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        """Answer a request for a repository."""
        wanted = self.account and f"Basic {base64.b64encode(self.account.encode()).decode()}"
        if wanted and self.headers.get("Authorization") != wanted:
            self._answer(401, b"who are you?\n", {"WWW-Authenticate": 'Basic realm="git"'})
            return
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self._answer(413, b"too large\n")
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        body = self.rfile.read(length)
        command = ["git", "http-backend"]
        result = subprocess.run(command, input=body, env=environment, capture_output=True, check=False)
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status if head else 500, content, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class GitServer(ThreadingHTTPServer):
    """Serves each connection in a thread, and says nothing when a client goes away."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[GitHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report defects, not a connection that broke or a client that does not trust the certificate."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(
    root: Path, address: tuple[str, int], certificate: Path, key: Path, handler: type[GitHandler] = GitHandler
) -> GitServer:
    """Make the server, listening but not yet serving."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = GitServer(address, type("Handler", (handler,), {"root": root}))
    # The handshake is done by the thread of the connection: one silent client must not stop the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main() -> None:
    """Make the repositories and serve them until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, required=True, help="each folder in it becomes a repository")
    parser.add_argument("--root", type=Path, required=True, help="where the bare repositories are made")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--account", help="user:password that every request must have")
    given = parser.parse_args()
    for folder in sorted(path for path in given.documents.iterdir() if path.is_dir() and not path.name.startswith(".")):
        commit = make_repository(folder, given.root / f"{folder.name}.git")
        print(f"{folder.name}.git main {commit}", flush=True)
    handler = type("Handler", (GitHandler,), {"account": given.account})
    make_server(given.root, ("", given.port), given.certificate, given.key, handler).serve_forever()


if __name__ == "__main__":
    main()
