"""PDF documents become chunks of plain text, or a refusal that names the document."""

import pytest

from sdg_operator.engine.chunker import EstimatedTokens, chunks_of
from sdg_operator.engine.failure import LeafFailure
from tests.integration.engine.pdf_files import pdf_file


def test_pages_come_in_order_and_their_text_is_not_taken_for_markdown() -> None:
    content = pdf_file(["The wren sings.", "# No heading, *no* list_item <b>", "1. [a](b)"], ["Back \\ (again)."])
    assert chunks_of("Wren.PDF", content) == [
        "The wren sings. # No heading, *no* list_item <b> 1. [a](b)\nBack \\ (again)."
    ]


def test_a_long_text_is_cut_into_chunks_and_nothing_is_lost() -> None:
    pages = [[f"Sentence {page}-{line} tells of the wren and of its nest." for line in range(30)] for page in range(4)]
    chunks = chunks_of("long.pdf", pdf_file(*pages))
    assert len(chunks) >= 4
    assert all(EstimatedTokens().count_tokens(chunk) <= EstimatedTokens().get_max_tokens() for chunk in chunks)
    assert " ".join(" ".join(chunks).split()) == " ".join(text for page in pages for text in page)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as PDF"),
        (b"%PDF-1.7", "cannot be read as PDF"),
        (pdf_file(["text"])[:300], "cannot be read as PDF"),
        (pdf_file([]), "holds no text, as a scan does"),
    ],
    ids=["empty", "a head alone", "cut off", "a scan"],
)
def test_what_cannot_be_read_is_named(content: bytes, words: str) -> None:
    with pytest.raises(LeafFailure, match=rf"documents/a\.pdf {words}") as caught:
        chunks_of("a.pdf", content)
    assert caught.value.reason == "InvalidDocument"
