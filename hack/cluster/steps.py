"""Long steps that say what they do and how long it took, and commands that fail with a reason."""

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final


class StepFailed(Exception):
    """A step did not do what it should; the message says what and what to do."""


@contextmanager
def step(title: str, if_failed: str = "") -> Iterator[None]:
    """Print the step's title, the time that passes where it is long, then the seconds it took.

    `if_failed` says what to do; it is added to the words of a `StepFailed`.
    """
    print(f"  · {title} …", end="", flush=True, file=sys.stderr)
    clock = _Clock(title)
    try:
        with clock:
            yield
    except BaseException as failed:
        print(f"{clock.again} failed after {clock.seconds:.1f} s", file=sys.stderr)
        if if_failed and isinstance(failed, StepFailed):
            raise StepFailed(f"{failed}\n{if_failed}") from failed
        raise
    print(f"{clock.again} {clock.seconds:.1f} s", file=sys.stderr)


_ON_TERMINAL: Final = 15.0
_IN_LOG: Final = 30.0
"""Seconds after which a step is a long one."""


class _Clock:
    """Tells how long a step has lasted: each second on a terminal, each half minute in a log."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self.again = ""
        """What brings the title back before the step's last words."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def _tell(self) -> None:
        terminal = sys.stderr.isatty()
        pause: float = _ON_TERMINAL if terminal else _IN_LOG
        while not self._ended.wait(pause):
            if terminal:
                pause = 1
                self.again = f"\r  · {self._title} …"
                print(f"{self.again} {self.seconds:.0f} s", end="", flush=True, file=sys.stderr)
            else:
                begin, self.again = "" if self.again else "\n", f"  · {self._title} …"
                print(f"{begin}    {self.seconds:.0f} s …", flush=True, file=sys.stderr)

    def __enter__(self) -> None:
        self._teller.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._teller.join()


_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


def die_with_parent() -> None:
    """As `preexec_fn`: the child is killed when we end, however we end. A lock of ours must not outlive our work."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def as_root(command: Sequence[str | Path]) -> list[str | Path]:
    """The command as root runs it: by sudo, if it asks for no password, where we are somebody else."""
    return [*command] if os.geteuid() == 0 else ["sudo", "-n", *command]


def all_as_root(commands: Iterable[Sequence[str]], otherwise: str) -> None:
    """Run them all as root; `StepFailed` says what is so otherwise, and has those that this user may not run."""
    left = [shlex.join(command) for command in commands if not succeeds(as_root(command))]
    if left:
        raise StepFailed(f"{otherwise}; do this as root, and try again: {' && '.join(left)}")


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float = 1800,
) -> str:
    """Run a command and give its standard output; `StepFailed` with the end of its output if it fails."""
    arguments = [str(part) for part in command]
    said = f"`{' '.join(arguments[:6])}`"
    try:
        done = subprocess.run(
            arguments,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            preexec_fn=die_with_parent,
        )
    except FileNotFoundError as missing:
        if cwd is not None and not cwd.is_dir():
            raise
        raise StepFailed(f"{arguments[0]} is not on this machine; install it and try again") from missing
    except subprocess.TimeoutExpired as late:
        raise StepFailed(f"{said} did not end within {timeout:.0f} s; is the machine very busy? Try again") from late
    if check and done.returncode != 0:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise StepFailed(f"{said} ended with {done.returncode}:\n{end}")
    return done.stdout


def succeeds(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 60) -> bool:
    """Whether a command is there and ends with 0 in time."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=timeout,
            preexec_fn=die_with_parent,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def wait_for(what: str, seconds: float, ready: Callable[[], bool], *, interval: float = 0.2) -> None:
    """Ask until it is so; `StepFailed` that names what did not come."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise StepFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(interval)


def until_established(kubectl: Callable[..., str]) -> None:
    """Wait for all CRDs. ``kubectl wait`` would not do: it fails on a young CRD, whose status has no conditions yet."""

    def established() -> bool:
        crds = json.loads(kubectl("get", "crd", "--output=json"))["items"]
        found = [{c["type"]: c["status"] for c in (crd.get("status") or {}).get("conditions") or ()} for crd in crds]
        return all(conditions.get("Established") == "True" for conditions in found)

    wait_for("the CRDs", 60, established)
