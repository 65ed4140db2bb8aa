"""Slips of the pen: what people write into a qna.yaml, and the words that they get for it."""

from typing import Final, NamedTuple

from tests.taxonomies.making import grounded, knowledge, seeds, skill


class Slip(NamedTuple):
    """A text that is refused with words that hold `want`, with the line in front of them."""

    name: str
    content: str
    want: str
    knowledge: bool = False
    agrees: bool = True
    """InstructLab refuses it too, for the same value; else it ends with an exception, or takes it."""


def _answer(name: str, written: str, want: str, *, agrees: bool = True) -> Slip:
    return Slip(f"an answer that is {name}", skill().replace("Answer 4.", written), want, agrees=agrees)


def _not_yaml(name: str, written: str, want: str) -> Slip:
    return _answer(name, written, f"14:{want}", agrees=False)


def _commit(written: str, want: str) -> Slip:
    content = knowledge().replace("commit: main", f"commit: {written}".rstrip())
    return Slip(f"the commit {written or 'left empty'}", content, f"[.document.commit] {want}", knowledge=True)


def _patterns(written: str, want: str, *, agrees: bool = True) -> Slip:
    content = knowledge().replace("patterns:\n  - '*.md'", f"patterns: {written}")
    return Slip(f"the patterns {written}", content, want, knowledge=True, agrees=agrees)


def _second(name: str, old: str, new: str, want: str, *, agrees: bool = False) -> Slip:
    """Change the second seed example, in the lines 7 and 8."""
    return Slip(name, skill().replace(old, new), want, agrees=agrees)


