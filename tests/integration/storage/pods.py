"""The containers of a generate pod as real processes, with a storage Secret mounted as files."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdg_operator.storage.s3_settings import S3Settings
from tests.integration.storage.ledgers import LAYOUT

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_ENGINE = Path(__file__).with_name("scripted_engine.py")


def _die_with_parent() -> None:
    """A test that fails leaves no process behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.01)


def mount(folder: Path, settings: S3Settings, **changes: str) -> Path:
    """Write a storage Secret as the kubelet mounts it."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {
        "AWS_ACCESS_KEY_ID": settings.access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secret_key,
        "AWS_S3_BUCKET": settings.bucket,
        "AWS_S3_ENDPOINT": settings.endpoint or "",
    }
    for name, value in (given | changes).items():
        part = folder / f".{name}"
        part.write_text(value)
        part.replace(folder / name)
    return folder


@dataclass
class Containers:
    """One pod: its work folder, its Secret, and how its containers are started."""

    folder: Path
    secret: Path
    attempt: int = 1
    pod: str = "pod"
    shard: int = 0
    root: str = LAYOUT.root

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True)
        self.spool.mkdir()

    @property
    def work(self) -> Path:
        return self.folder / f"{self.attempt}-{self.pod}" / "work"

    @property
    def spool(self) -> Path:
        return self.work.parent / "spool"

    @property
    def said(self) -> str:
        return (self.work.parent / "said.txt").read_text()

    @property
    def acknowledged(self) -> bool:
        return (self.work / "sync/ack").exists()

    def made(self) -> list[str]:
        """Batches that this pod's scripted engine made itself."""
        note = self.work / "made.txt"
        return note.read_text().splitlines() if note.exists() else []

    def fetch(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command("fetch"), env=self._environment(), capture_output=True, text=True, timeout=120, check=False
        )

    def start_sync(self) -> subprocess.Popen[bytes]:
        with (self.work.parent / "said.txt").open("ab") as said:
            return subprocess.Popen(
                [*self._command("sync"), "--pod", self.pod],
                env=self._environment(),
                stdout=said,
                stderr=said,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call
            )

    def start_engine(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, _ENGINE, self.work, *options],
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call
        )

    def _command(self, module: str) -> list[str]:
        flags = {"work": self.work, "run-root": self.root, "attempt": self.attempt, "shard": self.shard}
        return [sys.executable, "-m", f"sdg_operator.storage.{module}", *(f"--{k}={v}" for k, v in flags.items())]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "SDG_STORAGE_DIR": str(self.secret), "TMPDIR": str(self.spool)}
