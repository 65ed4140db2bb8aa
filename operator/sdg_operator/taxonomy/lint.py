"""Runs the second reader and yamllint over all files at once, as a program of its own.

yamllint has InstructLab's default rules. InstructLab itself starts the ``yamllint`` that is on PATH once for each file,
and skips linting when there is none.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Event, Timer
from typing import NamedTuple

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.secondreader import FORM_LIST, Finding
from sdg_operator.taxonomy.tree import printable
from sdg_operator.taxonomy.yamlwords import Fault, explain, odd_character


class Text(NamedTuple):
    """A file that libyaml takes."""

    file: str
    text: str
    form: bool
    """Whether its form is looked at too: InstructLab lints from version 2 on."""


@dataclass(slots=True)
class Findings:
    """What was found in all files."""

    refused: list[Problem] = field(default_factory=list)
    """What PyYAML's own reader, InstructLab's, has against a file."""
    form: list[Problem] = field(default_factory=list)
    """yamllint's messages, warnings too (InstructLab is strict), each with its rule."""
    form_total: int = 0
    """All matters of form, also those that are not in the list."""


def lint(texts: Iterable[Text], seconds: float, limit: int = 1_000) -> Findings:
    """Read the files a second time; give at most `limit` matters of form.

    No more than one text is held at a time. Raises `CheckError` with reason TimedOut after `seconds`.
    """
    found = Findings()
    further: list[Problem] = []
    with closing(_findings(texts, seconds)) as findings:
        for file, text, finding in findings:
            place = {"file": file, "line": finding.line, "column": finding.column}
            match finding.kind:
                case "form":
                    found.form_total += 1
                    if len(found.form) < limit:
                        found.form.append(Problem(**place, message=printable(finding.message)))
                case "more":
                    found.form_total += finding.line
                    further.append(Problem(file=file, message=f"{finding.line} further messages of yamllint"))
                case "refused":
                    found.refused.append(_refused(file, text.read_bytes().decode(), finding))
                case _:
                    found.refused.append(Problem(**place, message=_differs(text, finding.line)))
    if len(found.form) == limit:
        further = [Problem(message="further messages of yamllint were not read: there are too many")]
    found.form += further[:limit]
    return found


def _refused(file: str, text: str, finding: Finding) -> Problem:
    said = explain(text, Fault(*finding[2:])) if finding.line else odd_character(text)
    return Problem(file=file, line=said.line, column=said.column, message=said.message)


def _differs(text: Path, line: int) -> str:
    with text.open(encoding="utf-8", newline="") as lines:
        here = next(islice(lines, line - 1, None), "")
    if "\t" in here:
        return "there is a tab in the text, which not every YAML reader takes for the same; put blanks in its place"
    return "not every YAML reader takes this for the same; put the text in quotes, without a tag (!) before it"


def _findings(texts: Iterable[Text], seconds: float) -> Generator[tuple[str, Path, Finding], None, None]:
    """Run the program and give its findings as it writes them, each with its file's name and copy."""
    names: list[str] = []
    form: list[int] = []
    late = Event()
    with TemporaryDirectory(prefix="lint-") as place, TemporaryFile() as errors:
        folder = Path(place)
        for text in texts:
            _copy(folder, len(names)).write_text(text.text, encoding="utf-8", newline="")
            if text.form:
                form.append(len(names))
            names.append(text.file)
        if not names:
            return
        (folder / FORM_LIST).write_text(json.dumps(form))
        command = [sys.executable, "-P", "-m", "sdg_operator.taxonomy.secondreader", place]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:

            def give_up() -> None:
                late.set()
                process.kill()

            watchdog = Timer(seconds, give_up)
            watchdog.start()
            try:
                assert process.stdout is not None, "it is a pipe"
                for line in process.stdout:
                    if late.is_set():  # the line may be cut
                        break
                    finding = Finding(*json.loads(line))
                    yield names[finding.number], _copy(folder, finding.number), finding
                process.wait()
            finally:
                watchdog.cancel()
                process.kill()
        if late.is_set():
            raise CheckError("TimedOut", f"yamllint took more than {seconds:.0f} seconds", retriable=True)
        errors.seek(0)
        if text_of_errors := errors.read().decode(errors="replace"):
            raise RuntimeError(f"the second reader failed with exit code {process.returncode}: {text_of_errors[-500:]}")
        if process.returncode:
            raise RuntimeError(f"the second reader ended with exit code {process.returncode}")


def _copy(folder: Path, number: int) -> Path:
    return folder / f"{number}.yaml"
