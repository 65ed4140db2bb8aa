"""The scripted teacher's HTTP side: an OpenAI-compatible server on aiohttp."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web

from tests.teacher.answers import answer, token_count
from tests.teacher.script import Pace, Slots, Step


@dataclass(slots=True)
class Asked:
    """One request for answers, as the log keeps it."""

    path: str
    prompts: tuple[str, ...]
    choices: int
    """Choices for each prompt."""
    started: float
    token: str | None
    at: float = field(default_factory=time.time)
    """When it came in, seconds since the epoch."""
    status: int = 0
    """0 while it is being answered, and for ever if it never was."""
    ended: float | None = None

    def summary(self) -> dict[str, Any]:
        return {"path": self.path, "prompts": len(self.prompts), "choices": self.choices * len(self.prompts),
                "status": self.status, "at": self.at}  # fmt: skip


@dataclass(slots=True)
class Teacher:
    """State of one scripted teacher. Tests in the same process read `asked` and set `script` directly."""

    model: str = "teacher"
    token: str | None = None
    apis: frozenset[str] = frozenset({"completions", "chat"})
    pace: Pace = field(default_factory=Pace)
    script: list[Step] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    context: int | None = None
    """Tokens of prompt and answer together; more is refused, in the words of vLLM."""
    in_flight: int = 0
    """Choices being answered now."""
    most_in_flight: int = 0
    slots: Slots = field(init=False)

    def __post_init__(self) -> None:
        self.slots = Slots(self.pace)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 << 20)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/_requests", self._requests)
        app.router.add_post("/_script", self._set_script)
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _requests(self, request: web.Request) -> web.Response:
        """The end of the log; ``?texts=1`` gives all of it, with what was asked."""
        texts = "texts" in request.query
        done = [each.summary() | ({"texts": each.prompts} if texts else {}) for each in self.asked]
        return web.json_response(
            {
                "requests": len(done),
                "prompts": sum(each["prompts"] for each in done),
                "choices": sum(each["choices"] for each in done),
                "mostInFlight": self.most_in_flight,
                "slots": self.slots.summary(),
                "log": done if texts else done[-1000:],
            }
        )

    async def _set_script(self, request: web.Request) -> web.Response:
        self.script = [Step.model_validate(step) for step in await request.json()]
        return web.json_response({"steps": len(self.script)})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = body["prompt"]
        prompts = [prompt] if isinstance(prompt, str) else prompt
        return await self._answer(request, "completions", body, prompts)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return await self._answer(request, "chat", body, ["\n".join(m["content"] for m in body["messages"])])

    async def _answer(self, request: web.Request, api: str, body: Any, prompts: Sequence[str]) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        asked = Asked(
            request.path, tuple(prompts), int(body.get("n") or 1), time.monotonic(), token if scheme else None
        )
        self.asked.append(asked)
        choices = asked.choices * len(prompts)
        self.in_flight += choices
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            response = self._refusal(asked, api, body) or await self._scripted(request, asked, api)
            if response is None:
                await self._work(asked)
                texts = [answer(prompt, choice) for prompt in prompts for choice in range(asked.choices)]
                response = _answered(self.model, api, prompts, texts)
            asked.status = response.status
            return response
        finally:
            self.in_flight -= choices
            asked.ended = time.monotonic()

    def _refusal(self, asked: Asked, api: str, body: Any) -> web.Response | None:
        if self.token is not None and asked.token != self.token:
            return _error(HTTPStatus.UNAUTHORIZED, f"invalid token {asked.token}")
        if api not in self.apis:
            return _error(HTTPStatus.NOT_FOUND, "Not Found")
        if body.get("model") != self.model:
            return _error(HTTPStatus.NOT_FOUND, f"The model `{body.get('model')}` does not exist.")
        new = int(body.get("max_tokens") or 0)
        if self.context is not None and (size := max(map(token_count, asked.prompts))) + new > self.context:
            return _error(
                HTTPStatus.BAD_REQUEST,
                f"This model's maximum context length is {self.context} tokens. However, you requested {size + new} "
                f"tokens ({size} in the messages, {new} in the completion).",
            )
        return None

    async def _work(self, asked: Asked) -> None:
        if self.pace.median > 0 and not _is_probe(asked):
            end = self.slots.finish(asked.prompts, asked.choices, time.monotonic())
            await asyncio.sleep(max(0.0, end - time.monotonic()))

    def _next_step(self, asked: Asked) -> Step | None:
        for step in self.script:
            if step.times == 0 or not any(step.contains in prompt for prompt in asked.prompts):
                continue
            if asked.choices <= step.above:
                continue
            if step.skip > 0:
                step.skip -= 1
                return None
            step.times -= 1
            return step
        return None

    async def _scripted(self, request: web.Request, asked: Asked, api: str) -> web.Response | None:
        step = self._next_step(asked)
        if step is None:
            return None
        await asyncio.sleep(step.delay)
        texts = [answer(prompt, choice) for prompt in asked.prompts for choice in range(asked.choices)]
        response: web.Response | None = _error(HTTPStatus(step.status), step.text, step.headers)
        match step.action:
            case "silence":
                await asyncio.Event().wait()
            case "drop" if request.transport is not None:
                request.transport.abort()
            case "raw":
                response = web.Response(body=step.text.encode("latin-1"), content_type="text/html")
            case "break":
                await _break_off(request)
            case "null":
                response = _answered(self.model, api, asked.prompts, [None] * len(texts))
            case "say":
                texts = [step.text.replace("{}", text) for text in texts]
                response = _answered(self.model, api, asked.prompts, texts, step)
        return response


def _is_probe(asked: Asked) -> bool:
    """Whether a client only wants to know what the server can do; such requests are answered at once."""
    return all(prompt in {"Hello", "test1", "test2"} for prompt in asked.prompts)


def _error(status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": message, "type": status.phrase, "code": status.value}
    return web.json_response({"object": "error", "error": error}, status=status, headers=headers)


async def _break_off(request: web.Request) -> None:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"text": "half an')
    if request.transport is not None:
        request.transport.abort()


def _answered(
    model: str, api: str, prompts: Sequence[str], texts: Sequence[str | None], how: Step | None = None
) -> web.Response:
    how = how or Step()

    def said(text: str | None) -> dict[str, Any]:
        aside = {"reasoning_content": how.aside} if how.aside else {}
        return {"message": {"role": "assistant", "content": text, **aside}} if api == "chat" else {"text": text}

    choices = [{"index": i, "finish_reason": how.finish, **said(text)} for i, text in enumerate(texts[: how.give])]
    choices = choices[::-1] if how.reverse else choices
    prompt_tokens = sum(map(token_count, prompts))
    completion_tokens = sum(token_count(text or "") for text in texts)
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
             "total_tokens": prompt_tokens + completion_tokens}  # fmt: skip
    kind = "chat.completion" if api == "chat" else "text_completion"
    return web.json_response({"id": "cmpl-0", "object": kind, "model": model, "choices": choices, "usage": usage})
