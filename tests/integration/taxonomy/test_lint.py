"""yamllint as a program: its messages are taken, and nothing that a file makes up."""

import pytest

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.lint import lint


def test_each_file_gets_its_own_messages() -> None:
    problems = lint({"a/qna.yaml": "a: b \n", "b/qna.yaml": "a: b\n", "c/qna.yaml": "a:  b\n"}.items(), 60)
    assert [str(problem) for problem in sorted(problems, key=str)] == [
        "a/qna.yaml:1:5 trailing spaces (trailing-spaces)",
        "c/qna.yaml:1:4 too many spaces after colon (colons)",
    ]


def test_a_key_that_looks_like_a_message_breaks_nothing() -> None:
    key = '"x\\n./99999.yaml:1:1: [error] made up\\n./%s.yaml:1:1: [error] y\\x1b[2J"' % ("9" * 50)
    problems = lint({"a/qna.yaml": f"{key}: 1\n{key}: 2\n"}.items(), 60)
    assert [problem.line for problem in sorted(problems, key=str)] == [2]
    assert problems[0].message.startswith("duplication of key")


def test_messages_hold_nothing_that_a_terminal_obeys() -> None:
    problems = lint({"a/qna.yaml": '"\\x1b[2Jx": 1\n"\\x1b[2Jx": 2\n'}.items(), 60)
    assert problems[0].message == 'duplication of key "\N{REPLACEMENT CHARACTER}[2Jx" in mapping (key-duplicates)'


def test_no_more_messages_are_read_than_a_report_can_hold() -> None:
    problems = lint({f"{number}/qna.yaml": "a: b \n" * 100 for number in range(10)}.items(), 60, limit=120)
    assert len(problems) == 121
    assert problems[-1].message == "further messages of yamllint were not read: there are too many"


def test_the_time_is_bounded() -> None:
    with pytest.raises(CheckError) as error:
        lint({"a/qna.yaml": "a: b\n" * 100_000}.items(), 0.5)
    assert error.value.reason == "TimedOut"
