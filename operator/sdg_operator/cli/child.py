"""A container's program as a child of ``sdg``: it is stopped in order when ``sdg`` is, and never outlives it."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sdg_operator.engine.contract import ExitCode

_PR_SET_PDEATHSIG: Final = 1


def call(command: Sequence[str], environment: Mapping[str, str], lock: int) -> int:
    """Run it to its end and give its exit code. It holds the lock of its folder too.

    It has a session of its own, so that Ctrl-C reaches `sdg` alone, which tells it to end: a program that is just
    starting has no words for Ctrl-C yet. Ended by a signal, it was interrupted. What `sdg` was started to ignore (by
    `nohup`, by a shell in the background) stays ignored.
    """
    process: subprocess.Popen[bytes] | None = None
    told = False

    def stop(*_: Any) -> None:
        nonlocal told
        told = True
        if process is not None:
            process.terminate()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            start_new_session=True,
            pass_fds=(lock,),
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - `sdg` has one thread here
        )
        if told:
            process.terminate()
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told and code <= 0:
        print("sdg: stopped", file=sys.stderr)
        return ExitCode.INTERRUPTED
    if code < 0:
        print(f"sdg: {command[2]} was ended by signal {-code}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return code


def _end_with_parent() -> Callable[[], None] | None:
    """Where Linux: what has it end when this process is gone, however that ends."""
    if sys.platform != "linux":
        return None
    library, parent = ctypes.CDLL(None), os.getpid()

    def end_with_parent() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return end_with_parent
