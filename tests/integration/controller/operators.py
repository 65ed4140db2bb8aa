"""The operator as users run it: a process with a settings file and a kubeconfig."""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from hack.cluster.processes import Server, free_port, tail
from hack.cluster.steps import wait_for

SETTINGS: dict[str, Any] = {
    "images": {"engine": "registry.example/engine:1", "runner": "registry.example/runner:1"},
    "limits": {"deniedRanges": []},  # the S3 server of these tests is on loopback
}


class OperatorProcess:
    """One operator. Its output is in `log`."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        *arguments: str,
        name: str = "operator",
        settings: dict[str, Any] = SETTINGS,
        env: dict[str, str] | None = None,
    ) -> None:
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(settings))
        self.port = free_port()
        bind = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sdg_operator.controller", f"--settings={file}", f"--kubeconfig={kubeconfig}"]
        binds = [f"--health-bind={bind}", f"--metrics-bind={bind}"]
        self.log = folder / f"{name}.log"
        self._server = Server(name, [*command, *binds, *arguments], self.log, env={"POD_NAME": name} | (env or {}))

    def __enter__(self) -> "OperatorProcess":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"--- last words of {self.log.stem}\n{self.last_words()}")
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        """SIGKILL: it can say goodbye to nobody."""
        self._server.stop(kill=True)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._server.stop()

    @property
    def alive(self) -> bool:
        return self._server.alive()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its own addresses; 0 where it does not listen (yet)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().strip()
        except OSError:
            return 0, ""

    def wait_ready(self, seconds: float = 120) -> None:
        self.wait_for(lambda: self.get("/readyz")[0] == 200, "the operator to be ready", seconds)

    def wait_said(self, words: str, seconds: float = 120) -> str:
        """Wait until /readyz says why it is not ready, in these words (a pattern); gives all of it."""
        self.wait_for(
            lambda: re.search(words, self.get("/readyz")[1]) is not None, f"/readyz to say {words!r}", seconds
        )
        return self.get("/readyz")[1]

    def wait_for(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        def check() -> bool:
            assert self.alive, f"the operator ended:\n{self.text()[-3000:]}"
            return done()

        wait_for(what, seconds, check, interval=0.1)

    def metric(self, name: str, **labels: str) -> float:
        """Value of a series; 0 where it is not there."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        series = f"{name}{{{wanted}}}" if wanted else name
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{series} "):
                return float(line.split()[-1])
        return 0.0

    def text(self) -> str:
        return self.log.read_text()

    def last_words(self) -> str:
        return tail(self.log, lines=25)


def as_account(kubeconfig: Path, token: str, target: Path) -> Path:
    """A kubeconfig like this one, for the holder of a token."""
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    target.write_text(json.dumps(config))
    return target
