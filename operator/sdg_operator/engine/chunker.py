"""Cut documents into chunks, as instructlab-sdg's own chunker does, without torch and without a tokenizer.

Upstream's `DocumentChunker` imports torch and loads a tokenizer of the teacher for the one purpose of counting to 500.
Here docling's Markdown reader and docling-core's `HybridChunker` are the same; tokens are estimated.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from docling.backend.md_backend import MarkdownDocumentBackend
from docling.datamodel.base_models import InputFormat
from docling.datamodel.document import InputDocument
from docling_core.transforms.chunker.hybrid_chunker import HybridChunker
from docling_core.transforms.chunker.tokenizer.base import BaseTokenizer
from docling_core.types.doc.document import DoclingDocument
from docling_core.types.doc.labels import DocItemLabel
from semchunk import semchunk

from sdg_operator.engine import pdf, tokens
from sdg_operator.engine.failure import LeafFailure

MAX_TOKENS = 500
"""Upstream's own bound on a chunk."""


class EstimatedTokens(BaseTokenizer):
    """Counts as most tokenizers do, without one."""

    def count_tokens(self, text: str) -> int:
        return tokens.estimated(text)

    def get_max_tokens(self) -> int:
        return MAX_TOKENS

    def get_tokenizer(self) -> Callable[[str], int]:
        return tokens.estimated


def chunks_of(name: str, content: bytes) -> list[str]:
    """Return the chunks of one document, Markdown (each with the headings above it) or PDF.

    Raises LeafFailure naming the document.
    """
    if Path(name).suffix.lower() == pdf.SUFFIX:
        document = DoclingDocument(name=name)
        for paragraph in pdf.paragraphs(name, content):
            document.add_text(DocItemLabel.TEXT, paragraph)
        return _chunks(document)
    try:
        source = InputDocument(
            path_or_stream=BytesIO(content), format=InputFormat.MD, backend=MarkdownDocumentBackend, filename=name
        )
        reader: Any = source._backend  # the public converter imports torch
        return _chunks(reader.convert())
    except Exception as error:
        raise LeafFailure("InvalidDocument", f"documents/{name} cannot be read as Markdown: {error}") from error


def _chunks(document: DoclingDocument) -> list[str]:
    chunker = HybridChunker(tokenizer=EstimatedTokens())
    try:
        return [chunker.contextualize(chunk=chunk) for chunk in chunker.chunk(dl_doc=document)]
    finally:
        # It keeps every piece of text that it counted, several times the document, as long as the process lives.
        semchunk._memoized_token_counters.clear()
