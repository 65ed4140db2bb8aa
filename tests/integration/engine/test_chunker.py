"""Text without blanks, or without any place to cut at, is cut all the same: nothing lost, no chunk too long."""

import itertools
import random
import re
from pathlib import Path

import pytest

from sdg_operator.engine import estimate
from sdg_operator.engine.chunker import MAX_TOKENS, chunks_of
from sdg_operator.engine.tokens import estimated
from tests.unit.engine.test_tokens import as_it_was

SCRIPTS = {
    "Chinese": "鸟在河边筑巢以种子昆虫和浆果为食冬天它们成群结队飞往低地",
    "Japanese": "この鳥は川の近くに住み種や昆虫を食べますコーヒー冬になると群れをなします",
    "Thai": "นกตัวนี้อาศัยอยู่ใกล้แม่น้ำและกินเมล็ดพืชแมลงและผลไม้ในฤดูหนาว",
}


def paragraph(letters: str, length: int, stop: str) -> str:
    """One paragraph without a blank or a line end, of sentences that end with `stop`."""
    chance = random.Random(7)
    sentences = ("".join(chance.choices(letters, k=chance.randint(8, 40))) + stop for _ in itertools.count())
    text = ""
    while len(text) < length:
        text += next(sentences)
    return text[:length]


def check(text: str, heading: str = "") -> None:
    chunks = chunks_of("a.md", (f"# {heading}\n\n{text}" if heading else text).encode())
    assert max(map(estimated, chunks)) <= MAX_TOKENS
    assert len(text) / MAX_TOKENS <= len(chunks) <= 1.2 * len(text) / MAX_TOKENS + 1
    assert 1 <= estimate.chunks(len(text.encode())) / len(chunks) <= 2  # what a run is told to cost
    assert "".join(chunk.removeprefix(heading).lstrip("\n") for chunk in chunks) == text


@pytest.mark.parametrize("stop", ["", "。", "，"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_paragraph_without_blanks_is_cut(script: str, stop: str) -> None:
    check(paragraph(SCRIPTS[script], 20_000, stop))
    check(paragraph(SCRIPTS[script], 20_000, stop), heading="小鸟")


TABLES_AND_LISTS = {
    "a table with a long cell": "| 名 | 文 |\n|---|---|\n| 鸟 | {} |\n",
    "a long item": "- {0}\n- {0}\n",
    "code": "```\n{}\n```\n",
    "a quotation": "> {}\n",
    "headings that are long themselves": "# {0:.150}\n\n## {0:.150}\n\n{0}\n",
}


@pytest.mark.parametrize("form", TABLES_AND_LISTS.values(), ids=TABLES_AND_LISTS)
def test_other_forms_of_text_without_blanks_are_cut_too(form: str) -> None:
    text = form.format(paragraph(SCRIPTS["Chinese"], 3000, ""))
    chunks = chunks_of("a.md", text.encode())
    assert max(map(estimated, chunks)) <= MAX_TOKENS
    assert "".join(chunks).count("鸟") >= text.count("鸟") > 50


@pytest.mark.parametrize("script", SCRIPTS)
def test_sentences_with_blanks_between_them_are_cut_there(script: str) -> None:
    text = paragraph(SCRIPTS[script], 20_000, ". ").strip()
    chunks = chunks_of("a.md", text.encode())
    assert all(chunk.endswith(".") for chunk in chunks[:-1])
    assert max(map(estimated, chunks)) <= MAX_TOKENS
    assert re.sub(r"\s", "", "".join(chunks)) == re.sub(r"\s", "", text)


@pytest.mark.deep
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_very_long_paragraph_takes_no_quadratic_time(script: str) -> None:
    check(paragraph(SCRIPTS[script], 1_000_000, "。"))  # two seconds; many minutes if it were quadratic


def test_chunks_of_english_documents_are_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    texts = [path.read_bytes() for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))[:4])]
    chunks = [chunks_of("a.md", text) for text in texts]
    assert sum(map(len, chunks)) > 40
    monkeypatch.setattr("sdg_operator.engine.tokens.estimated", as_it_was)
    assert [chunks_of("a.md", text) for text in texts] == chunks
