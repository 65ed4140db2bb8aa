"""Ask the teacher: an OpenAI-compatible server that may be slow, busy, away for a while, or refuse.

One thread runs an event loop for all requests, so the state here needs no locks; batches ask from threads of their own
and wait. Each prompt is a request of its own: servers without list prompts work too, an answer is not held back by
another's, and a failed request costs one prompt.
"""

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import aiohttp
from yarl import URL

from sdg_operator.engine import contract
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure
from sdg_operator.engine.limiter import Limiter
from sdg_operator.engine.wire import PATHS, Answer, Api, Trouble, parse, refusal, without

log = logging.getLogger(__name__)

DEFAULT_PATIENCE: Final = 900.0
DEFAULT_TIMEOUT: Final = 600.0
_CONNECT_SECONDS: Final = 15
_MAX_BACKOFF_SECONDS: Final = 30.0
_MAX_ANSWER_BYTES: Final = 64 << 20
_MAX_TRIES: Final = 10
"""Tries for one prompt while the teacher answers others well; then that prompt is given up. Being told to come again
later (429, 503) is no try: a busy teacher costs time, never samples."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class TeacherAccess:
    """Where the teacher is and how long to bear with it."""

    url: URL
    token_file: Path | None = None
    ca_file: Path | None = None
    patience: float = DEFAULT_PATIENCE
    """Seconds without any good answer after which the engine gives up: longer than a served model needs to restart."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for one answer."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "TeacherAccess":
        """Read the contract's variables. Raises EngineFailure (InvalidSettings)."""
        text = environment.get(contract.TEACHER_URL_ENV, "")
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in {"http", "https"} or not url.host or url.user or url.query_string:
            raise _invalid(
                f"{contract.TEACHER_URL_ENV} must be http(s)://host[:port]/path, for example https://host/v1"
            )
        token, ca = environment.get(contract.TEACHER_TOKEN_FILE_ENV), environment.get(contract.TEACHER_CA_FILE_ENV)
        try:
            return cls(
                url=url,
                token_file=Path(token) if token else None,
                ca_file=Path(ca) if ca else None,
                patience=float(environment.get(contract.TEACHER_PATIENCE_ENV, DEFAULT_PATIENCE)),
                timeout=float(environment.get(contract.TEACHER_TIMEOUT_ENV, DEFAULT_TIMEOUT)),
            )
        except ValueError as error:
            names = f"{contract.TEACHER_PATIENCE_ENV} and {contract.TEACHER_TIMEOUT_ENV}"
            raise _invalid(f"{names} must be numbers of seconds") from error


def _invalid(message: str) -> EngineFailure:
    return EngineFailure(ExitCode.INVALID_INPUT, "InvalidSettings", message)


class Stopped(BaseException):
    """The run is ending; whoever waits for an answer goes home. Not an Exception: no block may swallow it."""