SLIPS: Final = (
    Slip(
        "a blank that is none behind a colon",
        skill().replace("created_by: ", "created_by:\u00a0"),
        "2:1 is not valid YAML: behind the colon is the character U+00A0, no blank to YAML",
        agrees=False,
    ),
    Slip(
        "one anchor for two answers",
        skill().replace("Answer 1", "&more a").replace("Answer 2", "&more b"),
        "10:11 is not valid YAML: this anchor (&) is here already, in line 8; name it otherwise",
        agrees=False,
    ),
    Slip(
        "more behind the end of the document",
        skill() + "...\nx: y\n",
        "16:1 is not valid YAML: nothing may follow the line that ends the document (...); remove that line",
        agrees=False,
    ),
    # What YAML takes for something else than text
    _answer("no", "no", "YAML reads no as a truth value; put it in quotes"),
    _answer("Off", "Off", "YAML reads Off as a truth value"),
    _answer("null", "null", "YAML reads null as nothing; put it in quotes"),
    _answer("a tilde", "~", "YAML reads ~ as nothing"),
    _answer("half a number", "1.5", "YAML reads 1.5 as a number"),
    _answer("a time of day", "12:30", "YAML reads 12:30 as a number to the base 60"),
    _answer("hexadecimal", "0x1F", "YAML reads 0x1F as a number"),
    _answer("octal", "0777", "YAML reads 0777 as a number"),
    _answer("infinite", "-.inf", "YAML reads -.inf as a number"),
    _answer("no number", ".nan", "YAML reads .nan as a number"),
    _answer("a number with underscores", "1_000", "YAML reads 1_000 as a number"),
    _answer("a date with a time", "2024-01-01 12:00:00", "YAML reads 2024-01-01 12:00:00 as a date"),
    _answer("in brackets", "[a]", "is to be text, not a list"),
    _answer("in braces", "{a}", "is to be text, not a mapping of keys"),
    _answer("binary", "!!binary aGVsbG8=", "YAML reads aGVsbG8= as binary data"),
    _answer("a comment alone", "# ten", "is empty: everything from # on is a comment; put the text in quotes"),
    _answer("an ampersand", "&amp", "is empty: & begins an anchor in YAML"),
    _answer("an empty block", "|", "14:11 [.seed_examples[4].answer] is empty in seed example 5; write the text"),
    _answer("blanks", "'  '", "is nothing but blanks in seed example 5", agrees=False),
    _answer("a non-breaking space", "\N{NO-BREAK SPACE}", "is nothing but blanks in seed example 5", agrees=False),
    # Signs that mean something to YAML
    _not_yaml("an address", "@you", '11 is not valid YAML: an unquoted text cannot begin with "@"'),
    _not_yaml("code", "`x`", '11 is not valid YAML: an unquoted text cannot begin with "`"'),
    _not_yaml("a percentage", "%5", '11 is not valid YAML: an unquoted text cannot begin with "%"'),
    _not_yaml("bold", "**yes**", "11 is not valid YAML: * begins an alias in YAML; put a text that begins with it in"),
    _not_yaml("a list item", "- x", "11 is not valid YAML: - and a blank begin an item of a list"),
    _not_yaml("a question mark", "? x", "11 is not valid YAML: ? and a blank begin a key; put the text in quotes"),
    _not_yaml("behind a bar", "| x", "11 is not valid YAML: behind | or > nothing may follow"),
    _not_yaml("a reference", "[1] says so", "15 is not valid YAML: [ begins a list in YAML, which nothing may follow"),
    _not_yaml("a template", "{{name}} b", "20 is not valid YAML: { begins a mapping in YAML, which nothing may follow"),
    _not_yaml("a bracket", "[ x", "11 is not valid YAML: [ opens a list here, which is wrong from line 15 on"),
    _not_yaml("a call", "!do it", "11 is not valid YAML: `!do` is a tag, and only plain text, lists and mappings are"),
    _not_yaml("an arrow", "<<", "11 is not valid YAML: `<<` means something of its own to YAML; put it in quotes"),
    _not_yaml("a bell", "\a", "11 is not valid YAML: there is the control character U+0007; remove it"),
    # Colons and quotes
    _not_yaml(
        "a remark", "Note: it is", "15 is not valid YAML: an unquoted text has a colon and a blank in it (`Note: it"
    ),
    _not_yaml("a heading", "As follows:", "21 is not valid YAML: an unquoted text has a colon and a blank in it"),
    _not_yaml(
        "It's", "'It's'", "15 is not valid YAML: the text in single quotes ends before `s'`; write an apostrophe"
    ),
    _not_yaml("a quotation", '"No" he said', "16 is not valid YAML: the text in double quotes ends before `he said`"),
    _not_yaml("a path", '"C:\\Users"', "16 is not valid YAML: in double quotes a backslash begins an escape, and \\U"),
    _not_yaml("an open quote", '"a', "11 is not valid YAML: the quote that opens here is never closed"),
    Slip(
        "a quote that the next one closes",
        skill().replace("Question 1?", '"What?').replace("Answer 1.", '"That."'),
        '7:13 is not valid YAML: the quote that opens here is closed only in line 8, before `That."`',
        agrees=False,
    ),
    # Blanks, tabs and lines
    _second("a tab behind a colon", "answer: Answer 1", "answer:\tAnswer 1", "8:10 is not valid YAML: there is a tab"),
    _second("a tab in a text", "Answer 1", "Answer\t1", "8:17 is not valid YAML: there is a tab"),
    _second("a tab at the end", "Answer 1.", "Answer 1.\t", "8:20 is not valid YAML: there is a tab at the end of the"),
    _second(
        "a tab as indentation", "  answer: Answer 1", "\tanswer: Answer 1", "8:1 is not valid YAML: there is a tab"
    ),
    _second(
        "a tab behind a hyphen", "- question: Question 1", "-\tquestion: Question 1", "7:2 is not valid YAML: there is"
    ),
    Slip(
        "a tab in version 1",
        skill(version=1).replace("Answer 1.", "Answer 1.\t"),
        "8:20 is not valid YAML: there is a tab at the end of the line",
        agrees=False,
    ),
    _second(
        "non-breaking spaces as indentation",
        "  answer: Answer 1",
        "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}answer: Answer 1",
        "8:1 is not valid YAML: the line begins with the character U+00A0, which looks like a blank",
    ),
    _second(
        "a line separator", "Answer 1", "Answer\u20281", "8:17 is not valid YAML: the character U+2028 stands here"
    ),
    _second(
        "an answer in the first column", "  answer: Answer 1", "answer: Answer 1", "9:1 is not valid YAML: the indent"
    ),
    _second(
        "an answer below its hyphen", "  answer: Answer 1", " answer: Answer 1", "8:2 is not valid YAML: the indent"
    ),
    _second(
        "an answer too deep", "  answer: Answer 1", "    answer: Answer 1", "`answer:` is read as a part of the text"
    ),
    _second(
        "no blank behind a colon", "question: Question 1", "question:Question 1", "7:1 is not valid YAML: a blank is"
    ),
    _second(
        "no blank behind a hyphen", "- question: Question 1", "-question: Question 1", "a blank is missing between"
    ),
    Slip(
        "a text that goes on in the first column",
        skill().replace("Answer 1.", "Answer 1,\nand so on."),
        "9:1 is not valid YAML: this line is neither a key with a colon nor indented",
        agrees=False,
    ),
    Slip(
        "a comment within a text",
        skill().replace("Answer 1.", "We are\n    the #1 and\n    #2 in town, and\n    in the country"),
        "is a comment, and ends the text that goes on in the next line",
        agrees=False,
    ),
    Slip("an equals sign", skill().replace("by: s", "by = s"), "2:1 is not valid YAML: this line is", agrees=False),
    Slip("a wide colon", skill().replace("by: s", "by\uff1as"), "U+FF1A) is no colon to YAML", agrees=False),
    Slip("a first line too deep", "  " + skill(), "2:1 is not valid YAML: this line does not begin in", agrees=False),
    Slip("an empty second document", skill() + "---\n", "15:1 is not valid YAML: a second document", agrees=False),
    Slip("keys behind the end", skill() + "...\nx: y\n", "16:1 is not valid YAML: nothing may follow", agrees=False),
    Slip("a fence of Markdown", f"```yaml\n{skill()}```\n", "1:1 is not valid YAML: an unquoted text", agrees=False),
    # Keys
    _second(
        "question misspelt",
        "- question: Question 1",
        "- quesion: Question 1",
        "7:3 [.seed_examples[1]] `question` is missing in seed example 2; `quesion` is unknown: did you mean",
        agrees=True,
    ),
    _second("a key in capitals", "answer: Answer 1", "Answer: Answer 1", "did you mean `answer`?", agrees=True),
    Slip(
        "seeds misspelt",
        skill().replace("seed_ex", "seed-ex"),
        "`seed-examples` is unknown: did you mean `seed_examples`",
    ),
    Slip(
        "an outline by another name",
        knowledge().replace("document_out", "out"),
        "did you mean `document_outline`?",
        True,
    ),
    Slip(
        "an answer misspelt in a pair",
        knowledge().replace("answer: A", "answr: A", 1),
        "`answr` is unknown: did you",
        True,
    ),
    Slip("a document that is a list", knowledge().replace("  repo", "- repo"), "remove the - before its", True),
    Slip("an outline in a skill", skill(document_outline="x"), "it belongs to a leaf below knowledge/; remove it"),
    Slip("a domain in a skill", skill(domain="x"), "`domain` is unknown; it belongs to a leaf below knowledge/"),
    Slip(
        "a question beside the seeds",
        skill(question="x"),
        "`question` is unknown; it belongs to an item of seed_examples",
    ),
    Slip(
        "patterns beside the document", knowledge(patterns=["a"]), "it belongs to document; indent it", knowledge=True
    ),
    Slip(
        "a key that begins with a non-breaking space",
        skill() + "\N{NO-BREAK SPACE}x: y\n",
        "it has the character U+00A0 in it, which nobody sees",
    ),
    Slip(
        "a key twice in version 1",
        skill(version=1) + "created_by: x\n",
        "15:1 the key `created_by` is here",
        agrees=False,
    ),
    Slip(
        "a key twice where yamllint is told to be silent",
        "# yamllint disable-file\n" + skill() + "created_by: x\n",
        "16:1 the key `created_by` is here twice (first in line 3)",
        agrees=False,
    ),
    _second(
        "a key twice in a seed",
        "  answer: Answer 1",
        "  answer: x\n  'answer': Answer 1",
        "9:3 the key `answer` is here",
    ),
    # Versions
    Slip("version v3", skill(version="v3"), "1:10 [.version] `v3` is no version"),
    Slip("version 3.5", skill(version=3.5), "1:10 [.version] `3.5` is no version; it is a whole number"),
    Slip(
        "a version left empty", skill().replace("version: 3", "version:"), "1:9 [.version] is empty; write `version: 3`"
    ),
    Slip(
        "flat knowledge of version 1",
        knowledge(version=1, document_outline=None, task_description="x", seed_examples=seeds(3)),
        "1:10 version 1: InstructLab reads knowledge of version 3 only. Of what version 3 wants, this file lacks: "
        "`document_outline`; 2 more seed examples (there are 3, and 5 are wanted); a `context` in 3 of 3 "
        "seed examples; three `questions_and_answers` in 3 of 3 seed examples (now a question and an answer stand "
        "there alone). Version 3 does not know `task_description`. Mend that, then set `version: 3`",
        knowledge=True,
    ),
    Slip(
        "knowledge of version 1 with text as seeds", knowledge(version=1, seed_examples="x"), "a list as `seed_ex", True
    ),
    Slip(
        "knowledge of version 2 with a list as document",
        knowledge(version=2, document=["x"]),
        "keys of `document`",
        True,
    ),
    Slip("version 2 in quotes", knowledge(version="2"), "version 2: InstructLab reads knowledge", True, agrees=False),
    # Lists
    _patterns("tides.md", "[.document.patterns] is to be a list; write `patterns: [tides.md]`, or each on a line"),
    _patterns("a.md, b.md", "write `patterns: [a.md, b.md]`"),
    _patterns("'*.md'", 'write `patterns: ["*.md"]`'),
    _patterns("*.md", "49:13 is not valid YAML: * begins an alias in YAML", agrees=False),
    _patterns("[*.md]", "49:14 is not valid YAML: * begins an alias in YAML", agrees=False),
    _patterns(
        "- a.md", "49:13 is not valid YAML: - and a blank begin an item of a list, on its own line", agrees=False
    ),
    Slip(
        "seed examples without hyphens",
        skill().split("seed_examples:")[0] + "seed_examples:\n  question: a\n  answer: b\n",
        "5:3 [.seed_examples] is to be a list; put a - before each item",
    ),
    # Commits
    _commit("", "is empty; write a commit, a branch or a tag, in quotes"),
    _commit("~", "YAML reads ~ as nothing; put it in quotes"),
    _commit("0123456", "YAML reads 0123456 as a number; put it in quotes"),
    _commit("1.5e+2", "YAML reads 1.5e+2 as a number; put it in quotes"),
    Slip("an author left empty", skill().replace("by: somebody", "by:"), "2:12 [.created_by] is empty; write the text"),
    Slip(
        "an author who is a number",
        skill(created_by=7),
        "2:13 [.created_by] YAML reads 7 as a number; put it in quotes",
    ),
    Slip(
        "a context of blanks",
        grounded(seed_examples=[*seeds(4, context=True), {**seeds(5)[4], "context": " "}]),
        "[.seed_examples[4].context] is nothing but blanks in seed example 5",
        agrees=False,
    ),
)

