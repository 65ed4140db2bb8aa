"""The estimate of tokens: what it always was for Latin text, and no fewer than there are for text without blanks."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_operator.engine.tokens import estimated


def as_it_was(text: str) -> int:
    """The count by which the chunks of English documents are pinned: those of runs that were made before."""
    words = sum(1 for _ in re.finditer(r"\S+", text))
    return max(-(-len(text) // 4), -(-words * 4 // 3))


LATIN = {
    "English": "The chickadee — a small bird — “lives” near rivers… It costs 3€, doesn’t it?",
    "German": "Über große Vögel weiß man wenig; Straßenübergänge überqueren sie flugs.",
    "Vietnamese": "Chim sẻ sống gần sông và ăn hạt, côn trùng và quả mọng vào mùa đông.",
    "Turkish and Polish": "Kuşlar ırmağın yanında yaşar. Zażółć gęślą jaźń, ćwierć łyżki.",
    "accents written apart": "E\u0301crire a\u0300 l'e\u0302tre",
    "Cyrillic and Greek": "Птицы живут у реки. Τα πουλιά ζουν κοντά στο ποτάμι; Ναι.",
    "Arabic and Hebrew": "تعيش الطيور بالقرب من النهر؟ נعם ציפורים חיות ליד הנהר",
    "Markdown": "| a | b |\n|---|:-:|\n| `x→y` | **≤ 3** |\n\n- [ ] ✓ done 🎉 👩‍💻\n\n```py\nif a != b:\n\tpass\n```\n",
    "symbols of fonts, of mathematics, of ligatures": "\ue0b0 𝑎² + 𝑏² ≈ ∫ ﬁne ﬂow ™ © ½ ²  \ufeff",
    "blanks alone": " \n\t \u00a0\u2003",
    "nothing": "",
    "long": "word " * 300_000,
}


@pytest.mark.parametrize("text", LATIN.values(), ids=LATIN)
def test_latin_text_and_its_like_are_counted_as_ever(text: str) -> None:
    assert estimated(text) == as_it_was(text)


@settings(derandomize=True)
@given(st.text(st.characters(max_codepoint=0x8FF)))
def test_any_text_of_scripts_with_blanks_is_counted_as_ever(text: str) -> None:
    assert estimated(text) == as_it_was(text)


# What tokenizers give for these, in tokens a letter: 0.6 to 1.5 for Chinese, Japanese and Korean, 0.5 to 1.3 for Thai.
UNSPACED = {
    "Chinese": "鸟在河边筑巢，以种子、昆虫和浆果为食。冬天它们成群结队。",
    "Japanese": "この鳥は川の近くに住み、コーヒーのような色をしています。",
    "Thai": "นกตัวนี้อาศัยอยู่ใกล้แม่น้ำและกินเมล็ดพืช",
    "Khmer": "បក្សីនេះរស់នៅក្បែរទន្លេ",
    "rare Chinese": "𠀀𠀁𠀂𪜶",
}


@pytest.mark.parametrize("text", UNSPACED.values(), ids=UNSPACED)
def test_a_letter_of_a_script_without_blanks_is_a_token(text: str) -> None:
    assert estimated(text) == len(text)


def test_korean_and_hindi_have_blanks_and_are_counted_by_letters_too() -> None:
    assert estimated("새는 강 근처에 산다") == 8 + 1
    assert 12 <= estimated("पक्षी नदी के पास") <= 16


def test_mixed_text_is_counted_part_by_part() -> None:
    assert estimated("使用 Kubernetes 部署") == 4 + 3


@settings(derandomize=True)
@given(st.text(), st.text())
def test_more_text_never_has_fewer_tokens(text: str, more: str) -> None:
    assert estimated(text) <= estimated(text + more)


def test_it_imports_nothing_heavy() -> None:
    heavy = ("pandas", "datasets", "docling_core", "instructlab", "pydantic")
    code = f"import sys, sdg_operator.engine.tokens; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
