"""What the demo says: numbered steps, how long each took, one line that moves while a run goes on."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class DemoFailed(Exception):
    """Something is not as it should be. The message says what, and where to look."""


def _bar(percent: int, width: int = 30) -> str:
    done = width * max(0, min(100, percent)) // 100
    return "#" * done + "-" * (width - done)


@dataclass(slots=True)
class Screen:
    """Writes to a terminal, or plain lines where there is none."""

    live: bool = field(default_factory=sys.stdout.isatty)
    took: list[tuple[str, float]] = field(default_factory=list)
    _last: str = ""
    _open: bool = False

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step; afterwards say how long it took. A failed one is not counted as done."""
        self.line(f"\n[{len(self.took) + 1}] {title}")
        begun = time.monotonic()
        yield
        seconds = time.monotonic() - begun
        self.took.append((title, seconds))
        self.line(f"    {seconds:.1f} s")

    def line(self, text: str = "") -> None:
        if self._open:
            print(flush=True)
            self._open = False
        print(text, flush=True)

    def note(self, text: str) -> None:
        self.line("\n".join(f"    {line}" for line in text.splitlines()))

    def progress(self, state: str, percent: int, text: str) -> None:
        """Show where a run stands. A terminal gets one moving line, a log a line for each change."""
        shown = f"    {state:<9} [{_bar(percent)}] {percent:3d}%  {text}"
        if shown == self._last:
            return
        self._last = shown
        if self.live:
            print(f"\r\x1b[2K{shown[:160]}", end="", flush=True)
            self._open = True
        else:
            print(shown, flush=True)

    def summary(self) -> None:
        self.line("\nTime taken")
        for title, seconds in self.took:
            self.line(f"  {seconds:7.1f} s  {title}")
        self.line(f"  {sum(seconds for _, seconds in self.took):7.1f} s  in all")
