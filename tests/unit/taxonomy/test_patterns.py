"""What a pattern may say, and that saying it often costs no more."""

import pytest

from sdg_operator.taxonomy.patterns import matches, refusal


@pytest.mark.parametrize(("path", "want"), [("a/b/c.md", True), ("c.md", True), ("a/.b/c.md", False), ("c.txt", False)])
def test_any_depth_said_many_times_in_a_row_is_said_once(path: str, want: bool) -> None:
    pattern = "**/" * 300 + "*.md"
    assert refusal(pattern) is None
    assert matches(pattern, path) == want == matches("**/*.md", path)


def test_any_depth_may_not_be_said_everywhere() -> None:
    assert refusal("**/a/" * 16 + "*.md") is None
    assert refusal("**/a/" * 17 + "*.md") == "has more than 16 times **"
