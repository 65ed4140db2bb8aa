"""Form is mended where that changes nothing else."""

import pytest

from sdg_operator.taxonomy.fix import findings, fix
from tests.taxonomies.making import knowledge, skill

GOOD = skill()
LIST = GOOD.replace("- question: Question 1?\n  answer", "-   question: Question 1?\n    answer")
EVEN = "a:\n  - b: |\n      x\n       y\n    c: d\n  - b: e\ndocument:\n  repo: r\n  patterns:\n    - p\n"
MENDED = {
    "blanks at the end of a line": (GOOD.replace("Do it.", "Do it.  "), GOOD),
    "blank lines at the end": (GOOD + "\n\n\n", GOOD),
    "blank lines between keys": (GOOD.replace("seed_ex", "\n\n\n\nseed_ex"), GOOD.replace("seed_ex", "\n\nseed_ex")),
    "no line end": (GOOD.rstrip("\n"), GOOD),
    "blanks around a colon": (GOOD.replace("version: 3", "version  :   3"), GOOD),
    "blanks behind a hyphen": (LIST, GOOD),
    "blanks around commas and in brackets": (
        knowledge().replace("patterns:\n  - '*.md'", "patterns: [  a.md,b.md ,  c.md  ]"),
        knowledge().replace("patterns:\n  - '*.md'", "patterns: [ a.md, b.md, c.md ]"),
    ),
    "many of them in a line": (
        knowledge().replace("patterns:\n  - '*.md'", "patterns  :   [  " + "a.md  ,b.md," * 20 + "c.md   ]"),
        knowledge().replace("patterns:\n  - '*.md'", "patterns: [ " + "a.md, b.md, " * 20 + "c.md ]"),
    ),
    "a line of blanks between two texts": (
        GOOD.replace("Do it.", "'Do" + " " * 100_000 + "it.'  "),
        GOOD.replace("Do it.", "'Do" + " " * 100_000 + "it.'"),
    ),
    "keys with one blank below document": (
        EVEN.replace("\n  repo", "\n repo").replace("\n  patterns", "\n patterns").replace("    - p", "   - p"),
        EVEN,
    ),
    "one item less deep": (EVEN.replace("  - b: e", "  -   b: e"), EVEN),
    "a block moves along with its key": (
        EVEN.replace("  - b: |\n      x\n       y\n    c", "  -  b: |\n       x\n        y\n     c"),
        EVEN,
    ),
    "a tab behind a colon and at the end": (GOOD.replace("answer: Answer 1.", "answer:\tAnswer 1.\t"), GOOD),
    "comments stay": (
        GOOD.replace("version: 3", "# here  \nversion:   3  # there"),
        GOOD.replace("version: 3", "# here\nversion: 3  # there"),
    ),
}


@pytest.mark.parametrize("name", MENDED)
def test_form_is_mended(name: str) -> None:
    before, want = MENDED[name]
    assert fix(before) == want
    assert not findings(want)


LEFT = {
    "good text": GOOD,
    "blanks that belong to a block": GOOD.replace("Do it.", "|\n  a  \n  b"),
    "blank lines that belong to a block": GOOD.replace("Do it.", "|+\n  a\n\n\n\n\n"),
    "a tab that libyaml reads otherwise": GOOD.replace("Answer 1", "Answer\t1"),
    "a line that editors do not count, and the last one untidy": GOOD.replace("Do it.", "Do\u2028  it.") + "x  :  y\n",
    "lines that editors do not count, and an untidy one above": GOOD.replace("Do it.", "\u2028\u2028  a\nyy:   z"),
    "no YAML": "a: b: c \n",
    "a control character": "a: \x07 \n",
}


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_mended_safely_is_left(name: str) -> None:
    assert fix(LEFT[name]) == LEFT[name]


def test_a_block_that_is_left_hinders_no_other_line() -> None:
    text = GOOD.replace("Do it.", "|\n  a  \n  b").replace("version: 3", "version:  3 ")
    assert fix(text) == GOOD.replace("Do it.", "|\n  a  \n  b")
