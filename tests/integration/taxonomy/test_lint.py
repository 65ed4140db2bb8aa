"""The second reader and yamllint as a program: what they say is taken, and nothing that a file makes up."""

from pathlib import Path

import pytest

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.lint import Text, lint


def _texts(*texts: str) -> list[Text]:
    return [Text(f"{number}/qna.yaml", text, form=True) for number, text in enumerate(texts)]


def test_each_file_gets_its_own_messages() -> None:
    found = lint(_texts("a: b \n", "a: b\n", "a:  b\n"), 60)
    assert sorted(str(problem) for problem in found.form) == [
        "0/qna.yaml:1:5 trailing spaces (trailing-spaces)",
        "2/qna.yaml:1:4 too many spaces after colon (colons)",
    ]
    assert (found.form_total, found.refused) == (2, [])


def test_form_is_looked_at_only_where_it_is_asked_for() -> None:
    found = lint([Text("a/qna.yaml", "a: b \n", form=False), Text("b/qna.yaml", "a:\tb \n", form=False)], 60)
    assert found.form == []
    assert [str(problem) for problem in found.refused] == [
        "b/qna.yaml:1:3 is not valid YAML: there is a tab at this place, and YAML takes no tabs there; put blanks in "
        "its place"
    ]


def test_two_equal_keys_are_no_matter_of_form() -> None:
    assert lint(_texts("a: 1\na: 2\n"), 60).form == []


def test_what_the_two_readers_read_differently_is_refused() -> None:
    (problem,) = lint(_texts("a: b\nc: !\n"), 60).refused
    assert (problem.line, problem.column) == (2, 4)
    assert problem.message.startswith("not every YAML reader takes this for the same")


@pytest.mark.parametrize("name", ['"x\\n{}\\n"', '"\\x1b[2Jx"', "x"])
def test_messages_hold_nothing_that_a_terminal_obeys(name: str) -> None:
    found = lint(_texts(f"{name}: 1 \n- {name}\n", f"{name}: [1,{name}]\n"), 60)
    said = [problem.message for problem in (*found.refused, *found.form)]
    assert said
    assert all(message.isprintable() for message in said)


def test_no_more_messages_are_read_than_a_report_can_hold() -> None:
    found = lint(_texts(*["a: b \n" * 100] * 10), 60, limit=120)
    assert len(found.form) == 121
    assert found.form[-1].message == "further messages of yamllint were not read: there are too many"
    assert found.form_total == 1000


def test_of_one_file_the_first_messages_are_given_and_the_others_counted() -> None:
    found = lint(_texts("a: b\n" + "# c \n" * 200), 60)
    assert [len(found.form), found.form[-1].message] == [51, "150 further messages of yamllint"]


def test_the_time_is_bounded() -> None:
    with pytest.raises(CheckError) as error:
        lint(_texts("a: b\n" * 100_000), 0.5)
    assert error.value.reason == "TimedOut"


def test_the_folder_where_the_check_is_started_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('a file of the taxonomy was run')")
    monkeypatch.chdir(tmp_path)
    assert lint(_texts("a: b \n"), 60).form_total == 1
