"""The address of a teacher as people write it."""

import pytest
from yarl import URL

from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.failure import EngineFailure


@pytest.mark.parametrize(
    ("written", "first", "second"),
    [
        ("http://h/v1", "http://h/v1", "http://h/"),
        ("http://h/v1/", "http://h/v1", "http://h/"),
        ("http://h", "http://h/", "http://h/v1"),
        ("http://h:8000/", "http://h:8000/", "http://h:8000/v1"),
        ("http://h/v1/v1", "http://h/v1/v1", "http://h/v1"),
        ("http://h/v1/completions", "http://h/v1", "http://h/"),
        ("http://h/v1/chat/completions/", "http://h/v1", "http://h/"),
        ("https://h/openai//team", "https://h/openai/team", "https://h/openai/team/v1"),
    ],
)
def test_the_addresses_that_may_be_meant(written: str, first: str, second: str) -> None:
    access = TeacherAccess.from_environment({"SDG_TEACHER_URL": written})
    assert access.bases == (URL(first), URL(second))


@pytest.mark.parametrize(
    "url", ["", "teacher:8000/v1", "ftp://host/v1", "http://user:pw@host/v1", "http://host/v1?a=b"]
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(EngineFailure, match="SDG_TEACHER_URL must be"):
        TeacherAccess.from_environment({"SDG_TEACHER_URL": url})
