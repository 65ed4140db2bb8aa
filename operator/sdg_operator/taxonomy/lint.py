"""Runs yamllint over all files at once, as a program of its own with InstructLab's default rules.

InstructLab starts the program ``yamllint`` that is on PATH once for each file, and skips linting when there is none.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Event, Timer
from typing import Final

from instructlab.schema.taxonomy import DEFAULT_YAMLLINT_CONFIG

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.tree import printable

_LINE: Final = re.compile(
    r"\./(?P<number>\d{1,9})\.yaml:(?P<line>\d{1,9}):(?P<column>\d{1,9}): \[\w+\] (?P<message>.*)"
)
_PER_FILE: Final = 50
"""A file with Windows' trailing spaces on every line says no more in its ten-thousandth message."""


def lint(texts: Iterable[tuple[str, str]], seconds: float, limit: int = 1_000) -> list[Problem]:
    """Give the messages of yamllint, warnings too (InstructLab is strict), of files with their text; at most `limit`.

    No more than one text is held at a time. Raises `CheckError` with reason TimedOut after `seconds`.
    """
    problems: list[Problem] = []
    found: Counter[str] = Counter()
    with closing(_messages(texts, seconds)) as messages:
        for file, line, column, message in messages:
            found[file] += 1
            if found[file] <= _PER_FILE:
                problems.append(Problem(file=file, line=line, column=column, message=message))
            if len(problems) >= limit:
                return [*problems, Problem(message="further messages of yamllint were not read: there are too many")]
    more = {file: count - _PER_FILE for file, count in found.items() if count > _PER_FILE}
    return problems + [Problem(file=file, message=f"{n} further messages of yamllint") for file, n in more.items()]


def _messages(texts: Iterable[tuple[str, str]], seconds: float) -> Generator[tuple[str, int, int, str], None, None]:
    """Run the program and give its messages as it writes them: there may be millions."""
    names: list[str] = []
    command = [sys.executable, "-P", "-m", "yamllint", "-f", "parsable", "-d", DEFAULT_YAMLLINT_CONFIG, "."]
    late = Event()
    with TemporaryDirectory(prefix="lint-") as folder, TemporaryFile() as errors:
        for name, content in texts:
            (Path(folder) / f"{len(names)}.yaml").write_text(content, encoding="utf-8", newline="")
            names.append(name)
        if not names:
            return
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors) as process:

            def give_up() -> None:
                late.set()
                process.kill()

            watchdog = Timer(seconds, give_up)
            watchdog.start()
            try:
                assert process.stdout is not None, "it is a pipe"
                for line in process.stdout:
                    match = _LINE.match(line.decode(errors="replace"))
                    # A key with a line break in it can look like a message of its own.
                    if match and int(match["number"]) < len(names):
                        place = int(match["line"]), int(match["column"])
                        yield names[int(match["number"])], *place, printable(match["message"])
            finally:
                watchdog.cancel()
                process.kill()
        if late.is_set():
            raise CheckError("TimedOut", f"yamllint took more than {seconds:.0f} seconds", retriable=True)
        errors.seek(0)
        if text := errors.read().decode(errors="replace"):  # a crash has exit code 1, as errors that were found have
            raise RuntimeError(f"yamllint failed with exit code {process.returncode}: {text[-500:]}")
