"""A teacher for conformance trials: it answers anything, fast or slowly, refuses or goes away, and counts."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mode = Literal["answers", "refuses", "away"]


class ConformanceTeacher(ThreadingHTTPServer):
    """An OpenAI-compatible server on a loopback port. `mode` and `delay` may be changed at any time."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, token: str, delay: float = 0.0, mode: Mode = "answers", away_after: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.delay = delay
        self.mode: Mode = mode
        self.away_after = away_after
        """Go away once so many requests were answered."""
        self.lock = threading.Lock()
        self.asked = 0
        self.requests = 0
        self.in_flight = 0
        self.most_in_flight = 0
        """Choices of several requests: a single one with more than the bound may go alone."""
        self.answered: list[str] = []
        """Prompts, in the order of their answers."""
        self.wrong_tokens = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextmanager
    def asking(self, choices: int) -> Iterator[None]:
        with self.lock:
            self.asked += 1
            self.requests += 1
            self.in_flight += choices
            if self.requests > 1:
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
            if self.away_after is not None and self.asked > self.away_after:
                self.mode = "away"
        try:
            yield
        finally:
            with self.lock:
                self.requests -= 1
                self.in_flight -= choices

    @contextmanager
    def running(self) -> Iterator["ConformanceTeacher"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Say nothing of an engine that hangs up: being killed is part of the trials."""


class _Handler(BaseHTTPRequestHandler):
    server: ConformanceTeacher
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "teacher", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        prompt = body.get("prompt", body.get("messages"))
        prompts = prompt if isinstance(prompt, list) and "messages" not in body else [prompt]
        choices = int(body.get("n") or 1)
        teacher = self.server
        status: int = 401
        answer: dict[str, Any] = {"error": {"message": "no such token"}}
        with teacher.asking(choices * len(prompts)):
            if self.headers.get("Authorization") != f"Bearer {teacher.token}":
                teacher.wrong_tokens += 1
            elif teacher.mode == "away":
                self.close_connection = True
                return
            elif teacher.mode == "answers":
                time.sleep(teacher.delay)
                texts = [_text(each, choice) for each in prompts for choice in range(choices)]
                status, answer = 200, {"choices": [_choice(self.path, i, text) for i, text in enumerate(texts)]}
        # Not before it counts as answered: the next request may be here as soon as the engine reads this.
        self._send(status, answer)
        if status == 200:
            with teacher.lock:
                teacher.answered += [json.dumps(each) for each in prompts]

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _text(prompt: Any, choice: int) -> str:
    word = sha256(f"{prompt}/{choice}".encode(errors="replace")).hexdigest()[:12]
    return f"What is {word}? It is the word {word}."


def _choice(path: str, index: int, text: str) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": text}} if "chat" in path else {"text": text}
    return {"index": index, "finish_reason": "stop", **said}
