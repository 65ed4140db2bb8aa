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
    "Greek, whose letters are symbols too": "Τα πουλιά ζουν κοντά στο ποτάμι; Ναι. πr², Δt, 5 μm",
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
@given(st.text(st.characters(max_codepoint=0x3FF)))
def test_any_text_of_latin_and_greek_is_counted_as_ever(text: str) -> None:
    assert estimated(text) == as_it_was(text)


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


def test_a_letter_of_a_script_with_blanks_that_models_know_less_is_half_a_token() -> None:
    assert estimated("Птицы живут") == 5 + 1
    assert estimated("الطيور") == 3
    assert estimated("я") == 1


# Tokens that Mixtral's tokenizer (32,000) and Mistral Nemo's (131,000) give, counted once with those of mistral-common.
REAL = {
    "English": (
        "The chickadee lives near rivers and eats seeds, insects and berries. In winter it gathers in flocks.",
        26,
        27,
    ),
    "German": ("Die Meise lebt in der Nähe von Flüssen und frisst Samen, Insekten und Beeren.", 23, 28),
    "Russian": ("Синица живёт у рек и питается семенами, насекомыми и ягодами.", 23, 26),
    "Arabic": ("يعيش القرقف بالقرب من الأنهار ويأكل البذور والحشرات والتوت.", 19, 50),
    "Chinese": ("山雀生活在河流附近，以种子、昆虫和浆果为食。冬天，它们会聚集成群。", 36, 44),
    "Japanese": ("シジュウカラは川の近くに住み、種子や昆虫、果実を食べます。", 29, 34),
    "Korean": ("박새는 강 근처에 살며 씨앗, 곤충, 열매를 먹는다.", 20, 42),
    "Thai": ("นกติ๊ดอาศัยอยู่ใกล้แม่น้ำและกินเมล็ดพืช แมลง และผลไม้", 32, 56),
    "Hindi": ("चिकडी नदियों के पास रहती है और बीज, कीड़े और जामुन खाती है।", 25, 64),
}


@pytest.mark.parametrize(("text", "few", "many"), REAL.values(), ids=REAL)
def test_real_tokenizers_give_half_to_twice_as_many(text: str, few: int, many: int) -> None:
    assert estimated(text) / 2 <= few <= many <= 2 * estimated(text)


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
