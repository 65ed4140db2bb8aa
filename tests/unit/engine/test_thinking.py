"""A teacher's thinking never gets into a sample."""

import pytest

from sdg_operator.engine.thinking import without_thinking


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("<think>Let me see.</think>\n\nWhat is it? A bird.", "What is it? A bird."),
        ("<think>\n\n</think>\n\nWhat? So.", "What? So."),
        ("<Thinking>a</Thinking>b", "b"),
        ("[THINK]a[/THINK]b", "b"),
        ("◁think▷a◁/think▷b", "b"),
        ("<|START_THINKING|>a<|END_THINKING|>b", "b"),
        ("I must ask a question.\n</think>\nWhat? So.", "What? So."),
        ("<think>it never ends, what? I wonder", ""),
        ("What? So. <think>Was that good?</think> Yes.", "What? So.  Yes."),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("<think>a</reasoning>b</think>c", "c"),
        ("<think>a</think>b<think>c", "b"),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>What? So.<|return|>",
            "What? So.",
        ),
        ("analysisI must ask.assistantfinalWhat? So.", "What? So."),
        ("Here is my thought process: Hm. Here is my response: What? So.", "What? So."),
        ("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>What? So.", "What? So."),
        ("Hm.<|end|><|start|>assistant<|channel|>final<|message|>What? So.", "What? So."),
        ("<|channel|>commentary to=user <|message|>Hm.<|end|>What? So.", "What? So."),
        ("<|begin_of_thought|>a<|end_of_thought|>b", "b"),
        ("<unused94>thought a<unused95>b", "b"),
        ("<|channel>thought a<channel|>b", "b"),
        ("Hm. [BEGIN FINAL RESPONSE]What? So.[END FINAL RESPONSE]", "What? So."),
        ('<details type="reasoning"><summary>1 s</summary>a</details>b', "b"),
        ("<think>a</think><answer>What? So.</answer>", "What? So."),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b"),
    ],
)
def test_thinking_is_cut_off(said: str, answer: str) -> None:
    assert without_thinking(said) == (answer, True)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "  What? So.\n",
        "I think so </p> <|end|>",
        "1 < 2 > 0? <b>Yes</b>",
        "<answer>What? So.</answer>",
        "analysis of birds? Good.",
    ],
)
def test_an_answer_without_thinking_stays_as_it_came(said: str) -> None:
    assert without_thinking(said) == (said, False)


def test_marks_that_the_pipeline_asks_for_are_none() -> None:
    said = "<reasoning>a</reasoning><answer>b</answer>"
    assert without_thinking(said, {"<reasoning>", "</reasoning>"}) == (said, False)
