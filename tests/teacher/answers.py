"""What the scripted teacher says: a pure function of the prompt and the choice's number.

Equal prompts get equal answers whatever the order, batching or process, so runs can be compared byte by byte. About one
judgement in ten is bad and about one answer in fifteen repeats another, so that filters have work to do.
"""

import re
from collections.abc import Callable
from hashlib import sha256

_TEXT = """
river stone light forest engine harbour window garden copper signal meadow lantern bridge winter orbit silver thunder
pocket marble violin canyon ladder saddle falcon timber velvet compass anchor blossom crystal feather glacier horizon
island jasmine kettle lagoon mirror nectar orchard pebble quartz ribbon summit tunnel umbrella valley willow naïve Größe
café señor Ångström
"""
WORDS = tuple(_TEXT.split())


def digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode(errors="replace")).digest()[:8], "big")


def _words(seed: str, number: int) -> str:
    return " ".join(WORDS[digest(f"{seed}/{i}") % len(WORDS)] for i in range(number))


def _sentence(seed: str, length: int = 8) -> str:
    return _words(seed, length).capitalize() + "."


def _question(seed: str) -> str:
    return f"What does the {_words(seed + '/q', 4)} tell us about the {_words(seed + '/r', 2)}?"


def _reply(seed: str) -> str:
    return f"It is about {_words(seed + '/a', 10)}. {_sentence(seed + '/b')}"


def _good(seed: str) -> bool:
    return digest(seed + "/good") % 10 > 0


def _tagged(tag: str, text: str) -> str:
    return f"[Start of {tag}]\n{text}\n[End of {tag}]"


def _judgement(seed: str, reason_tag: str, verdict_tag: str, good: str, bad: str) -> str:
    verdict = good if _good(seed) else bad
    return _tagged(reason_tag, _sentence(seed)) + "\n\n" + _tagged(verdict_tag, verdict)


def _single_pair(seed: str, _prompt: str) -> str:
    return f"{_question(seed)} {_reply(seed)}"


def _questions(seed: str, prompt: str) -> str:
    asked = re.search(r"generate (\d+) such questions", prompt)
    wanted = int(asked.group(1)) if asked else 1
    return "\n".join(_tagged("Question", _question(f"{seed}/{i}")) for i in range(wanted))


def _pairs(seed: str, _prompt: str) -> str:
    each = (f"[QUESTION]\n{_question(f'{seed}/{i}')}\n[ANSWER]\n{_reply(f'{seed}/{i}')}\n[END]" for i in range(3))
    return "\n\n".join(each)


def _document(seed: str, prompt: str) -> str:
    text = re.split(r"Document:|\[Passage\]", prompt)[-1].split("[Facts]")[0]
    return f"{_sentence(seed)} {' '.join(text.split())[:600]}"


Answerer = Callable[[str, str], str]

# The first that is found in the prompt decides: the words are those of instructlab-sdg 0.8.3's prompt files.
_FORMS: tuple[tuple[str, Answerer], ...] = (
    ("[Start of Feedback]", lambda seed, _: _judgement(seed, "Feedback", "Score", "2", "0")),
    ("[Start of Rating]", lambda seed, _: _judgement(seed, "Explanation", "Rating", "1", "0")),
    ("Answer YES or NO", lambda seed, _: _judgement(seed, "Explanation", "Answer", "YES", "NO")),
    ("on a scale of 0 or 1", lambda seed, _: _judgement(seed, "Evaluation", "Score", "1", "0")),
    ("on a scale of 1 to 3", lambda seed, _: _judgement(seed, "Evaluation", "Score", "3", "1")),
    ("Provide a single question and answer pair", _single_pair),
    ("generate a context paragraph", lambda seed, _: _tagged("Context", _sentence(seed, 40))),
    ("such questions", _questions),
    ("[Start of Response] and [End of Response]", lambda seed, _: _tagged("Response", _reply(seed))),
    ("for each question answer pair", _pairs),
)


def answer(prompt: str, choice: int) -> str:
    """Return what the teacher says to a prompt as its choice number `choice`."""
    seed = str(digest(prompt))
    if digest(f"{seed}/{choice}/repeat") % 15:
        seed = f"{seed}/{choice}"
    for words, form in _FORMS:
        if words in prompt:
            return form(seed, prompt)
    return _document(seed, prompt)


def token_count(text: str) -> int:
    """Return about how many tokens a text has: four characters each."""
    return max(1, len(text) // 4)