DOUBTS: Final = (
    Slip(
        "an answer that a comment cuts",
        skill().replace("Answer 1.", "Use # x"),
        "8:15 everything from # on",
    ),
    Slip(
        "a task that a comment cuts", skill(task_description="x").replace(": x", ": x # y"), "3:21 everything from # on"
    ),
    Slip(
        "a context that a comment cuts", grounded().replace("Context 1.", "C # is"), "everything from # on is a comment"
    ),
    Slip(
        "typographic quotes around a text",
        skill().replace("Answer 1.", "\N{LEFT DOUBLE QUOTATION MARK}So\N{RIGHT DOUBLE QUOTATION MARK}"),
        "are no quotes to YAML and stay in the text",
    ),
    Slip(
        "a line separator in quotes",
        skill().replace("Answer 1.", '"a\u2028b"'),
        "8:13 the character U+2028 stands here",
    ),
    Slip("version 3.0", skill(version=3.0), "1:10 the version is a whole number; write `version: 3`"),
)
"""What is taken with a warning."""

FINE: Final = (
    Slip(
        "a merged mapping", skill().replace("- question: Question 1?", "- <<: {answer: y}\n  question: Question 1?"), ""
    ),
    Slip("the end of the document", skill() + "...\n", ""),
    Slip("a comment behind a version", skill().replace("version: 3", "version: 3  # the latest"), ""),
    Slip("a text with a number sign", skill().replace("Answer 1.", "C#, and '#5' too"), ""),
    Slip("a text in quotes that says yes", skill().replace("Answer 1.", "'yes'"), ""),
    Slip("a text that is called so", skill().replace("Answer 1.", "!!str 5"), ""),
)
