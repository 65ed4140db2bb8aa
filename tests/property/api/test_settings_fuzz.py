"""Whatever the file: settings, or lines that each name a place in it. Never another exception, never a wrong line."""

import re

import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdg_operator.api.settings import Settings
from sdg_operator.api.settings_file import SettingsError, read_settings
from tests.property.examples import fuzz

BASE = "images: {engine: example.com/engine:1, runner: example.com/runner:1}\n"
WHOLE = Settings.model_validate({"images": {"engine": "e:1", "runner": "r:1"}})
TEXT = yaml.safe_dump(WHOLE.model_dump(by_alias=True, mode="json"), sort_keys=False)
VALUES = (
    "null", "{}", "[]", "''", "yes", "-1", "1.5", "1e400", ".nan", "0x" + "f" * 5000, "1:1:1.0", "2026-99-99", "=", "~",
    "!!bool maybe", "!!timestamp x", "!!int ''", "!!python/object:os.system x", "!x y", "&a [*a]", "*b", "!!set {a}",
    '"\\0"', '"\\ud800"', "'a\n\n  b'", "{<<: {a: 1}, a: 2}", "{a: 1, a: 2}", "{1: 2}", "{? [a] : b}", "[[[[]]]]",
    "{int: 5, str: 6, '[key]': 7}", "[a, 1, null, {a: b}]", "12Gi", "{nvidia.com/gpu: 1}", "é", "\x07", "[" * 1000,
)  # fmt: skip
HOSTILE = st.sampled_from(VALUES)
SECTIONS = [name for name, field in WHOLE.model_dump(by_alias=True).items() if isinstance(field, dict)]
FIELDS = [f"{section}.{name}" for section in SECTIONS for name in WHOLE.model_dump(by_alias=True)[section]]


def problems_of(data: bytes) -> tuple[str, ...]:
    try:
        read_settings(data, "settings.yaml")
    except SettingsError as error:
        return error.problems
    return ()


def read_or_refuse(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return  # no file can hold it
    lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))  # as YAML counts them
    for problem in problems_of(data):
        found = re.fullmatch(r"settings\.yaml:(\d+): .+", problem)
        assert found, problem
        assert 1 <= int(found[1]) <= lines, problem
        assert len(problem) < 1500, "a key that YAML can read has 1,024 characters at most"


@fuzz()
@given(
    st.lists(
        st.tuples(st.sampled_from([*SECTIONS, *FIELDS, "placement", "podLabels"]), HOSTILE), min_size=1, max_size=6
    )
)
def test_hostile_values(entries: list[tuple[str, str]]) -> None:
    text = BASE
    for name, value in entries:
        section, _, field = name.partition(".")
        text += f"{section}: {{{field}: {value}}}\n" if field else f"{section}: {value}\n"
    read_or_refuse(text)


@fuzz(4)
@given(st.integers(0, len(TEXT)), st.integers(0, 40), st.one_of(HOSTILE, st.text(max_size=12)))
def test_a_file_with_a_part_replaced(position: int, length: int, by: str) -> None:
    read_or_refuse(TEXT[:position] + by + TEXT[position + length :])


@fuzz()
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read_or_refuse(text)


def test_the_whole_of_the_settings_is_read_back() -> None:
    assert read_settings(TEXT.encode(), "settings.yaml") == WHOLE
