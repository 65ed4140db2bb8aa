"""Reads each file as InstructLab does, with PyYAML's own reader, and lints it: a program, to bound its time.

The check itself uses libyaml, which is an order of magnitude faster. Both call themselves YAML 1.1, and differ at the
edges (a tab after a colon): what the one refuses, or reads as something else, must not reach the other.

``python -m sdg_operator.taxonomy.secondreader FOLDER`` reads ``0.yaml``, ``1.yaml`` and so on, and lints those whose
numbers are in ``form.json``. It writes a line of JSON for each thing that it finds: `Finding`'s fields.
"""

import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import astuple
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from instructlab.schema.taxonomy import DEFAULT_YAMLLINT_CONFIG
from yamllint import linter
from yamllint.config import YamlLintConfig
from yamllint.linter import LintProblem

from sdg_operator.taxonomy.yamlwords import Fault

FORM_LIST: Final = "form.json"
FORM_PER_FILE: Final = 50
"""A file with Windows' trailing spaces on every line says no more in its ten-thousandth message."""

_FAST: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MEANING: Final = frozenset({"key-duplicates", None})
"""Rules of yamllint that are not about form: the check finds these by itself, in every file."""


class Finding(NamedTuple):
    """One thing found; lines and columns from 1."""

    number: int
    """Of the file."""
    kind: str
    """``form``; ``more``, where `line` is the number of further ones; ``refused``, where the rest is a `Fault` or,
    about a character, nothing; ``differs``."""
    message: str = ""
    context: str = ""
    line: int = 0
    column: int = 0
    opened_line: int = 0
    opened_column: int = 0


def findings(number: int, text: str, *, form: bool) -> Iterator[Finding]:
    """Give what the second reader has against a text that libyaml takes, and with `form` what yamllint has."""
    try:
        difference = _difference(text)
    except yaml.MarkedYAMLError as error:
        yield Finding(number, "refused", *astuple(Fault.of(error)))
        return
    except yaml.reader.ReaderError:
        yield Finding(number, "refused")
        return
    if difference:
        yield Finding(number, "differs", "", "", *difference)
        return
    if not form:
        return
    found = 0
    for problem in form_problems(text):
        found += 1
        if found <= FORM_PER_FILE:
            yield Finding(number, "form", problem.message, "", problem.line, problem.column)
    if found > FORM_PER_FILE:
        yield Finding(number, "more", line=found - FORM_PER_FILE)


def form_problems(text: str) -> Iterator[LintProblem]:
    """Give what yamllint, with InstructLab's rules, has against the form of a text that is YAML."""
    return (problem for problem in linter.run(text, _lint_config()) if problem.rule not in _MEANING)


@cache
def _lint_config() -> YamlLintConfig:
    """The rules, read once: that takes longer than to lint a leaf."""
    return YamlLintConfig(DEFAULT_YAMLLINT_CONFIG)


def _difference(text: str) -> tuple[int, int] | None:
    """Give the place where the two readers part; event by event, which takes no memory."""
    own, fast = yaml.parse(text, Loader=yaml.SafeLoader), yaml.parse(text, Loader=_FAST)
    place = (1, 1)
    for event, other in zip_longest(own, fast):
        if mark := (event or other).start_mark:
            place = (mark.line + 1, mark.column + 1)
        if meaning(event) != meaning(other):
            deque(own, maxlen=0)  # what it refuses says more than that it reads something else
            return place
    return None


def meaning(event: yaml.Event | None) -> tuple[object, ...]:
    """All of an event that decides about the value."""
    names = ("anchor", "tag", "value") if isinstance(event, yaml.ScalarEvent) else ("anchor", "tag")
    plain = event.implicit[0] if isinstance(event, yaml.ScalarEvent) else None
    return (type(event), plain, *(getattr(event, name, None) for name in names))


def _main(folder: Path) -> None:
    form = set(json.loads((folder / FORM_LIST).read_text()))
    number = 0
    while (file := folder / f"{number}.yaml").exists():
        text = file.read_bytes().decode()
        for finding in findings(number, text, form=number in form):
            print(json.dumps(finding))  # noqa: T201 - for the check
        number += 1


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
