"""What a pipeline's blocks see of the teacher: the few corners of an OpenAI client that they touch.

One client serves one batch, so that tokens and progress are counted where they belong.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from sdg_operator.engine.failure import LeafFailure
from sdg_operator.engine.progress import BatchMeter
from sdg_operator.engine.reading import Reading
from sdg_operator.engine.teacher import Teacher
from sdg_operator.engine.wire import Answer, Api, Choice

CHAT_FAMILY = "blank"
"""Model family whose prompts carry no chat template: a chat server applies its own."""

KEPT_ANSWERS = 3
"""Answers without a sample that a batch keeps for the log."""
KEPT_CHARACTERS = 400


class BatchClient:
    """Answers ``completions.create`` and ``chat.completions.create``, from plain completions or from chat alike."""

    server_supports_batched = True
    """Spares upstream's probe: lists of prompts and `n` are always understood here."""

    def __init__(self, teacher: Teacher, meter: BatchMeter) -> None:
        self._teacher = teacher
        self._meter = meter
        self.reading = Reading()
        self.dropped: list[str] = []
        """The first few answers in which no sample was found, as they came."""
        self.completions = SimpleNamespace(create=self._complete)
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._chat))

    def unparsed(self, text: str) -> None:
        """Take note of an answer in which the pipeline finds no sample; empty ones are counted elsewhere."""
        if text.strip():
            self._meter.count_unparsed()
            self.keep(text)

    def keep(self, text: str) -> None:
        """Keep the beginning of an answer that gives no sample, for whoever wants to know why."""
        if len(self.dropped) < KEPT_ANSWERS:
            self.dropped.append(self._teacher.without_token(text)[:KEPT_CHARACTERS])

    def _complete(self, *, prompt: str | Sequence[str], model: str, **options: Any) -> SimpleNamespace:  # noqa: ARG002
        """Return choices for each prompt in order. The model is the teacher's: a pipeline cannot choose another."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if self._teacher.api == "chat":
            messages = [[{"role": "user", "content": each}] for each in prompts]
            answers = self._ask("chat", messages, options)
        else:
            answers = self._ask("completions", prompts, options)
        return SimpleNamespace(choices=[SimpleNamespace(text=text) for answer in answers for text in answer])

    def _chat(self, *, messages: Any, model: str, **options: Any) -> SimpleNamespace:  # noqa: ARG002
        (answer,) = self._ask("chat", [messages], options)
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=text)) for text in answer])

    def _ask(self, api: Api, inputs: Sequence[Any], options: dict[str, Any]) -> list[list[str]]:
        self._meter.asking(len(inputs))
        answers = self._teacher.ask(api, inputs, options, self._meter.answered, self.reading.marks)
        for answer in answers:
            self._meter.spent(answer.prompt_tokens, answer.completion_tokens, answer.given_up, answer.counts)
        if too_long := next((answer.too_long for answer in answers if answer.too_long), None):
            raise LeafFailure("PromptTooLong", too_long)
        return [self._texts(answer) for answer in answers]

    def _texts(self, answer: Answer) -> list[str]:
        return [self._whole(choice) if choice.cut else choice.text for choice in answer.choices]

    def _whole(self, choice: Choice) -> str:
        whole = self.reading.of_cut(choice.text)
        if not whole:
            self.keep(choice.text)
        return whole
