"""Whatever the form: what a text says stays, nothing becomes worse, and a second time changes nothing."""

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from sdg_operator.taxonomy.fix import findings, fix
from tests.property.examples import fuzz
from tests.taxonomies.making import grounded, knowledge, skill

BLOCKS = st.sampled_from(
    ["|\n  a  \n\n   b\n", ">-\n  a\n  b \n\n\n", "|+\n  a\n\n\n\n", '"a\n  b \n\n  c"', "'a'  # c  ", "a\n  b"]
)
TEXTS = st.sampled_from([skill(), grounded(), knowledge()])
FAULTS = st.sampled_from(
    [" ", "  ", "\n", "\n\n\n\n", "\t", " # c ", "\n# d  \n", "- ", "[ ]", "{a: 1 ,b: [c,d]}", "\u2028"]
)


@st.composite
def untidy(draw: st.DrawFn) -> str:
    """Give a leaf's text with faults of form put in anywhere; not every one is YAML any more."""
    text = draw(TEXTS).replace("somebody", draw(BLOCKS).strip("\n"))
    for _ in range(draw(st.integers(0, 8))):
        places = [number for number, letter in enumerate(text) if letter in " \n:-,["]
        place = draw(st.sampled_from(places)) + draw(st.sampled_from([0, 1]))
        text = text[:place] + draw(FAULTS) + text[place:]
    for _ in range(draw(st.integers(0, 2))):
        lines = text.split("\n")
        first, last = sorted(draw(st.integers(0, len(lines) - 1)) for _ in "ab")
        blanks = " " * draw(st.integers(1, 3))
        text = "\n".join(blanks + line if first <= number <= last else line for number, line in enumerate(lines))
    return text


def _value(text: str) -> object:
    try:
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError):
        return None


@fuzz(4)
@given(untidy())
def test_the_value_and_the_comments_stay(text: str) -> None:
    before = _value(text)
    fixed = fix(text)
    if before is None:
        assume(fixed != text)  # a tab alone was wrong
        before = list(yaml.load_all(text, yaml.CSafeLoader))
    assert _value(fixed) == before
    assert fixed.count("#") == text.count("#")
    assert fix(fixed) == fixed
    if _value(text) is not None:
        assert len(findings(fixed)) <= len(findings(text))


@fuzz()
@given(st.text(alphabet="ab:-#'\"|> \n\t[]{},&*!?\u2028", max_size=60))
def test_any_text(text: str) -> None:
    fixed = fix(text)
    assert fix(fixed) == fixed
    if (before := _value(text)) is not None:
        assert _value(fixed) == before
