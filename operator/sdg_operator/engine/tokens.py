"""About how many tokens a text has, for models of any kind. Pure; imports nothing heavy.

There is no tokenizer here: it would be the teacher's or the student's, and both are chosen elsewhere. Models differ by
about a third either way; what is counted here bounds chunks and warns of long rows, and decides nothing finer.
"""

import re
from typing import Final

_DENSE: Final = (
    "\u0900-\u1cff"  # Indic scripts, Thai, Lao, Tibetan, Burmese, Georgian, Ethiopic, Khmer and others
    "\u2e80-\ua63f"  # Chinese, Japanese, Bopomofo, Yi, their punctuation
    "\ua800-\uab2f\uab70-\ud7ff"  # more of these, Hangul
    "\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"  # forms of them, full and half width
    "\U00016f00-\U0001b2ff\U00020000-\U0003ffff"  # rare ones
)
"""Letters that models know by ones, not by words: many of these scripts put no blanks between words. Nothing that
stands among Latin letters is here: not its accents, punctuation, symbols, ligatures or emoji."""
_DENSE_CHARACTER: Final = re.compile(f"[{_DENSE}]")
_WORD: Final = re.compile(f"[^\\s{_DENSE}]+")
_PLAIN_WORD: Final = re.compile(r"\S+")
_SHORT: Final = 1 << 20
"""Characters of a text that may be cut into its words in memory."""


def estimated(text: str) -> int:
    """Return about how many tokens `text` has: never fewer for more text.

    English and the like: four characters or three quarters of a word a token, whichever gives more. A letter of a
    script such as Chinese, Japanese, Korean or Thai is a token.
    """
    dense = 0 if text.isascii() else sum(1 for _ in _DENSE_CHARACTER.finditer(text))
    if dense:
        words = sum(1 for _ in _WORD.finditer(text))
    elif len(text) < _SHORT:
        words = len(text.split())
    else:
        words = sum(1 for _ in _PLAIN_WORD.finditer(text))
    return dense + max(-(-(len(text) - dense) // 4), -(-words * 4 // 3))
