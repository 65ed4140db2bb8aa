"""Logs: to standard error for whoever watches the container, and to a file that travels with the run."""

import faulthandler
import logging
import sys
from pathlib import Path
from typing import TextIO

from sdg_operator.engine.failure import one_line

_MAX_LINE = 2000


class OneLine(logging.Formatter):
    """Bounded records on one line each: what a teacher says can neither forge a line nor fill the disk at once."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = self.formatException(record.exc_info) if record.exc_info else None
        head = f"{record.levelname} {self.formatTime(record)} {record.name}: "
        line = head + one_line(record.getMessage(), _MAX_LINE)
        return f"{line}\n{traceback}" if traceback else line


def start(folder: Path, name: str) -> None:
    """Send all records from INFO on to standard error and to ``<folder>/<name>.log``.

    The library's own records are kept from WARNING on: below, it logs every block of every batch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / f"{name}.log").open("a", encoding="utf-8")
    faulthandler.enable(file)  # a crash inside a native library leaves the stacks of all threads
    handlers: list[logging.StreamHandler[TextIO]] = [logging.StreamHandler(file)]
    if not sys.stderr.isatty():
        handlers.append(logging.StreamHandler(sys.stderr))  # a terminal has the progress bar
    for handler in handlers:
        handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    for library in ("instructlab", "datasets", "docling", "docling_core", "httpx", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)
