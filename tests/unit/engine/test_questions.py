"""Question marks of all scripts: where a sample is divided, and where it is better left alone."""

import pytest

from sdg_operator.engine.questions import parts, split

DIVIDED = {
    "ASCII, as upstream": (" Why?  So. ", "Why?", "So."),
    "ASCII comes first, wherever it is": ("为什么？因为。 Really? Yes.", "为什么？因为。 Really?", "Yes."),
    "Spanish": ("¿Por qué? Porque sí.", "¿Por qué?", "Porque sí."),
    "Chinese": ("鸟在哪里？在河边。", "鸟在哪里？", "在河边。"),
    "Chinese, a line each": ("鸟在哪里？\n在河边。\n为什么？", "鸟在哪里？", "在河边。\n为什么？"),
    "small form": ("鸟在哪里﹖在河边。", "鸟在哪里﹖", "在河边。"),
    "Japanese": ("鳥はどこにいますか？川の近くです。", "鳥はどこにいますか？", "川の近くです。"),
    "Arabic": ("أين تعيش الطيور؟ قرب النهر.", "أين تعيش الطيور؟", "قرب النهر."),
    "Arabic, mirrored": ("أين⸮ هنا.", "أين⸮", "هنا."),
    "Greek with its own mark": ("Πού ζουν\u037e Στο ποτάμι.", "Πού ζουν\u037e", "Στο ποτάμι."),
    "Greek with a semicolon, which may be none": ("Πού ζουν; Στο ποτάμι.", "", "Πού ζουν; Στο ποτάμι."),
    "Armenian marks a word, not the end": ("Որտե՞ղ է թռչունը։ Գետի մոտ։", "Որտե՞ղ է թռչունը։", "Գետի մոտ։"),
    "Armenian, the question on a line": ("Որտե՞ղ է\nԳետի մոտ։", "Որտե՞ղ է", "Գետի մոտ։"),
    "Armenian without an end": ("Որտե՞ղ է", "", "Որտե՞ղ է"),
    "Ethiopic": ("ወፉ የት ነው፧ በወንዝ።", "ወፉ የት ነው፧", "በወንዝ።"),
    "two marks in one": ("真的吗⁈是的。", "真的吗⁈", "是的。"),
    "no mark": ("A statement; no more.", "", "A statement; no more."),
    "no answer": ("鸟在哪里？", "鸟在哪里？", ""),
    "nothing": ("", "", ""),
}


@pytest.mark.parametrize(("output", "question", "answer"), DIVIDED.values(), ids=DIVIDED)
def test_a_sample_is_divided_at_its_question_mark(output: str, question: str, answer: str) -> None:
    assert split(output) == (question, answer)
    assert parts({"output": output}) == (question, answer)


def test_columns_of_their_own_come_before_the_output() -> None:
    assert parts({"question": " Why? ", "response": "So. ", "output": "为什么？因为。"}) == ("Why?", "So.")
    assert parts({"question": None, "response": 7}) == ("", "7")
    assert parts({}) == ("", "")
