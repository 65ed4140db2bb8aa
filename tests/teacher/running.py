"""Run a scripted teacher on a loopback port for the length of a ``with`` block, in a thread of its own."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from tests.teacher.server import Teacher


@dataclass(frozen=True, slots=True)
class RunningTeacher:
    teacher: Teacher
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        return self.url_of("127.0.0.1")

    def url_of(self, host: str) -> str:
        return f"http{'s' if self.tls else ''}://{host}:{self.port}/v1"


@contextmanager
def running_teacher(
    teacher: Teacher | None = None, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[RunningTeacher]:
    """Serve until the block ends; `port` 0 takes any free one. Connections still open are cut."""
    teacher = teacher or Teacher()
    ready: threading.Event = threading.Event()
    state: dict[str, int] = {}
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(teacher.app(), access_log=None, shutdown_timeout=0.0, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096, ssl_context=tls)
            await site.start()
            state["port"] = runner.addresses[0][1]
            ready.set()
            await stop.wait()
        finally:
            ready.set()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="teacher", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield RunningTeacher(teacher, state["port"], tls is not None)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
