"""What a pipeline's blocks see of the teacher: the few corners of an OpenAI client that they touch.

One client serves one batch, so that tokens and progress are counted where they belong.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from sdg_operator.engine.progress import BatchMeter
from sdg_operator.engine.teacher import Teacher
from sdg_operator.engine.wire import Answer, Api

CHAT_FAMILY = "blank"
"""Model family whose prompts carry no chat template: a chat server applies its own."""


class BatchClient:
    """Answers ``completions.create`` and ``chat.completions.create``, from plain completions or from chat alike."""

    server_supports_batched = True
    """Spares upstream's probe: lists of prompts and `n` are always understood here."""

    def __init__(self, teacher: Teacher, meter: BatchMeter) -> None:
        self._teacher = teacher
        self._meter = meter
        self.completions = SimpleNamespace(create=self._complete)
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._chat))

    def _complete(self, *, prompt: str | Sequence[str], model: str, **options: Any) -> SimpleNamespace:  # noqa: ARG002
        """Return choices for each prompt in order. The model is the teacher's: a pipeline cannot choose another."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if self._teacher.api == "chat":
            messages = [[{"role": "user", "content": each}] for each in prompts]
            answers = self._ask("chat", messages, options)
        else:
            answers = self._ask("completions", prompts, options)
        return SimpleNamespace(choices=[SimpleNamespace(text=text) for answer in answers for text in answer.texts])

    def _chat(self, *, messages: Any, model: str, **options: Any) -> SimpleNamespace:  # noqa: ARG002
        (answer,) = self._ask("chat", [messages], options)
        said = [SimpleNamespace(message=SimpleNamespace(content=text)) for text in answer.texts]
        return SimpleNamespace(choices=said)

    def _ask(self, api: Api, inputs: Sequence[Any], options: dict[str, Any]) -> list[Answer]:
        self._meter.asking(len(inputs))
        answers = self._teacher.ask(api, inputs, options, self._meter.answered)
        for answer in answers:
            self._meter.spent(answer.prompt_tokens, answer.completion_tokens, answer.given_up)
        return answers
