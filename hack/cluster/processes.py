"""Servers as child processes that never outlive the program that started them."""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.cluster.steps import StepFailed, die_with_parent, wait_for

# Below what the kernel gives to those who ask it for any port: between our choice and the server's start it would give
# it away again.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on now, and that this process has not chosen before."""
    while True:
        port = random.choice(_PORTS)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Server:
    """One server process with its output in a file."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StepFailed(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, *, kill: bool = False) -> None:
        """End the process (SIGTERM, or SIGKILL with `kill`) and wait for it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def wait_port(self, port: int, seconds: float = 30) -> None:
        """Wait until something accepts connections on the loopback port."""

        def accepts() -> bool:
            if not self.alive():
                raise StepFailed(f"{self.name} ended:\n{self.tail()}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(f"{self.name} on port {port}", seconds, accepts, interval=0.05)

    def tail(self) -> str:
        """The last lines it wrote."""
        return tail(self.log)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, each cut to a length that can be read."""
    return "\n".join(line[:300] for line in log.read_text(errors="replace").splitlines()[-lines:])
