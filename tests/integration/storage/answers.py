"""Faulty stores: a server on loopback that gives S3 requests whatever answer a test wants. Named fakes."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

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
    says_length: bool = True

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        if not self.code:
            return b""
        return f"<Error><Code>{self.code}</Code><Message>{BODY_SECRET}</Message></Error>".encode()


@dataclass
class Asked:
    """A request as the store got it."""

    method: str
    """``LIST`` for listings."""
    path: str
    """Decoded, with the bucket where it is in the path."""
    query: dict[str, str]
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes


Script = Callable[[Asked], Answer]


@contextmanager
def faulty_store(answers: Script | Mapping[str, Answer]) -> Iterator[str]:
    """Serve `answers`, given by method (``LIST`` for listings) or by a function, until the block ends; yields the
    endpoint."""
    script: Script = answers if callable(answers) else lambda asked: answers[asked.method]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            listing = self.command == "GET" and "list-type" in query
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked("LIST" if listing else self.command, unquote(parts.path), query, headers, body)
            answer = script(asked)
            content = answer.content()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.says_length:
                self.send_header("Content-Length", str(len(content)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: answer.cut_after])
            if answer.cut_after is not None or not answer.says_length:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

        def handle_expect_100(self) -> bool:
            expected = super().handle_expect_100()
            self.wfile.flush()
            return expected

        def send_response(self, code: int, message: str | None = None) -> None:
            """Without a date, which a test may want to give itself."""
            self.send_response_only(code, message)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(*keys: str, token: str | None = None, truncated: bool | None = None, size: int = 1) -> Answer:
    """A page of a listing; it says that there is more where it names a token."""
    more = token is not None if truncated is None else truncated
    items = "".join(f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size></Contents>" for key in keys)
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token is not None else ""
    text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{following}{items}</ListBucketResult>"
    return Answer(200, body=text.encode())


@dataclass
class KeptObjects:
    """A store in memory that keeps what it is given, without multipart; a test gives it its fault by overriding."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        key = asked.path.lstrip("/").partition("/")[2]
        answer: Answer = getattr(self, asked.method.lower())(key, asked)
        return answer

    def put(self, key: str, asked: Asked) -> Answer:
        self.objects[key] = asked.body
        return Answer(200, headers={"ETag": '"e"'})

    def get(self, key: str, _: Asked) -> Answer:
        if key not in self.objects:
            return Answer(404, "NoSuchKey")
        return Answer(200, body=self.objects[key], headers={"ETag": '"e"'})

    def head(self, key: str, asked: Asked) -> Answer:
        return self.get(key, asked)

    def list(self, _: str, asked: Asked) -> Answer:
        return page(*sorted(key for key in self.objects if key.startswith(asked.query["prefix"])))

    def delete(self, key: str, _: Asked) -> Answer:
        self.objects.pop(key, None)
        return Answer(204)
