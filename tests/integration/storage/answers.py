"""A faulty store: a server on loopback that gives S3 requests whatever answer a test wants. A named fake."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY_SECRET = "text-of-the-store"


@dataclass
class Answer:
    status: int
    code: str = ""
    """S3's error code; none gives an empty body."""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        if not self.code:
            return b""
        return f"<Error><Code>{self.code}</Code><Message>{BODY_SECRET}</Message></Error>".encode()


@contextmanager
def faulty_store(answers: dict[str, Answer]) -> Iterator[str]:
    """Serve `answers` by method (``LIST`` for listings) until the block ends; yields the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            listing = self.command == "GET" and "list-type" in self.path
            answer = answers["LIST" if listing else self.command]
            content = answer.content()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: answer.cut_after])
            if answer.cut_after is not None:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
