"""Text of PDF documents, where the extra ``pdf`` is installed (pypdf: no torch, no models, no native code).

Only what is text in the file is read: a scan needs its characters recognised before, and tables become lines.
"""

import re
from importlib.util import find_spec
from io import BytesIO
from typing import Final

from sdg_operator.engine.failure import LeafFailure

SUFFIX: Final = ".pdf"
_MAX_PAGES: Final = 5000
_MAX_CHARACTERS: Final = 64 << 20
_BLANK_LINES: Final = re.compile(r"\n\s*\n")


def readable() -> bool:
    """Whether this installation reads PDF documents."""
    return find_spec("pypdf") is not None


def paragraphs(name: str, content: bytes) -> list[str]:
    """Return a PDF's text page by page: a paragraph for each block of lines.

    Raises LeafFailure naming the document.
    """
    from pypdf import PdfReader  # noqa: PLC0415 - an extra

    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise LeafFailure("InvalidDocument", f"documents/{name} asks for a password")
        if len(reader.pages) > _MAX_PAGES:
            raise LeafFailure("InvalidDocument", f"documents/{name} has more than {_MAX_PAGES} pages")
        found: list[str] = []
        left = _MAX_CHARACTERS
        for page in reader.pages:
            text = page.extract_text().encode(errors="replace").decode()
            if (left := left - len(text)) < 0:
                raise LeafFailure("InvalidDocument", f"documents/{name} holds more than {_MAX_CHARACTERS} characters")
            found += [" ".join(block.split()) for block in _BLANK_LINES.split(text) if block.strip()]
    except LeafFailure:
        raise
    except Exception as error:  # a broken file breaks anywhere
        raise LeafFailure("InvalidDocument", f"documents/{name} cannot be read as PDF: {error}") from error
    if not found:
        raise LeafFailure(
            "InvalidDocument", f"documents/{name} holds no text, as a scan does: recognise its characters first (OCR)"
        )
    return found
