"""What the check calls a document without text is one of which the engine's chunker makes no chunk."""

import random

import pytest

from sdg_operator.engine.chunker import chunks_of
from sdg_operator.taxonomy.markdowntext import has_text

WITHOUT = {
    "nothing": "",
    "blanks": " \n\t\n\u00a0\n\u3000\n\f\n",
    "a byte order mark": "\ufeff",
    "headings": "# A\n\n## B - C: d's 1.2 (e) & f?\n",
    "headings after a byte order mark": "\ufeff# A\n",
    "headings with Windows' line ends": "# A\r\n\r\n## B\r\n",
    "headings without a blank line": "# A\n## B\n### C",
    "empty headings": "#\n\n##\n",
    "closed headings": "# A #\n",
    "headings with marks inside words": "# a_b_c\n\n# 2 * 3\n\n# x < y\n",
    "headings of code": "# `f(x)`\n",
    "underlined headings": "A\n===\n\nB\n---\n",
    "front matter of one line": "---\ntitle: x\n---\n",
    "a comment": "<!-- x -->\n",
    "a comment of many lines": "# A\n\n<!--\nx\n\ny\n-->\n",
    "comments in a line": "<!-- a --> <!-- b -->\n",
    "rules": "---\n\n***\n\n_ _ _\n",
    "definitions of links": "[a]: http://x\n[b]: <y> \"z\"\n[c]: d 'e'\n",
    "images without words": "# A\n\n![](x.png)\n\n![](y.png) ![](z.png)\n",
    "an empty code block": "```python\n\n\n```\n",
    "an empty code block of tildes": "~~~\n~~~\n",
    "an empty list": "-\n-\n\n1.\n2.\n",
    "an empty quotation": ">\n>\n",
    "empty tags": '<br>\n\n<div align="center"></div>\n\n<a name="x"></a>\n\n<p>\n</p>\n',
    "a heading of tags": "<h1 align='center'>A</h1>\n",
    "line breaks": "  \n  \n",
}
WITH = {
    "a word": "x\n",
    "a mark": ".\n",
    "text below a heading": "# A\n\nx\n",
    "text after Windows' line ends": "\ufeff# A\r\n\r\nx\r\ny\r\n",
    "text below an underlined heading": "A\n===\nx\n",
    "a heading underlined below two lines": "a\nb\n---\n",
    "front matter of two lines": "---\ntitle: x\nauthor: y\n---\n",
    "a heading with bold words": "# A **b** c\n",
    "a heading with a link": "# [a](http://x) b\n",
    "a heading with code and words": "# The `f` option\n",
    "a heading with an address": "# See http://x.y now\n",
    "a heading in a list": "- # A\n",
    "a heading below an item": "-\n  # A\n",
    "a comment that has no end": "<!-- x\n\ny\n",
    "text behind a comment": "<!-- x --> y\n",
    "a heading within tags": "<div>\n# A\n</div>\n",
    "text within tags": "<div>x</div>\n",
    "an image with words": "![a](x.png)\n",
    "a definition below an image": "![](x.png)\n[a]: http://x\n",
    "a table": "a line\n| a | b |\n|---|---|\n| c | d |\n",
    "a table's head": "| a | b |\n|---|---|\n",
    "a list": "- a\n",
    "a quotation": "> a\n",
    "code": "```\nx\n```\n",
    "code that has no end": "```\nx\n",
    "indented code": "# A\n\n    x\n",
    "a heading that is indented too far": "    # A\n",
    "a code span": "`x`\n",
    "a link": "[a](http://x)\n",
    "an escaped heading": "\\# A\n",
    "no heading for want of a blank": "#A\n",
    "seven hashes": "####### A\n",
    "a task": "- [ ]\n",
    "dashes that docling takes for damage": "- - - - - - - - - - - -\n# A\n",
    "items that docling takes for damage": "-\n" * 12 + "# A\n",
}
IN_DOUBT = {
    "a comment in a list": "- <!-- x -->\n",
    "a heading in a quotation": "> # A\n",
    "an empty table": "|  |\n|---|\n|  |\n",
    "a program": "<script>x</script>\n",
    "a heading of a picture": "# ![a](x.png)\n",
}
"""The chunker gives nothing, and the check takes them: rather that than a good document refused."""


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT)
def test_a_document_without_text_gives_no_chunk(text: str) -> None:
    assert chunks_of("a.md", text.encode()) == []
    assert not has_text(text)


@pytest.mark.filterwarnings("ignore:Detected potentially incorrect Markdown")
@pytest.mark.parametrize("text", WITH.values(), ids=WITH)
def test_a_document_with_text_gives_a_chunk(text: str) -> None:
    chunks = chunks_of("a.md", text.encode())
    assert chunks
    assert not any(mark in chunk for chunk in chunks for mark in "\ufeff\r")
    assert has_text(text)


@pytest.mark.parametrize("text", IN_DOUBT.values(), ids=IN_DOUBT)
def test_in_doubt_a_document_is_taken(text: str) -> None:
    assert chunks_of("a.md", text.encode()) == []
    assert has_text(text)


def test_no_mixture_that_gives_a_chunk_is_called_without_text() -> None:
    chance = random.Random(15)
    pieces = [*WITHOUT.values(), "x\n", "- a\n", "> # A\n", "-\n", "# A\n", "---\n"]
    ends = ["\n", "\n\n", "\n  ", "\n> ", "\n\t"]
    called = 0
    for _ in range(1500):
        text = "".join(chance.choice(pieces).strip("\n") + chance.choice(ends) for _ in range(chance.randint(2, 5)))
        if not has_text(text):
            called += 1
            assert chunks_of("a.md", text.encode()) == [], repr(text)
    assert called > 200


HOSTILE_WITHOUT = ["![](a)", "<!-- -->", "> ", "\t", "a\n=\n", "# A\n", "`", "_", "*", "1. "]
HOSTILE_WITH = ["[", "<!-- ", "<a ", "- ", "# `", "#", "<h1>", "&", "# *", "\\"]


@pytest.mark.deep
@pytest.mark.parametrize("piece", [*HOSTILE_WITHOUT, *HOSTILE_WITH])
def test_a_mebibyte_of_anything_is_judged(piece: str) -> None:
    """It would take hours, and so end by the time-out, if the time were quadratic."""
    assert has_text(piece * ((1 << 20) // len(piece))) == (piece in HOSTILE_WITH)
