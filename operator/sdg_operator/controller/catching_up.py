"""When the watch has caught up with a list of our own.

kopf handles its first list object by object, and an object that is new meanwhile comes behind the last of them. Beside
busy workers that takes many times as long, so work begins only when it is through. Of an object that is deleted between
the two lists it never tells: once nothing new has come for a while, no more is waited for.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from sdg_operator.controller.reconciler import Key

QUIET_SECONDS: Final = 2.0
"""Longer than the watch takes to begin, and between two pages of its list."""


class CatchingUp:
    """What the watch has told of since it began, until that is all that is waited for."""

    def __init__(self) -> None:
        self._told: set[Key] = set()
        self._missing: set[Key] | None = None
        """None before a list of our own says what there is."""
        self._through = asyncio.Event()
        self._news = asyncio.Event()

    def told(self, key: Key) -> None:
        """The watch has told of this resource, or of a Job or pod of it."""
        if self._through.is_set():
            return
        self._news.set()
        if self._missing is None:
            self._told.add(key)
            return
        self._missing.discard(key)
        if not self._missing:
            self._through.set()

    async def wait(self, keys: Iterable[Key], seconds: float) -> int:
        """Wait until all of these have been told of, for so many seconds at most, and not through a silence; gives how
        many were not (they are gone, or the watch is away)."""
        self._missing = set(keys) - self._told
        self._told.clear()
        if not self._missing:
            self._through.set()
        try:
            async with asyncio.timeout(seconds):
                while not self._through.is_set():
                    self._news.clear()
                    async with asyncio.timeout(QUIET_SECONDS):
                        await self._news.wait()
        except TimeoutError:
            self._through.set()
        return len(self._missing)
