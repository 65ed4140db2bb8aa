"""Every kind of row that a user's training file may have: made like the others, or refused with what to do."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_operator.engine.training_row import (
    SHAPE,
    NotATrainingRow,
    Row,
    Told,
    in_order,
    made_alike,
    parsed,
    shape_of,
    spelled,
    tokens_of,
)

HI = [{"content": "Hi", "role": "user"}, {"content": "Ho", "role": "assistant"}]
WHOLE: Row = {"id": "a", "messages": HI, "unmask": False, "metadata": '{"from": 1}'}


def alike(row: Any) -> tuple[Row, str]:
    told = Told()
    made = made_alike(parsed(row if isinstance(row, bytes) else json.dumps(row).encode()), told)
    assert list(made) == ["id", "messages", "unmask", "metadata"]
    assert all(list(message) == ["content", "role"] for message in made["messages"])
    assert isinstance(json.loads(made["metadata"]), dict)
    assert b"\n" not in spelled(made)
    return made, str(told)


def without(*names: str, **more: Any) -> Row:
    return {name: value for name, value in (WHOLE | more).items() if name not in names}


MADE: dict[str, tuple[Row, Row, str]] = {
    "whole": (WHOLE, WHOLE, ""),
    "in another order": (
        {"metadata": "{}", "unmask": True, "messages": [{"role": "user", "content": ""}], "id": ""},
        {"id": "", "messages": [{"content": "", "role": "user"}], "unmask": True, "metadata": "{}"},
        "",
    ),
    "no metadata": (without("metadata"), WHOLE | {"metadata": "{}"}, "1 without metadata"),
    "null everywhere": (
        without(unmask=None, metadata=None),
        WHOLE | {"unmask": False, "metadata": "{}"},
        "1 without unmask, which is false now; 1 without metadata, which is {} now",
    ),
    "metadata as an object": (
        without(metadata={"a": {"é": [1, None]}}),
        WHOLE | {"metadata": '{"a": {"\\u00e9": [1, null]}}'},
        "1 whose metadata is JSON text now",
    ),
    "metadata as JSON text keeps its words": (without(metadata='{"a":1.50}'), WHOLE | {"metadata": '{"a":1.50}'}, ""),
    "metadata as other text": (
        without(metadata="from the wiki"), WHOLE | {"metadata": '{"metadata": "from the wiki"}'}, "was no object"),
    "metadata as text that is nearly JSON": (
        without(metadata='{"a": NaN}'), WHOLE | {"metadata": '{"metadata": "{\\"a\\": NaN}"}'}, "was no object"),
    "metadata as a list": (without(metadata=[1]), WHOLE | {"metadata": '{"metadata": [1]}'}, "was no object"),
    "metadata as a list in text": (without(metadata="[1]"), WHOLE | {"metadata": '{"metadata": [1]}'}, "no object"),
    "more columns": (
        WHOLE | {"score": 0.5, "tags": None}, WHOLE | {"metadata": '{"from": 1, "score": 0.5, "tags": null}'},
        "1 with other keys, which went into metadata (score, tags)"),
    "a column that metadata has already": (
        WHOLE | {"from": 1}, WHOLE | {"metadata": '{"from": 1}'}, "other keys"),
    "more keys of messages": (
        without("metadata", messages=[{"content": "a", "role": "user", "name": "Eve", "weight": None}, *HI]),
        WHOLE | {"messages": [{"content": "a", "role": "user"}, *HI],
                 "metadata": '{"messages": [{"name": "Eve"}, {}, {}]}'},
        "(messages)"),
    "keys of messages that are all null": (
        without(messages=[message | {"tool_calls": None} for message in HI]), WHOLE, ""),
    "a number for an id": (without(id=7), WHOLE | {"id": "7"}, "1 whose id is text now"),
    "an object for an id": (without(id={"a": 1}), WHOLE | {"id": '{"a": 1}'}, "1 whose id is text now"),
    "1 for unmask": (without(unmask=1), WHOLE | {"unmask": True}, "1 whose unmask is a boolean now"),
    "text for unmask": (without(unmask="False"), WHOLE, "1 whose unmask is a boolean now"),
    "huge whole numbers": (
        without("metadata", big=10**4000), WHOLE | {"metadata": json.dumps({"big": 10**4000})}, "(big)"),
    "line ends of other readers": (
        without(messages=[{"content": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\rh\ni", "role": "user"}]),
        WHOLE | {"messages": [{"content": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\rh\ni", "role": "user"}]}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("given", "made", "words"), MADE.values(), ids=MADE)
def test_a_row_is_made_like_the_others(given: Row, made: Row, words: str) -> None:
    got, told = alike(given)
    assert got == made
    assert words in told
    assert bool(words) == bool(told)
    assert alike(spelled(got)) == (got, "")  # as it is, where it is as it should be


def test_an_id_is_made_of_the_content_alone() -> None:
    first, told = alike(without("id"))
    assert told == "1 without id, which is made of the content now"
    assert alike(without("id", "unmask"))[0]["id"] == first["id"] == alike(without(id=None))[0]["id"]
    assert alike(without("id", messages=HI[:1]))[0]["id"] != first["id"]
    assert first["id"] == "33f77159-83d7-5499-b25c-a5667e578695"  # on every machine


@pytest.mark.parametrize(
    "time", ["2024-01-01", "2024-01-01T10:00:00Z", "2024-01-01 10:00", "2024-01-01T10:00:00+01:00"]
)
def test_an_id_that_readers_take_for_a_time_is_kept_elsewhere(time: str) -> None:
    row, told = alike(without("metadata", id=time))
    assert row["metadata"] == json.dumps({"id": time})
    assert row["id"] != time
    assert "whose id could be read as a time" in told


REFUSED: dict[str, tuple[bytes | Row, str]] = {
    "no JSON": (b"{'a': 1}", "not JSON"),
    "a list over several lines": (b"[", "each line is to be one JSON object"),
    "two objects": (b'{"messages": []} {"messages": []}', "not JSON: Extra data"),
    "another encoding": ("{\"messages\": [\"ü\"]}".encode("latin-1"), "codec can't decode"),
    "UTF-16": ('{"messages": []}'.encode("utf-16"), "codec can't decode"),
    "a mark in the middle": (b"\xef\xbb\xbf{}", "BOM"),
    "a list": (b"[1]", "an object with a list of messages"),
    "no messages": ({"conversations": HI}, "an object with a list of messages"),
    "messages as text": ({"messages": "a"}, "an object with a list of messages"),
    "empty messages": ({"messages": []}, "the list of messages is empty: remove the row"),
    "messages that are none": ({"messages": ["Hi"]}, "each with content and role"),
    "content that is null": ({"messages": [HI[0], {"role": "assistant", "content": None}]},
                             "messages[1].content is null, not text: write it as text, or remove the row"),
    "content that is missing": ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
    "content that is a list": ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "content is a list"),
    "content that is a number": ({"messages": [{"role": "user", "content": 7}]}, "content is a number"),
    "content that is a boolean": ({"messages": [{"role": "user", "content": True}]}, "content is a boolean"),
    "a role that is an object": ({"messages": [{"role": {}, "content": ""}]}, "messages[0].role is an object"),
    "a role that is blank": ({"messages": [{"role": " ", "content": ""}]}, "role is empty: say who speaks"),
    "unmask that is no truth": (WHOLE | {"unmask": "maybe"}, 'unmask is "maybe": write true or false'),
    "unmask that is a number": (WHOLE | {"unmask": 2}, "unmask is 2"),
    "unmask that is a list": (WHOLE | {"unmask": [True]}, "unmask is [true]"),
    "half a character": (b'{"messages": [{"role": "user", "content": "\\ud83d!"}]}', "\\ud83d is half a character"),
    "half a character in a key": (b'{"messages": [], "\\uDC00": 1}', "\\udc00 is half a character"),
    "half a character as bytes": (b'{"messages": ["\xed\xa0\x80"]}', "codec can't decode"),
    "NaN": (b'{"messages": [], "score": NaN}', "NaN is no JSON"),
    "infinity": (b'{"messages": [], "score": -Infinity}', "-Infinity is no JSON"),
    "infinity in other words": (b'{"messages": [], "score": 1e999}', "1e999 is too large a number"),
    "a number without end": (b'{"messages": [], "n": ' + b"9" * 5000 + b"}", "more than 4,300 digits; write it"),
    "a key twice": (b'{"messages": [], "id": 1, "id": 2}', "the key 'id' is there twice"),
    "a key twice, deeper": (b'{"messages": [{"role": "a", "role": "b"}]}', "the key 'role' is there twice"),
    "very deep": (b'{"messages": [], "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "two values for one key": (WHOLE | {"from": 2}, "'from' would go into metadata, which has another 'from': rename"),
    "line ends in a string": (b'{"messages": [{"role": "user", "content": "a\rb"}]}', "Invalid control character"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_a_row_that_cannot_be_made_right_is_refused(given: bytes | Row, words: str) -> None:
    with pytest.raises(NotATrainingRow) as refused:
        alike(given)
    assert words in str(refused.value)


NAMES = st.sampled_from(["id", "messages", "metadata", "unmask", "content", "role", "name", "x"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner), max_leaves=8)
MESSAGE = st.dictionaries(NAMES, ANYTHING) | st.fixed_dictionaries(
    {"content": st.text(), "role": st.just("user")}, optional={"name": ANYTHING}
)


@settings(derandomize=True, max_examples=300)
@given(st.dictionaries(NAMES, ANYTHING), st.none() | st.lists(MESSAGE, min_size=1, max_size=3))
def test_any_row_is_made_alike_or_refused_in_words(row: Row, messages: list[Any] | None) -> None:
    try:
        made, _ = alike(row if messages is None else row | {"messages": messages})
    except NotATrainingRow:
        return
    assert {key: type(value) for key, value in made.items()} == {key: type(value) for key, value in SHAPE.items()}
    assert alike(spelled(made)) == (made, "")


def test_a_pair_of_halves_is_a_character() -> None:
    assert alike(b'{"messages": [{"role": "user", "content": "\\ud83d\\ude00"}]}')[0]["messages"][0]["content"] == "😀"


def test_deep_metadata_in_text_is_left_alone() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert json.loads(alike(without(metadata=deep))[0]["metadata"]) == {"metadata": deep}


def test_moved_keys_are_told_once_and_not_without_end() -> None:
    told = Told()
    for number in range(50):
        made_alike(WHOLE | {f"column{number % 20}": number}, told)
    assert str(told).startswith("50 with other keys, which went into metadata (column0, ")
    assert str(told).endswith("column9, …)")


def test_rows_are_spelled_as_the_others_are() -> None:
    row = {"messages": [{"content": "a/b é \x7f \\u007f \\\x7f 😀", "role": "user"}]}
    assert spelled(row) == (
        b'{"messages":[{"content":"a\\/b \\u00e9 \x7f \\\\u007f \\\\\x7f \\ud83d\\ude00","role":"user"}]}'
    )


def test_keys_are_put_into_the_order_of_the_file() -> None:
    shape: Row = {"messages": [{"role": None, "content": None}], "metadata": None, "id": None, "unmask": None}
    assert spelled(in_order(WHOLE, shape)) == (
        b'{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"}],'
        b'"metadata":"{\\"from\\": 1}","id":"a","unmask":false}'
    )
    assert in_order(WHOLE, WHOLE) is WHOLE


def test_the_first_row_gives_the_order_if_it_has_all_keys() -> None:
    turned = {"metadata": "{}", "unmask": True, "messages": [{"role": "user", "content": ""}], "id": ""}
    assert list(shape_of(turned)) == list(turned)
    assert list(shape_of(turned)["messages"][0]) == ["role", "content"]
    others: tuple[Row, ...] = (
        {"messages": []},
        without("id"),
        WHOLE | {"more": 1},
        without(messages=[HI[0] | {"name": "Eve"}]),
    )
    assert all(shape_of(other) is SHAPE for other in others)


def test_tokens_of_a_row_are_those_of_all_its_messages() -> None:
    assert tokens_of(WHOLE) == 2 + 2
    assert tokens_of({"messages": [{"role": "user", "content": "鸟" * 4096}]}) == 4096
