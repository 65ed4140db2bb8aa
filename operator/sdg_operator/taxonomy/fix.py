"""Mends the form of a qna.yaml, and nothing else: text in, text out. Pure.

Edits go where yamllint points, in small groups. A group is taken only where it is proved that nothing else changed:
PyYAML's own reader must give the same events as before, so the same value, and the comments must be the same. What
cannot be mended so stays as it is. Libraries that load and write again (ruamel.yaml, yamlfix) were not taken: they wrap
and quote what nobody asked them to.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby, product
from typing import Final

import yaml
from yamllint import parser
from yamllint.linter import LintProblem

from sdg_operator.taxonomy.reindent import reindent
from sdg_operator.taxonomy.secondreader import form_problems, meaning

_FAST: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ROUNDS: Final = 5
_TABS: Final = 100
_TABS_READ: Final = 4_000_000
"""Characters that are read in all to find tabs, each time from the beginning: seconds."""
_LAYOUT: Final = frozenset({"indentation", "hyphens"})
_EXCESS: Final = re.compile(r"too many blank lines \((\d+) > (\d+)\)")
_RUN: Final = re.compile(" *")

_Meaning = tuple[list[tuple[object, ...]], list[str]]
_Edit = Callable[[list[str], list[LintProblem]], None]


@lru_cache(maxsize=8)
def findings(text: str) -> tuple[LintProblem, ...]:
    """Give what yamllint, with InstructLab's rules, has against the form of a text that is YAML."""
    return tuple(form_problems(text))


def fix(text: str) -> str:
    """Give the text with its form mended as far as that can be done safely; the same text where it cannot.

    The value, the order of keys and the comments stay. A text that is no YAML stays too, except for tabs that libyaml
    takes and InstructLab's reader does not.
    """
    text = _without_tabs(text)
    try:
        said = _meaning(text)
    except yaml.YAMLError:
        return text
    before = findings(text)
    fixed = text
    for _ in range(_ROUNDS):
        once = _round(fixed, said)
        if once == fixed:
            break
        fixed = once
    return fixed if len(findings(fixed)) <= len(before) else text


def _round(text: str, said: _Meaning) -> str:
    for edit, rules in _EDITS:
        for inside in (False, True):  # a blank may belong to the text of a block, and then only that edit is lost
            found = [problem for problem in findings(text) if problem.rule in rules]
            block = _block_lines(text) if found else set()
            if found := [problem for problem in found if (problem.line in block) == inside]:
                lines = text.split("\n")
                edit(lines, found)
                text = _proved(text, "\n".join(lines), said)
    if any(problem.rule in _LAYOUT for problem in findings(text)):
        text = _laid_out(text, said)
    return text


def _laid_out(text: str, said: _Meaning) -> str:
    """Choose among the usual layouts: the fewest findings, then the fewest lines changed."""
    candidates = [(len(findings(text)), 0, text)]
    for width, indented in product((2, 4), (False, True)):
        changed = reindent(text, width=width, indented=indented)
        if changed is not None and _proved(text, changed, said) == changed:
            lines = sum(old != new for old, new in zip(text.split("\n"), changed.split("\n"), strict=True))
            candidates.append((len(findings(changed)), lines, changed))
    return min(candidates)[2]


def _proved(text: str, changed: str, said: _Meaning) -> str:
    """Give the changed text if it says what the text said."""
    try:
        return changed if _meaning(changed) == said else text
    except yaml.YAMLError:
        return text


def _meaning(text: str) -> _Meaning:
    events = [meaning(event) for event in yaml.parse(text, Loader=yaml.SafeLoader)]
    comments = [
        str(item).rstrip() for item in parser.token_or_comment_generator(text) if isinstance(item, parser.Comment)
    ]
    return events, comments


def _without_tabs(text: str) -> str:
    """Put a blank where InstructLab's reader stumbles over tabs, if that is how libyaml reads it."""
    changed = text
    for _ in range(min(_TABS, _TABS_READ // (len(text) + 1))):
        try:
            own = [meaning(event) for event in yaml.parse(changed, Loader=yaml.SafeLoader)]
            fast = [meaning(event) for event in yaml.parse(text, Loader=_FAST)]
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            if mark is None or changed[mark.index : mark.index + 1] != "\t":
                return text
            changed = changed[: mark.index] + " " + changed[mark.index :].lstrip("\t")
        except yaml.YAMLError:
            return text
        else:
            return changed if own == fast else text
    return text


def _block_lines(text: str) -> set[int]:
    """Lines, from 1, that belong to the text of a block (``|`` or ``>``)."""
    blocks = (
        token
        for token in yaml.scan(text, Loader=yaml.SafeLoader)
        if isinstance(token, yaml.ScalarToken) and token.style in {"|", ">"}
    )
    return {line for block in blocks for line in range(block.start_mark.line + 2, block.end_mark.line + 2)}


def _trailing(lines: list[str], found: list[LintProblem]) -> None:
    for problem in found:
        lines[problem.line - 1] = lines[problem.line - 1].rstrip(" \t")


def _last_line_end(lines: list[str], _found: list[LintProblem]) -> None:
    lines.append("")


def _blank_lines(lines: list[str], found: list[LintProblem]) -> None:
    gone: set[int] = set()
    for problem in found:
        if match := _EXCESS.match(problem.desc):
            excess = int(match[1]) - int(match[2])
            gone.update(range(problem.line - excess, problem.line))
    lines[:] = [line for number, line in enumerate(lines) if number not in gone]


def _spacing(lines: list[str], found: list[LintProblem]) -> None:
    for number, problems in groupby(sorted(found, key=lambda item: (item.line, item.column)), lambda item: item.line):
        if number <= len(lines):  # a U+2028 ends a line for YAML, and so for what yamllint counts here
            lines[number - 1] = "".join(_spaced(lines[number - 1], problems))


def _spaced(line: str, problems: Iterable[LintProblem]) -> Iterator[str]:
    """Give a line in pieces, mended at each of the places from left to right."""
    done = 0
    for problem in problems:
        start = end = min(problem.column - 1, len(line))
        kept = " "
        if not problem.desc.startswith("too few"):
            start += line[start : start + 1] not in {"", " "}
            while start > done and line[start - 1] == " ":
                start -= 1
            end = max(end, _RUN.match(line, end).end())  # type: ignore[union-attr]
            kept = "" if " before " in problem.desc else " "
        if start >= done:
            yield line[done:start] + kept
            done = max(start, end)
    yield line[done:]


_EDITS: Final[tuple[tuple[_Edit, frozenset[str | None]], ...]] = (
    (_trailing, frozenset({"trailing-spaces"})),
    (_last_line_end, frozenset({"new-line-at-end-of-file"})),
    (_blank_lines, frozenset({"empty-lines"})),
    (_spacing, frozenset({"colons", "commas", "brackets", "braces"})),
)
