"""Says in words what is wrong with a text that is not YAML: what was written, where, and how to mend it. Pure.

Both readers' own words name a token that a person never wrote ("expected <block end>"). What is told here is what
people do: a colon or a quote inside a text, a tab, a line that is not indented as its neighbours are.
"""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Final

import yaml

_SCANNER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHOWN: Final = 60
ODD_BREAK: Final = re.compile("[\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line, and editors do not show as one."""
_HIDDEN: Final = dict.fromkeys("\n\t\x85\u2028\u2029\u00a0", " ")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_LINE_END: Final = re.compile("[\n\x85\u2028\u2029]")
_LIKE_BLANKS: Final = "([\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])"
_ODD_BLANK: Final = re.compile(f"^[ \t-]*{_LIKE_BLANKS}")
_ODD_BEHIND: Final = re.compile(rf"\s*+(?:- ++)?\w++:{_LIKE_BLANKS}")
_CONFLICT: Final = re.compile(r"^<<<<<<< ", re.MULTILINE)
_KEY_AND_TEXT: Final = re.compile(r"\s*+(?:- ++)*+[^\s:'\"][^:]*+:\s++(?=\S)")
_COMMENT: Final = re.compile(r"[ \t]#")
_KEY: Final = re.compile(r"\s*+(?:- ++)?\w++:(?:\s|$)|\s*+- ")
_WIDE_COLON: Final = "\N{FULLWIDTH COLON}"
_GLUED: Final = re.compile(r"\s*(?:- +)?(-?)(\w+)(:?)\S")
_ITEM: Final = re.compile(r"\s*-[^\s-]")
_MARKS: Final = {"'": "single", '"': "double"}

_INDENTATION: Final = (
    "the indentation of this line fits none of the lines above; keys that belong together, and the - of a list, begin "
    "in the same column"
)
_STARTS: Final = {
    "scanning an alias": "* begins an alias in YAML; put a text that begins with it in quotes",
    "scanning an anchor": "& begins an anchor in YAML; put a text that begins with it in quotes",
    "block scalar": "behind | or > nothing may follow; the text begins on the next line",
    "sequence entries": "- and a blank begin an item of a list, on its own line; put a text that begins so in quotes",
    "mapping keys": "? and a blank begin a key; put the text in quotes",
}
"""What a reader says of a text that begins with a sign of YAML's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a reader said; lines and columns from 1, 0 where it named none."""

    problem: str
    context: str
    line: int
    column: int
    opened_line: int = 0
    opened_column: int = 0

    @classmethod
    def of(cls, error: yaml.MarkedYAMLError) -> "Fault":
        mark, opened = error.problem_mark or error.context_mark, error.context_mark
        return cls(
            error.problem or "",
            error.context or "",
            *((mark.line + 1, mark.column + 1) if mark else (1, 1)),
            *((opened.line + 1, opened.column + 1) if opened else (0, 0)),
        )


@dataclass(frozen=True, slots=True)
class Said:
    """The words, and the place that they are about."""

    message: str
    line: int
    column: int


def shown(text: str, length: int = _SHOWN) -> str:
    """Quote a user's own text in a message: its beginning, and nothing that a terminal obeys or nobody sees."""
    cut = text if len(text) <= length else text[: length - 1].rstrip() + "…"
    return "".join(letter if letter.isprintable() else _HIDDEN.get(letter, _REPLACEMENT) for letter in cut)


def explain(text: str, fault: Fault) -> Said:
    """Say what is wrong, in words, at the place where it is to be mended."""
    said = _Explainer(text, fault).explain()
    return Said(f"is not valid YAML: {said.message}", _line_in_an_editor(text, said.line), said.column)


def odd_character(text: str) -> Said:
    """Name the first character that YAML takes nowhere."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if not found:
        return Said("is not valid YAML: there is a character that YAML does not take", 1, 1)
    line = text.count("\n", 0, found.start()) + 1
    column = found.start() - text.rfind("\n", 0, found.start())
    return Said(f"is not valid YAML: there is the control character U+{ord(found[0]):04X}; remove it", line, column)


def _line_in_an_editor(text: str, line: int) -> int:
    """YAML counts lines that an editor does not."""
    if not ODD_BREAK.search(text):
        return line
    ends = (match for match in _LINE_END.finditer(text))
    return 1 + sum(match[0] == "\n" for match, _ in zip(ends, range(line - 1), strict=False))


class _Explainer:
    """The text as lines, and one fault in it."""

    def __init__(self, text: str, fault: Fault) -> None:
        self.text, self.fault = text, fault
        self.lines = _LINE_END.split(text)

    def explain(self) -> Said:
        for attempt in (self._outside, self._blanks, self._quotes, self._starts, self._structure):
            if said := attempt():
                return said
        context = f" ({self.fault.context})" if self.fault.context else ""
        return self._here(shown(self.fault.problem + context, 200))

    def _here(self, message: str) -> Said:
        return Said(message, self.fault.line, self.fault.column)

    def _opened(self, message: str) -> Said:
        return Said(message, self.fault.opened_line or self.fault.line, self.fault.opened_column or self.fault.column)

    def _line(self, number: int) -> str:
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def _rest(self) -> str:
        return self._line(self.fault.line)[self.fault.column - 1 :]

    def _outside(self) -> Said | None:
        """Find what is no YAML at all, or more than one document of it."""
        problem = self.fault.problem
        if conflict := _CONFLICT.search(self.text):
            line = len(_LINE_END.findall(self.text, 0, conflict.start())) + 1
            return Said("a merge conflict of Git is left in the file; decide between its two sides", line, 1)
        if "another document" in problem:
            message = "a second document begins here (---), and a file has one"
            return self._here(f"{message}; remove the line, or make two files")
        if "<document start>" in problem and not self.fault.context:
            if self._line(self._above()).startswith("..."):
                return self._here("nothing may follow the line that ends the document (...); remove that line")
            return self._here("this line does not begin in the column where the first line does; the keys of a file do")
        if "directive" in self.fault.context:
            return self._opened("a line that begins with % is an instruction to YAML; indent it, or put it in quotes")
        return None

    def _blanks(self) -> Said | None:
        fault, line = self.fault, self._line(self.fault.line)
        indentation = line[: len(line) - len(line.lstrip())]
        if self._rest().startswith("\t") or "tab" in fault.problem.split() or "\t" in indentation:
            where = "the end of the line" if not self._rest().strip() else "this place"
            what = "remove it" if not self._rest().strip() else "put blanks in its place"
            column = line.index("\t") + 1 if "\t" in indentation else fault.column
            return Said(f"there is a tab at {where}, and YAML takes no tabs there; {what}", fault.line, column)
        for number in (fault.line, fault.line - 1, fault.opened_line):
            if odd := _ODD_BLANK.match(self._line(number)):
                message = f"the line begins with the character U+{ord(odd[1]):04X}, which looks like a blank and is "
                return Said(message + "none to YAML; use plain blanks", number, odd.start(1) + 1)
        return self._odd_break()

    def _odd_break(self) -> Said | None:
        """Find a line end that nobody sees in the lines that the fault is about."""
        first = min(fault_line for fault_line in (self.fault.line - 1, self.fault.opened_line or self.fault.line))
        ends = enumerate(_LINE_END.finditer(self.text), 1)
        for number, end in islice(ends, max(0, first - 2), self.fault.line):
            if end[0] != "\n":
                message = f"the character U+{ord(end[0]):04X} stands here, which ends the line for YAML"
                column = end.start() - self.text.rfind("\n", 0, end.start())
                return Said(f"{message}; put a blank or a line break in its place", number, column)
        return None

    def _quotes(self) -> Said | None:
        fault = self.fault
        if "quoted scalar" in fault.context:
            return self._inside_quotes()
        last = self._token_before()
        if not isinstance(last, yaml.ScalarToken) or last.style not in _MARKS or "tag" in fault.problem:
            return None
        first, end = last.start_mark.line + 1, last.end_mark.line + 1
        rest = shown(self._rest(), 30)
        if end != fault.line:
            return None
        if first < end:
            message = f"the quote that opens here is closed only in line {end}, before `{rest}`"
            return Said(f"{message}; close it where its text ends", first, last.start_mark.column + 1)
        mend = (
            "write an apostrophe inside as two (''), or put the text in double quotes"
            if last.style == "'"
            else 'write a quote inside as \\", or put the text in single quotes'
        )
        return self._here(f"the text in {_MARKS[last.style]} quotes ends before `{rest}`; {mend}")

    def _inside_quotes(self) -> Said | None:
        if "escape" in self.fault.problem or "decimal" in self.fault.problem:
            line = self._line(self.fault.line)
            escape = shown(line[line.rfind("\\", 0, self.fault.column) + 1 :][:1])
            message = f"in double quotes a backslash begins an escape, and \\{escape} is none"
            return self._here(f"{message}; write two backslashes, or put the text in single quotes")
        if "end of stream" in self.fault.problem or "document" in self.fault.problem:
            return self._opened("the quote that opens here is never closed")
        return None

    def _token_before(self) -> yaml.Token | None:
        """Give the last token that ends before the fault."""
        last = None
        try:
            for token in yaml.scan(self.text, Loader=_SCANNER):
                if (token.start_mark.line + 1, token.start_mark.column + 1) >= (self.fault.line, self.fault.column):
                    break
                if not isinstance(token, (yaml.BlockEndToken, yaml.KeyToken, yaml.ValueToken)):
                    last = token
        except yaml.YAMLError:
            pass
        return last

    def _starts(self) -> Said | None:
        """Find a text that begins with what means something to YAML."""
        fault = self.fault
        if "cannot start any token" in fault.problem:
            start = shown(self._rest()[:1])
            return self._here(f'an unquoted text cannot begin with "{start}"; put the text in quotes')
        if "tag" in fault.problem.split() or "a tag" in fault.context:
            tag = shown(self._rest().split(" ")[0] or fault.problem.rpartition("tag ")[2])
            if tag in {"<<", "="}:
                return self._here(f"`{tag}` means something of its own to YAML; put it in quotes")
            message = f"`{tag}` is a tag, and only plain text, lists and mappings are taken"
            return self._here(f"{message}; put a text that begins with ! in quotes, or remove the tag")
        if "duplicate anchor" in self.fault.context:
            message = f"this anchor (&) is here already, in line {self.fault.opened_line}; name it otherwise"
            return self._here(f"{message}, or put a text that begins with & in quotes")
        for sign, words in _STARTS.items():
            if sign in fault.context or sign in fault.problem:
                return self._opened(words)
        return None

    def _structure(self) -> Said | None:
        fault = self.fault
        problem, context = fault.problem, fault.context
        if "flow" in context:
            return self._bracket()
        if "mapping values" in problem:
            return self._colon()
        if "expected ':'" in problem:
            line = self._line(fault.opened_line)
            glued = _glued(line)
            message = glued or "this line is neither a key with a colon nor indented as a part of the text above it"
            return self._opened(message if glued else f"{message}; indent it deeper than the key of its text")
        if "expected key" in problem or "<block end>" in problem or "'-' indicator" in problem:
            return self._behind_a_comment() or self._here(self._behind_a_bracket() or _INDENTATION)
        return None

    def _behind_a_comment(self) -> Said | None:
        """Find a comment that ends a text of several lines before its time."""
        above = self._above()
        comment = _COMMENT.search(self._line(above))
        if not comment or _KEY.match(self._line(self.fault.line)):
            return None
        message = "everything from # on is a comment, and ends the text that goes on in the next line"
        return Said(f"{message}; put the text in quotes", above, comment.end())

    def _bracket(self) -> Said:
        mark = self._line(self.fault.opened_line)[self.fault.opened_column - 1 :][:1]
        if mark not in {"[", "{"}:
            return self._here("a list in [ ] or a mapping in { } is not complete; put a text with them in quotes")
        what = "a list" if mark == "[" else "a mapping"
        message = f"{mark} opens {what} here, which is wrong from line {self.fault.line} on"
        return self._opened(f"{message}; close it, or put a text that begins with {mark} in quotes")

    def _behind_a_bracket(self) -> str:
        last = self._token_before()
        closing = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
        if not isinstance(last, closing) or last.end_mark.line + 1 != self.fault.line:
            return ""
        what = "[ begins a list" if isinstance(last, yaml.FlowSequenceEndToken) else "{ begins a mapping"
        return f"{what} in YAML, which nothing may follow (`{shown(self._rest(), 30)}`); put the text in quotes"

    def _above(self) -> int:
        """Number of the last line above the fault that is not empty; 0 where there is none."""
        return next((number for number in range(self.fault.line - 1, 0, -1) if self._line(number).strip()), 0)

    def _colon(self) -> Said:
        fault = self.fault
        line = self._line(fault.line)
        before = line[: fault.column - 1]
        if key := _KEY_AND_TEXT.match(before):
            start = max(key.end(), fault.column - 30)
            around = ("…" if start > key.end() else "") + shown(line[start:].strip(), 40)
            return self._here(f"an unquoted text has a colon and a blank in it (`{around}`); put the text in quotes")
        above = self._above()
        if glued := _glued(self._line(above)):
            return Said(glued, above, 1)
        message = f"`{shown(before.strip(), 40)}:` is read as a part of the text above it (line {above})"
        return self._here(f"{message}; indent it as the keys beside it, or put the text in quotes if it belongs to it")


def _glued(line: str) -> str:
    """Name the blank that is missing behind a colon or a hyphen, or the colon that is none."""
    if _WIDE_COLON in line:
        return f"{_WIDE_COLON} (U+FF1A) is no colon to YAML; write : and a blank"
    if odd := _ODD_BEHIND.match(line):
        return (
            f"behind the colon is the character U+{ord(odd[1]):04X}, no blank to YAML; put a plain blank in its place"
        )
    match = _GLUED.match(line)
    if match and match[3] and ": " not in line:
        return f"a blank is missing behind the colon of `{shown(match[2])}`"
    if match and match[1] and ":" in line:
        return f"a blank is missing between the - and `{shown(match[2])}`"
    if _ITEM.match(line):
        return "a blank is missing behind the -"
    return ""
