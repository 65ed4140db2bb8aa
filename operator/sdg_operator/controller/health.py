"""/livez, /readyz and /metrics over HTTP. kopf's own liveness server hangs where a probe fails, so it is not used."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

_STOP_SECONDS: Final = 1.0

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""What is wrong; None if nothing is."""


@asynccontextmanager
async def serve(
    live: Check, ready: Check, scrape: Callable[[], Awaitable[bytes]], health_bind: str, metrics_bind: str
) -> AsyncIterator[None]:
    """Answer on both addresses (``host:port``; without a host on all addresses; the two may be one)."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=await scrape(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    health = web.Application()
    health.router.add_get("/livez", _answer(live))
    health.router.add_get("/readyz", _answer(ready))
    health.router.add_get("/metrics", show)
    apps = {health_bind: health}
    if metrics_bind != health_bind:
        apps[metrics_bind] = web.Application()
        apps[metrics_bind].router.add_get("/metrics", show)
    async with AsyncExitStack() as stack:
        for bind, app in apps.items():
            await _start(app, bind, stack)
        yield


async def _start(app: web.Application, bind: str, stack: AsyncExitStack) -> None:
    host, _, port = bind.rpartition(":")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
    for address in runner.addresses:
        log.info("serving %s on %s", ", ".join(sorted(r.canonical for r in app.router.resources())), address)


def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        problem = await check()
        return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")

    return handler
