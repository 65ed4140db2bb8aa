"""How many samples a leaf should give and what it asks of the teacher. Pure; imports nothing heavy.

An estimate is shown before any GPU is asked for, balances shards and gives progress its percentage. Exact only for
skills of the ``simple`` pipeline: elsewhere documents are chunked by headings and a teacher's judgements drop rows.
The counts per seed are those of instructlab-sdg 0.8.3's own flow files.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final

from pydantic import BaseModel, ConfigDict

from sdg_operator.storage.records import LeafKind, SampleSettings

DOCUMENT_BYTES_PER_CHUNK: Final = 1000
"""Chunks hold at most 500 tokens (about 2,000 bytes of English) and end at headings. Measured over 46 Markdown files
of 3 to 340 KB: half of them between 700 and 1,000 bytes a chunk, large prose up to 1,200. A chunk of Chinese, Japanese
or Thai has at most 500 letters, which are 1,500 bytes."""

PAIRS_PER_ANSWER: Final = 3
"""Question and answer pairs that a teacher gives for one chunk when asked for "a series" (``full``, ``llama``)."""

PREVIEW_MARGIN: Final = 2
"""How many times as many samples as a preview shows are asked for: judges and duplicates take some away."""


class Yield(BaseModel):
    """What one input row becomes: a row is a seed example (skills) or a chunk with a seed example (knowledge)."""

    model_config = ConfigDict(frozen=True)

    samples: int
    requests: int
    """Prompts sent to the teacher; each may ask for several choices."""


# questions + judging each + answering each + judging each answer
_FULL: Final[Mapping[LeafKind, Yield]] = {
    "freeform": Yield(samples=30, requests=1 + 3 * 30),
    "grounded": Yield(samples=30, requests=1 + 10 + 3 * 30),
    # spellcheck, then pairs from the document and from its corrected form, then three judges a pair
    "knowledge": Yield(samples=2 * PAIRS_PER_ANSWER, requests=1 + 2 + 3 * 2 * PAIRS_PER_ANSWER),
}
_LLAMA: Final[Mapping[LeafKind, Yield]] = {
    "freeform": Yield(samples=50, requests=1 + 3 * 50),
    "grounded": _FULL["grounded"],
    # three summaries, then pairs from each and from the document, then three judges a pair
    "knowledge": Yield(samples=4 * PAIRS_PER_ANSWER, requests=3 + 4 + 3 * 4 * PAIRS_PER_ANSWER),
}


def row_yield(kind: LeafKind, settings: SampleSettings) -> Yield:
    """Return what one input row gives. A custom pipeline is taken to be like ``simple``: one prompt, scaled."""
    match settings.pipeline:
        case "full":
            return _FULL[kind]
        case "llama":
            return _LLAMA[kind]
        case _:
            return Yield(samples=settings.scale_factor, requests=1)


def chunks(document_bytes: int) -> int:
    """Return about how many chunks documents of this size give."""
    return ceil(document_bytes / DOCUMENT_BYTES_PER_CHUNK)


def input_rows(kind: LeafKind, seeds: int, document_bytes: int, settings: SampleSettings) -> int:
    """Return about how many rows a leaf feeds into its pipeline; a preview takes only as many as it needs."""
    rows = seeds * chunks(document_bytes) if kind == "knowledge" else seeds
    if settings.preview is not None:
        rows = min(rows, preview_rows(kind, settings.preview, settings))
    return rows


def preview_rows(kind: LeafKind, preview: int, settings: SampleSettings) -> int:
    """Return how many rows should give `preview` samples even when judges drop half of what is made."""
    return max(1, ceil(PREVIEW_MARGIN * preview / row_yield(kind, settings).samples))


def expected_samples(kind: LeafKind, seeds: int, document_bytes: int, settings: SampleSettings) -> int:
    """Return about how many samples a leaf gives.

    `seeds` counts seed examples (not question and answer pairs); `document_bytes` is the size of a knowledge leaf's
    documents and ignored for skills.
    """
    samples = input_rows(kind, seeds, document_bytes, settings) * row_yield(kind, settings).samples
    return samples if settings.preview is None else min(samples, settings.preview)


def teacher_requests(kind: LeafKind, seeds: int, document_bytes: int, settings: SampleSettings) -> int:
    """Return about how many prompts a leaf sends to the teacher, each in a request of its own."""
    return input_rows(kind, seeds, document_bytes, settings) * row_yield(kind, settings).requests
