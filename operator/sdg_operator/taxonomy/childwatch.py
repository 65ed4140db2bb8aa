"""Bounds on a program that runs beside us: its time, and what it may say on its error stream."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import Final

_ERROR_BYTES: Final = 64 << 10
_CHUNK: Final = 1 << 13


class Watch:
    """Watches a process that leads a group of its own, and reads its ``stderr``: a full pipe would stop it."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.errors = b""
        """What it said, as far as it was read."""
        self.late = False
        self.noisy = False
        self.code: int | None = None
        """How it ended by itself; None when it was ended from here."""
        self._process = process
        self._timer = threading.Timer(seconds, self._expire)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._timer.start()
        self._reader.start()

    def end(self) -> None:
        """End it with all its helpers, if it has not ended, and wait for it."""
        self._timer.cancel()
        if self._process.stderr and self._process.stderr.closed:
            return
        self.code = self._process.poll()
        self._kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()

    def _expire(self) -> None:
        self.late = True
        self._kill()

    def _read(self) -> None:
        assert self._process.stderr is not None, "it is a pipe"
        while piece := os.read(self._process.stderr.fileno(), _CHUNK):
            self.errors += piece
            if len(self.errors) > _ERROR_BYTES:
                self.noisy = True
                self._kill()
                return

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of one that has just ended
            os.killpg(self._process.pid, signal.SIGKILL)
