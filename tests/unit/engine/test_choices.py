"""All choices of a prompt are got, from teachers that give fewer, none, or some at a time."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sdg_operator.engine.choices import Tally, Width, all_choices
from sdg_operator.engine.contextlimit import ContextLimit
from sdg_operator.engine.trouble import Trouble
from sdg_operator.engine.wire import Answer, Choice

Behave = Callable[[int, Mapping[str, Any]], list[str]]


class Asked:
    """Stands for the teacher: remembers what it was asked for, and does as `behave` says."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.requests: list[tuple[int, Mapping[str, Any]]] = []

    async def __call__(self, options: Mapping[str, Any], n: int) -> Answer:
        self.requests.append((n, options))
        return Answer(tuple(Choice(text) for text in self.behave(n, options)), 2, 3)

    @property
    def sizes(self) -> list[int]:
        return [n for n, _ in self.requests]


def get(asked: Asked, wanted: int = 8, width: Width | None = None, **options: Any) -> tuple[Answer, Tally]:
    tally = Tally()
    return asyncio.run(all_choices(asked, options, wanted, width or Width(), tally)), tally


def refuse_above(most: int, trouble: Trouble) -> Behave:
    def behave(n: int, _options: Mapping[str, Any]) -> list[str]:
        if n > most:
            raise trouble
        return ["a"] * n

    return behave


def test_a_teacher_that_gives_all_is_asked_once() -> None:
    asked = Asked(lambda n, _: ["a"] * n)
    answer, tally = get(asked)
    assert (answer.texts, answer.prompt_tokens, asked.sizes) == (("a",) * 8, 2, [8])
    assert not +tally


def test_one_that_gives_fewer_is_asked_for_the_rest_with_other_seeds() -> None:
    asked = Asked(lambda n, _: ["a"] * min(n, 3))
    answer, _ = get(asked, seed=7)
    assert (len(answer.texts), asked.sizes) == (8, [8, 3, 2])
    assert [options["seed"] for _, options in asked.requests] == [7, 10, 13]


@pytest.mark.parametrize(("given", "empty"), [(["", "a"], 1), (["", ""], 2), ([], 2)])
def test_choices_without_text_are_asked_for_again_twice_and_then_left_empty(given: list[str], empty: int) -> None:
    asked = Asked(lambda n, _: given[:n])
    answer, tally = get(asked, 2)
    assert len(answer.texts) == 2
    assert (tally["empty"], len(asked.sizes)) == (empty, 3)


def test_one_that_takes_a_prompt_one_choice_at_a_time_is_asked_so_from_then_on() -> None:
    width = Width()
    asked = Asked(refuse_above(1, Trouble("prompt", "only n=1")))
    assert len(get(asked, 3, width)[0].texts) == 3
    assert asked.sizes == [3, 1, 1, 1]
    assert (get(asked, 2, width)[0].texts, asked.sizes[4:]) == (("a", "a"), [1, 1])


def test_one_refusal_that_says_nothing_of_choices_is_that_of_a_prompt_and_two_are_that_of_a_server() -> None:
    width = Width()
    asked = Asked(refuse_above(1, Trouble("prompt", "HTTP 400: bad request")))
    for sizes in ([2, 1, 1], [2, 1, 1], [1, 1]):
        asked.requests.clear()
        get(asked, 2, width)
        assert asked.sizes == sizes


def test_a_server_that_knows_no_n_is_asked_for_all_at_once_one_at_a_time() -> None:
    width = Width()
    asked = Asked(lambda _n, _options: ["a"])
    assert (len(get(asked, 4, width)[0].texts), asked.sizes, width.most) == (4, [4, 1, 1, 1], 1)


@pytest.mark.parametrize("kind", ["cut", "silent"])
def test_a_request_that_is_cut_is_halved_until_it_passes_and_others_profit(kind: Any) -> None:
    width = Width()
    asked = Asked(refuse_above(3, Trouble(kind, "HTTP 504")))
    _, tally = get(asked, 8, width)
    assert asked.sizes == [8, 4, 4, 2, 2, 2, 2]
    assert (tally["shortened"], width.most) == (2, 2)


def test_one_that_is_refused_also_alone_is_refused() -> None:
    with pytest.raises(Trouble, match="never"):
        get(Asked(refuse_above(0, Trouble("prompt", "never"))))


def test_fewer_tokens_are_asked_for_where_the_context_is_too_small() -> None:
    def behave(n: int, options: Mapping[str, Any]) -> list[str]:
        if options["max_tokens"] > 100:
            raise Trouble("context", "too long", context=ContextLimit(1000, 900))
        return ["a"] * n

    asked = Asked(behave)
    _, tally = get(asked, 4, max_tokens=2048)
    assert [options["max_tokens"] for _, options in asked.requests] == [2048, 100]
    assert tally["shortened"] == 1


def test_a_prompt_that_alone_is_too_long_is_refused() -> None:
    with pytest.raises(Trouble, match="too long"):
        get(Asked(refuse_above(0, Trouble("context", "too long", context=ContextLimit(100, 99)))), max_tokens=50)