class Teacher:
    """Use as a context manager. `ask` may be called from any thread."""

    def __init__(self, access: TeacherAccess, model: str, bound: int) -> None:
        self._access = access
        self._model = model
        self._limiter = Limiter(bound, time.monotonic)
        self._api: Api = "completions"
        self._one_by_one = False
        """The teacher refuses to give several choices for a prompt at once."""
        self._worked = False
        self._trouble_since: float | None = None
        self._answered_at = float("-inf")
        self._resume_at = 0.0
        self._failure: EngineFailure | None = None
        self._stopping = False
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self._session: aiohttp.ClientSession
        self.last_complaint = ""
        """What the teacher said to the last prompt it would not answer."""

    def __enter__(self) -> "Teacher":
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._run(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def api(self) -> Api:
        return self._api

    @property
    def failure(self) -> EngineFailure | None:
        """Why every further `ask` raises Stopped; None while the teacher is usable or the run was stopped."""
        return self._failure

    @property
    def limit(self) -> int:
        return self._limiter.limit

    def stop(self) -> None:
        """Let everyone who waits for an answer raise Stopped. May be called from a signal handler's thread."""
        self._loop.call_soon_threadsafe(self._cancel_all)

    def connect(self) -> None:
        """Send the run's first request, of one token: it tells whether the teacher takes plain prompts or only chat.

        A refusal ends the run at once. Raises EngineFailure.
        """
        try:
            self._run(self._connect())
        except CancelledError:
            raise self._failure or Stopped from None

    def ask(
        self, api: Api, inputs: Sequence[Any], options: Mapping[str, Any], done: Callable[[], None]
    ) -> list[Answer]:
        """Return an answer for each prompt (or list of chat messages), in order; `done` is called after each.

        A prompt that the teacher will not answer gets empty texts. Raises Stopped.
        """
        try:
            return self._run(self._ask(api, inputs, options, done))
        except (CancelledError, EngineFailure):
            raise Stopped from None  # `failure` says why

    def _run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _open(self) -> None:
        tls = None
        if self._access.ca_file is not None:
            try:
                tls = ssl.create_default_context(cafile=str(self._access.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise _invalid(f"the teacher's CA file cannot be used: {error}") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls if tls is not None else True),
            timeout=aiohttp.ClientTimeout(total=self._access.timeout, sock_connect=_CONNECT_SECONDS),
            trust_env=True,
        )

    def _cancel_all(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    async def _connect(self) -> None:
        options = {"max_tokens": 1, "temperature": 0}
        try:
            await self._ask("completions", ["Hello"], options, _nothing)
        except Trouble as no_completions:
            # Servers for chat alone answer 404, 405 or 400 to plain prompts, and so do servers without this model.
            log.info("no plain completions (%s), trying chat", no_completions.message)
            try:
                await self._ask("chat", [[{"role": "user", "content": "Hello"}]], options, _nothing)
            except Trouble:
                raise self._fail(ExitCode.TEACHER_REFUSED, "TeacherRefused", no_completions.message) from None
            self._api = "chat"

    async def _ask(
        self, api: Api, inputs: Sequence[Any], options: Mapping[str, Any], done: Callable[[], None]
    ) -> list[Answer]:
        async def one(prompt: Any) -> Answer:
            answer = await self._answer(api, prompt, options)
            done()
            return answer

        if self._stopping:
            raise asyncio.CancelledError
        tasks = [self._loop.create_task(one(prompt)) for prompt in inputs]
        self._tasks.update(tasks)
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            self._tasks.difference_update(tasks)

    async def _answer(self, api: Api, prompt: Any, options: Mapping[str, Any]) -> Answer:
        """Ask until all choices are there: servers that know no `n` give one at a time, or refuse to give more."""
        wanted = int(options.get("n") or 1)
        got = Answer(())
        try:
            while len(got.texts) < wanted:
                again = dict(options)
                if "seed" in again:
                    again["seed"] += len(got.texts)  # the same seed would give the same text again
                more = await self._some(api, prompt, again, wanted - len(got.texts))
                got = Answer(
                    got.texts + more.texts,
                    got.prompt_tokens + more.prompt_tokens,
                    got.completion_tokens + more.completion_tokens,
                )
        except Trouble as trouble:
            if not self._worked:
                raise  # the first request: a refusal of the run, not of a prompt
            self.last_complaint = trouble.message
            return Answer(("",) * wanted, got.prompt_tokens, got.completion_tokens, given_up=True)
        return got

    async def _some(self, api: Api, prompt: Any, options: Mapping[str, Any], wanted: int) -> Answer:
        """Ask for choices, one at a time where the teacher takes a prompt only so."""
        if wanted > 1 and not self._one_by_one:
            try:
                return await self._choices(api, prompt, options, wanted)
            except Trouble as trouble:
                if trouble.kind != "prompt":
                    raise
            one = await self._choices(api, prompt, options, 1)
            self._one_by_one = True
            return one
        return await self._choices(api, prompt, options, 1 if self._one_by_one else wanted)

    async def _choices(self, api: Api, prompt: Any, options: Mapping[str, Any], n: int) -> Answer:
        """Ask once for `n` choices, again and again while there is hope. Raises Trouble when there is none."""
        body = {"model": self._model, **options, "n": n, ("messages" if api == "chat" else "prompt"): prompt}
        tries = waits = 0
        began = time.monotonic()
        while True:
            await self._limiter.acquire(n)
            asked_at = time.monotonic()
            try:
                await self._pause()
                asked_at = time.monotonic()
                answer = await self._post(api, body, n)
            except Trouble as trouble:
                waits += 1
                tries += trouble.kind != "overloaded"
                delay = self._after(trouble, tries, waits, asked_at, began)
            else:
                self._good(n, asked_at, answer)
                return answer
            finally:
                self._limiter.release(n)
            await asyncio.sleep(delay)

    async def _pause(self) -> None:
        """Wait where the teacher asked everyone to."""
        if (wait := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def _good(self, n: int, asked_at: float, answer: Answer) -> None:
        first, self._worked = not self._worked, True
        self._trouble_since = None
        self._answered_at = time.monotonic()
        seconds = self._answered_at - asked_at
        if first:
            return  # of one token, and an idle teacher: no measure for the others
        # Slow answers are told before they take so long that they are lost.
        self._limiter.paced(
            pace=seconds / max(1.0, answer.completion_tokens / n),
            slow=seconds > self._access.timeout / 4,
            asked_at=asked_at,
            weight=n,
        )

    def _after(self, trouble: Trouble, tries: int, waits: int, asked_at: float, began: float) -> float:
        """Return the seconds to wait after trouble before the next try.

        Raises Trouble to give this prompt up, EngineFailure to end the run.
        """
        now = time.monotonic()
        self._tell(trouble.message)
        if trouble.kind == "prompt":
            raise trouble
        if trouble.kind == "refused":
            if self._rotated(trouble.token):
                return 0.0
            if not self._worked:
                raise trouble
        if trouble.kind in {"overloaded", "silent", "away"}:
            self._limiter.overloaded(asked_at)
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._trouble_since >= self._access.patience:
            minutes = f"{self._access.patience / 60:.0f} minutes" if self._access.patience >= 120 else "some time"
            raise self._fail(
                ExitCode.TEACHER_UNAVAILABLE, "TeacherUnavailable", f"no answer for {minutes}: {trouble.message}"
            )
        if tries >= _MAX_TRIES and self._answered_at > began:
            raise trouble
        backoff = min(_MAX_BACKOFF_SECONDS, 0.5 * 2.0 ** min(waits, 10)) * (0.5 + random.random() / 2)  # noqa: S311
        if trouble.retry_after is not None:
            backoff = max(trouble.retry_after, 0.05)
            self._resume_at = max(self._resume_at, now + min(backoff, self._access.patience))
        left = self._trouble_since + self._access.patience - now
        return min(backoff, max(left, 0.05))

    def _fail(self, code: ExitCode, reason: str, message: str) -> EngineFailure:
        self._failure = EngineFailure(code, reason, message)
        self._cancel_all()
        return self._failure

    def _tell(self, message: str) -> None:
        """Log a complaint once; thousands of requests may get the same."""
        if message not in self._told and len(self._told) < 100:
            self._told.add(message)
            log.warning("teacher: %s", message)

    def _rotated(self, token: str | None) -> bool:
        try:
            return token != self._token()
        except Trouble:
            return False

    def _token(self) -> str | None:
        """Read the token anew: it may have been rotated. Raises Trouble while its file is away in mid-run."""
        if self._access.token_file is None:
            return None
        try:
            token = self._access.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is no text"
            message = f"the teacher's token file cannot be read: {problem}"
            if self._worked:
                raise Trouble("away", message) from None
            raise self._fail(ExitCode.INVALID_INPUT, "InvalidSettings", message) from None
        if any(not "!" <= character <= "~" for character in token):
            raise self._fail(
                ExitCode.INVALID_INPUT, "InvalidSettings", "the teacher's token must be one word of printable ASCII"
            )
        return token or None

    async def _post(self, api: Api, body: Mapping[str, Any], n: int) -> Answer:
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self._access.url / PATHS[api]
        try:
            async with self._session.post(url, json=body, headers=headers, allow_redirects=False) as response:
                content = await _bounded(response.content)
                if response.status == 200:
                    return parse(api, content, n)
                raise refusal(response.status, response.headers, content, token)
        except TimeoutError as error:
            raise Trouble("silent", f"no answer within {self._access.timeout:.0f} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "") or "its name does not match"
            raise Trouble(
                "refused",
                f"the teacher's certificate is not trusted ({why}); its authority belongs into ca.crt",
                token=token,
            ) from error
        except aiohttp.ClientHttpProxyError as error:
            kind: Literal["refused", "away"] = "refused" if error.status in {403, 407} else "away"
            raise Trouble(kind, f"the proxy says HTTP {error.status}", token=token) from error
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise Trouble("away", without(token, f"{type(error).__name__}: {error}")) from error


def _nothing() -> None:
    pass


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for part in stream.iter_any():
        content += part
        if len(content) > _MAX_ANSWER_BYTES:
            raise Trouble("prompt", f"an answer has more than {_MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)
