"""Ask the teacher: an OpenAI-compatible server that may be slow, busy, away for a while, or refuse.

One thread runs an event loop for all requests, so the state here needs no locks; batches ask from threads of their own
and wait. Each prompt is a request of its own: servers without list prompts work too, an answer is not held back by
another's, and a failed request costs one prompt. A request that is given up is closed, so that its server can stop; an
answer that comes all the same is not read.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.choices import CUTS, Tally, Width, all_choices
from sdg_operator.engine.connection import Connection
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure
from sdg_operator.engine.limiter import Limiter
from sdg_operator.engine.tokens import estimated
from sdg_operator.engine.trouble import Kind, Trouble, without
from sdg_operator.engine.wire import PATHS, Answer, Api, Choice, Prompt
from sdg_operator.storage.records import AnswerCounts

log = logging.getLogger(__name__)

_FIRST_SECONDS: Final = 60.0
"""For the first request, of one token: a server that is dead behind a healthy address is found out soon."""
_MAX_BACKOFF_SECONDS: Final = 30.0
_MAX_TRIES: Final = 10
"""Tries for one prompt between which the teacher has answered others; then that prompt is given up. Being told to come
again later (429, 503) is no try: a busy teacher costs time, never samples."""
_MAX_SILENT: Final = 3
"""Of these, tries that each took all the time there is: the server may have done the work every time."""
_MAX_CUTS: Final = 2
"""A request for several choices that was cut so often is sent again for half of them."""
_FIRST_TRIES: Final = 4
"""Tries for the first request while all that comes is no answer of a teacher; at other addresses then one each."""
_PROBE_AFTER: Final = 3
_PROBE_SECONDS: Final = 1.0
"""After so many failures of a request, and so often at most, a teacher that answers nobody is asked for one token."""
_OF_ONE_PROMPT: Final[frozenset[Kind]] = frozenset({"silent", "cut", "away", "unreadable"})
"""Failures that may be those of a prompt; to come later is told to all."""
_AT_ONCE: Final = 3
"""So often a teacher that says "again at once" is believed."""
_TROUBLE_SECONDS: Final = 2.0
"""Trouble that lasts so long is told to whoever looks at the progress."""

_HELLO: Final[Mapping[str, Any]] = {"max_tokens": 1, "temperature": 0}
_FIELD: Final[Mapping[Api, str]] = {"completions": "prompt", "chat": "messages"}

ResultT = TypeVar("ResultT")


class Stopped(BaseException):
    """The run is ending; whoever waits for an answer goes home. Not an Exception: no block may swallow it."""


@dataclass(slots=True)
class _Tries:
    """How one request has fared."""

    n: int
    tally: Tally
    failed_at: float
    """When it failed last; at first when it was sent."""
    kind: Kind | None = None
    """Of the last failure."""
    waits: int = 0
    counted: int = 0
    silent: int = 0
    cuts: int = 0


class Teacher:
    """Use as a context manager. `ask` may be called from any thread."""

    def __init__(self, access: TeacherAccess, model: str, bound: int) -> None:
        self._access = access
        self._model = model
        self._connection = Connection(access.token_file, access.ca_file)
        self._limiter = Limiter(bound, time.monotonic)
        self._base = access.bases[0]
        self._api: Api = "completions"
        self._width = Width()
        self._worked: set[Api] = set()
        """What the teacher has answered once; refused later, it is waited for."""
        self._first_seconds = _FIRST_SECONDS
        self._probed_at = self._alive_at = float("-inf")
        """When it was last asked for one token in mid-run, and answered that."""
        self._first_unreadable = 0
        """So often something was answered, with status 200, that was no answer, before there was any."""
        self._trouble_since: float | None = None
        self._trouble = ""
        self._answered_at = float("-inf")
        self._resume_at = 0.0
        self._failure: EngineFailure | None = None
        self._stopping = False
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self.last_complaint = ""
        """What the teacher said to the last prompt it would not answer."""

    def __enter__(self) -> "Teacher":
        self._thread.start()
        self._run(self._connection.open())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._run(self._connection.close())
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

    @property
    def trouble(self) -> str | None:
        """What the teacher says while it gives no good answer to anyone; None while it works."""
        since = self._trouble_since
        return self._trouble if since is not None and time.monotonic() - since > _TROUBLE_SECONDS else None

    def stop(self) -> None:
        """Let everyone who waits for an answer raise Stopped. May be called from a signal handler's thread."""
        self._loop.call_soon_threadsafe(self._cancel_all)

    def connect(self) -> None:
        """Send the run's first request, of one token: it tells which address is meant, and whether the teacher takes
        plain prompts or only chat.

        A refusal ends the run at once. Raises EngineFailure.
        """
        try:
            self._run(self._connect())
        except CancelledError:
            raise self._failure or Stopped from None

    def ask(
        self,
        api: Api,
        inputs: Sequence[Any],
        options: Mapping[str, Any],
        done: Callable[[], None],
        own_marks: Collection[str] = (),
    ) -> list[Answer]:
        """Return an answer for each prompt (or list of chat messages), in order; `done` is called after each.

        A prompt that the teacher will not answer gets empty texts. `own_marks`: see `without_thinking`. Raises Stopped.
        """
        try:
            return self._run(self._ask(api, inputs, options, done, own_marks))
        except (CancelledError, EngineFailure):
            raise Stopped from None  # `failure` says why

    def without_token(self, text: str) -> str:
        """Return what a teacher said, fit for a log: it may have echoed our token."""
        try:
            return without(self._connection.token(), text)
        except Trouble:
            return ""

    def _run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _cancel_all(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    async def _connect(self) -> None:
        refused: list[Trouble] = []
        for base in self._access.bases:
            for api in PATHS:
                self._base, self._api = base, api
                try:
                    await self._tracked([self._first(api)])
                except Trouble as trouble:
                    # Servers for chat alone answer 404, 405 or 400 to plain prompts, and so do servers without this
                    # model, or at another address.
                    log.info("not %s: %s", base / PATHS[api], trouble.message)
                    refused.append(trouble)
                else:
                    log.info("the teacher answers at %s", base / PATHS[api])
                    return
            if not any(trouble.status in {404, 405} or trouble.kind == "unreadable" for trouble in refused):
                break  # something at this address knows us
        raise self._fail(ExitCode.TEACHER_REFUSED, "TeacherRefused", await self._why_refused(refused))

    async def _first(self, api: Api) -> None:
        try:
            await self._choices(self._hello(api), Tally(), _HELLO, 1)
        except Trouble as trouble:
            if trouble.kind not in {"prompt", "context"} or "token" not in trouble.message.lower():
                raise
            # Some have a least number of tokens.
            await self._choices(self._hello(api), Tally(), {**_HELLO, "max_tokens": 64}, 1)

    @staticmethod
    def _hello(api: Api) -> Prompt:
        return Prompt(api, [{"role": "user", "content": "Hello"}] if api == "chat" else "Hello")

    async def _why_refused(self, refused: Sequence[Trouble]) -> str:
        """Say which of the refusals tells most, what was asked for, and what there is instead."""
        telling = [trouble for trouble in refused if self._model in trouble.message]
        telling += [trouble for trouble in refused if trouble.status not in {404, 405}]
        tried = " and ".join(str(base / PATHS["completions"]) for base in self._access.bases[: (len(refused) + 1) // 2])
        message = f"{(telling or refused)[0].message}; asked for model {self._model!r} at {tried}"
        if not any(trouble.status in {400, 404, 422} for trouble in refused):
            return message  # not for what was asked
        for base in self._access.bases:
            (served,) = await self._tracked([self._connection.served(base)])
            if served:
                return f"{message}; served there: {', '.join(served)}"
        return message

    async def _ask(
        self,
        api: Api,
        inputs: Sequence[Any],
        options: Mapping[str, Any],
        done: Callable[[], None],
        own_marks: Collection[str],
    ) -> list[Answer]:
        async def one(content: Any) -> Answer:
            answer = await self._answer(Prompt(api, content, own_marks), options)
            done()
            return answer

        return await self._tracked(one(content) for content in inputs)

    async def _tracked(self, coroutines: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
        """Await these so that `stop` ends them. Raises CancelledError once stopped."""
        if self._stopping:
            raise asyncio.CancelledError
        tasks = [self._loop.create_task(coroutine) for coroutine in coroutines]
        self._tasks.update(tasks)
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            self._tasks.difference_update(tasks)

    async def _answer(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        """Return all choices for a prompt; where the teacher will not give them, say so in the answer."""
        wanted = int(options.get("n") or 1)
        tally = Tally()
        given_up, too_long, got = False, None, Answer()
        try:
            got = await all_choices(partial(self._choices, prompt, tally), options, wanted, self._width, tally)
        except Trouble as trouble:
            if trouble.kind == "refused" and prompt.api not in self._worked:
                message = f"the pipeline asks by {PATHS[prompt.api]}, which the teacher refuses: {trouble.message}"
                raise self._fail(ExitCode.TEACHER_REFUSED, "TeacherRefused", message) from trouble
            self.last_complaint = trouble.message
            given_up = True
            too_long = _too_long(trouble, prompt) if trouble.context else None
        return Answer(
            got.choices or (Choice(""),) * wanted,
            got.prompt_tokens,
            got.completion_tokens,
            given_up=given_up,
            too_long=too_long,
            counts=AnswerCounts(**tally),
        )

    async def _choices(self, prompt: Prompt, tally: Tally, options: Mapping[str, Any], n: int) -> Answer:
        """Ask for `n` choices, again and again while there is hope. Raises Trouble when there is none."""
        body = self._body(prompt, options, n)
        tries = _Tries(n, tally, float("inf"))
        while True:
            await self._limiter.acquire(n)
            asked_at = time.monotonic()
            try:
                await self._pause()
                asked_at = time.monotonic()
                tries.failed_at = min(tries.failed_at, asked_at)
                answer = await self._connection.post(self._base, prompt, body, self._seconds)
            except Trouble as trouble:
                delay = self._after(prompt.api, trouble, tries, asked_at)
            else:
                self._good(prompt.api, n, asked_at, answer)
                return answer
            finally:
                self._limiter.release(n)
            await asyncio.sleep(delay)
            await self._probe(tries)

    def _body(self, prompt: Prompt, options: Mapping[str, Any], n: int) -> dict[str, Any]:
        several = {"n": n} if n > 1 else {}  # some servers refuse it even where it is 1
        others = {name: value for name, value in options.items() if name != "n"}
        return {"model": self._model, **others, **several, _FIELD[prompt.api]: prompt.content}

    @property
    def _seconds(self) -> float:
        return self._access.timeout if self._worked else min(self._access.timeout, self._first_seconds)

    async def _pause(self) -> None:
        """Wait where the teacher asked everyone to."""
        if (wait := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def _good(self, api: Api, n: int, asked_at: float, answer: Answer) -> None:
        first = not self._worked
        self._worked.add(api)
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

    def _after(self, api: Api, trouble: Trouble, tries: _Tries, asked_at: float) -> float:
        """Return the seconds to wait after trouble before the next try.

        Raises Trouble where this request is not worth another try, EngineFailure to end the run.
        """
        now = time.monotonic()
        self._tell(trouble.message)
        _count(trouble, tries, others_answered=max(self._answered_at, self._alive_at) > tries.failed_at)
        tries.failed_at, tries.kind = now, trouble.kind
        if trouble.kind == "refused" and self._connection.has_other_token(trouble.token):
            return 0.0
        if self._is_final(api, trouble):
            raise trouble
        if trouble.kind in {"overloaded", "silent", "cut", "away"}:
            self._limiter.overloaded(asked_at)
        if tries.n > 1 and tries.cuts >= _MAX_CUTS:
            raise trouble
        self._trouble = trouble.message
        if self._trouble_since is None:
            self._trouble_since = max(asked_at, self._answered_at)
        if now - self._trouble_since >= self._access.patience:
            minutes = f"{self._access.patience / 60:.0f} minutes" if self._access.patience >= 120 else "some time"
            raise self._fail(
                ExitCode.TEACHER_UNAVAILABLE, "TeacherUnavailable", f"no answer for {minutes}: {trouble.message}"
            )
        if tries.counted >= _MAX_TRIES or tries.silent >= _MAX_SILENT:
            raise trouble  # others were answered each time: it is this prompt
        tries.tally["asked_again"] += 1
        return self._delay(trouble, tries, now, self._trouble_since)

    async def _probe(self, tries: _Tries) -> None:
        """Find out whether the teacher would answer others, where nobody else asks: is it away, or is it the prompt?"""
        now = time.monotonic()
        alone = max(self._answered_at, self._alive_at) <= tries.failed_at
        if tries.kind not in _OF_ONE_PROMPT or tries.waits < _PROBE_AFTER or not alone:
            return
        if now < self._probed_at + _PROBE_SECONDS:
            return
        self._probed_at = now
        prompt = self._hello(self._api)
        with contextlib.suppress(Trouble):
            await self._connection.post(
                self._base, prompt, self._body(prompt, _HELLO, 1), min(self._seconds, _FIRST_SECONDS)
            )
            self._alive_at = time.monotonic()

    def _is_final(self, api: Api, trouble: Trouble) -> bool:
        """Whether to wait is no cure. Raises EngineFailure where our own settings are wrong."""
        if trouble.kind == "token" and not self._worked:
            raise self._fail(ExitCode.INVALID_INPUT, "InvalidSettings", trouble.message)
        if trouble.kind == "silent" and not self._worked:
            self._first_seconds *= 2  # it may load its model while it holds the request
        if trouble.kind == "unreadable" and not self._worked:
            self._first_unreadable += 1
            return self._first_unreadable >= _FIRST_TRIES
        return trouble.kind in {"prompt", "context"} or (trouble.kind == "refused" and api not in self._worked)

    def _delay(self, trouble: Trouble, tries: _Tries, now: float, since: float) -> float:
        exponent = min(tries.waits - 1, 10)
        backoff = min(_MAX_BACKOFF_SECONDS, 2.0**exponent) * (0.5 + random.random() / 2)  # noqa: S311 - only spreads
        if trouble.retry_after is not None:
            # "At once", again and again, would be a storm.
            backoff = max(trouble.retry_after, 1.0 if tries.waits > _AT_ONCE else 0.05)
            self._resume_at = max(self._resume_at, min(now + backoff, since + self._access.patience))
        return min(backoff, max(since + self._access.patience - now, 0.05))

    def _fail(self, code: ExitCode, reason: str, message: str) -> EngineFailure:
        self._failure = EngineFailure(code, reason, message)
        self._cancel_all()
        return self._failure

    def _tell(self, message: str) -> None:
        """Log a complaint once; thousands of requests may get the same."""
        if message not in self._told and len(self._told) < 100:
            self._told.add(message)
            log.warning("teacher: %s", message)


def _count(trouble: Trouble, tries: _Tries, *, others_answered: bool) -> None:
    """A failure counts against a prompt only where the teacher has answered others since the one before."""
    tries.waits += 1
    tries.counted += others_answered and trouble.kind not in {"overloaded", "token"}
    tries.silent += others_answered and trouble.kind == "silent"
    tries.cuts += trouble.kind in CUTS
    tries.tally["timed_out"] += trouble.kind == "silent"
    tries.tally["unreadable"] += trouble.kind == "unreadable"


def _too_long(trouble: Trouble, prompt: Prompt) -> str:
    limit = trouble.context.limit if trouble.context else None
    known = trouble.context.prompt if trouble.context else None
    size = f"{known}" if known is not None else f"about {estimated(str(prompt.content))}"
    room = f"of {limit} tokens" if limit is not None else "(it does not say how large that is)"
    return f"a prompt of {size} tokens leaves no room for an answer in the teacher's context {room}"
