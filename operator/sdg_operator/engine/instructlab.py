"""The default engine: ``python -m sdg_operator.engine.instructlab`` makes the leaves of a work folder.

It needs the environment of `contract` and nothing else: no Kubernetes, no bucket, no network but the teacher.
"""

import errno
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sdg_operator.engine import contract, environment, logs
from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.contract import EngineResult, EngineSettings, ExitCode
from sdg_operator.engine.failure import EngineFailure, one_line
from sdg_operator.engine.termination import write_termination_message
from sdg_operator.engine.workfolder import WorkFolder

log = logging.getLogger("sdg_operator.engine")

_ACK_SECONDS = 120.0


def main() -> ExitCode:
    """Run the engine and return how it ended."""
    # From the first moment on: as a container's first process it would not even notice an unhandled SIGTERM.
    told_to_stop = threading.Event()
    _on_stop(told_to_stop.set)
    work = WorkFolder(Path(os.environ.get(contract.WORK_ENV, "/work")))
    environment.prepare(work.scratch)
    logs.start(work.logs, "engine")
    try:
        work.result.unlink(missing_ok=True)
        result = _generate(work, work.settings(), told_to_stop)
    except EngineFailure as failure:
        result = _nothing_made(failure)
    except (Exception, SystemExit) as error:  # a library that ends the process must not take the result along
        result = _nothing_made(_defect(error))
    return _end(work, result, told_to_stop)


def _on_stop(act: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: act())


def _nothing_made(failure: EngineFailure) -> EngineResult:
    return EngineResult(exit_code=failure.code, leaves_done=0, leaves_failed=0, samples=0, error=failure.error)


def _defect(error: BaseException) -> EngineFailure:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return EngineFailure(ExitCode.INTERNAL, "WorkFolderFull", f"the work folder is full: {error.strerror}")
    log.error("a defect", exc_info=error)
    return EngineFailure(ExitCode.INTERNAL, "Internal", f"{type(error).__name__}: {error}")


def _generate(work: WorkFolder, settings: EngineSettings, told_to_stop: threading.Event) -> EngineResult:
    # Not before the caches' folders are set.
    from sdg_operator.engine import library  # noqa: PLC0415
    from sdg_operator.engine.generation import Generation  # noqa: PLC0415
    from sdg_operator.engine.progress import ProgressBoard, ProgressWriter  # noqa: PLC0415
    from sdg_operator.engine.teacher import Stopped, Teacher  # noqa: PLC0415

    library.apply(work.document)
    board = ProgressBoard(settings.leaves, time.monotonic)
    failure: EngineFailure | None = None
    generation: Generation | None = None
    try:
        access = TeacherAccess.from_environment(os.environ)
        model = os.environ.get(contract.TEACHER_MODEL_ENV) or settings.settings.model
        with ProgressWriter(board, work), Teacher(access, model, settings.max_concurrency) as teacher:
            generation = Generation(work, settings, teacher, board)
            board.trouble = lambda: teacher.trouble
            _on_stop(generation.stop)
            try:
                if told_to_stop.is_set():
                    generation.stop()
                generation.run()
                board.phase = "finished"
            finally:
                _on_stop(told_to_stop.set)  # there is soon no teacher any more to be stopped
    except EngineFailure as error:
        failure = error
    except Stopped:
        failure = EngineFailure(ExitCode.INTERRUPTED, "Interrupted", "told to stop; finished batches are kept")
    except (Exception, SystemExit) as error:
        failure = _defect(error)
    results = list(generation.results.values()) if generation else []
    failed = [each for each in results if each.outcome == "failed"]
    if failure is None and failed and len(failed) == len(settings.leaves) and not settings.leaves_elsewhere:
        low = all(each.reason == "LowYield" for each in failed)
        failure = EngineFailure(
            ExitCode.LOW_YIELD if low else ExitCode.INVALID_INPUT,
            failed[0].reason or "LeafFailed",
            f"no leaf can be made; {failed[0].leaf}: {failed[0].message}",
        )
    return EngineResult(
        exit_code=failure.code if failure else ExitCode.OK,
        leaves_done=len(results) - len(failed),
        leaves_failed=len(failed),
        samples=sum(each.samples for each in results),
        tokens=board.tokens,
        answers=board.answers,
        error=failure.error if failure else None,
    )


def _end(work: WorkFolder, result: EngineResult, told_to_stop: threading.Event) -> ExitCode:
    if result.error is not None:
        log.error("%s: %s", result.error.reason, result.error.message)
    log.info("%d leaves done, %d failed, %d samples", result.leaves_done, result.leaves_failed, result.samples)
    write_termination_message(result)
    try:
        work.write_result(result)
    except OSError:  # no room left: what was put aside is of no more use
        shutil.rmtree(work.scratch, ignore_errors=True)
        work.write_result(result)
    code = ExitCode(result.exit_code)
    if code is not ExitCode.INTERRUPTED:
        _wait_for_ack(work.sync, told_to_stop)
    return code


def _wait_for_ack(sync: Path, told_to_stop: threading.Event) -> None:
    """Give whoever uploads the results time to finish, so that the pod ends once. A courtesy: nothing rests on it.

    Told to stop, it leaves the rest of the grace period to whoever uploads.
    """
    if not sync.is_dir():
        return
    until = time.monotonic() + float(os.environ.get(contract.ACK_SECONDS_ENV, _ACK_SECONDS))
    while not (sync / "ack").exists() and time.monotonic() < until and not told_to_stop.wait(0.1):
        pass


if __name__ == "__main__":
    try:
        code = main()
    except Exception as error:
        sys.stderr.write(f"the engine cannot use its work folder: {one_line(str(error))}\n")
        code = ExitCode.INTERNAL
    logging.shutdown()
    sys.exit(code)
