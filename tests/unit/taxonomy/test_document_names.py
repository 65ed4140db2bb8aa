"""What documents are called in a snapshot."""

from sdg_operator.taxonomy.documents import names_in_snapshot


def test_a_path_becomes_one_plain_name() -> None:
    assert names_in_snapshot(["docs/A file.MD", "ä/.hidden.md", "…"]) == ["docs__A_file.md", "___.hidden.md", "_"]


def test_each_has_a_name_of_its_own_also_where_capitals_do_not_count() -> None:
    paths = ["a/b.md", "a__b-2.md", "A__b.md", "a__b.md", "a/b.MD"]
    assert names_in_snapshot(paths) == ["a__b.md", "a__b-2.md", "A__b-3.md", "a__b-4.md", "a__b-5.md"]


def test_as_many_like_names_as_a_check_allows_are_told_apart() -> None:
    """Each must not be compared with all others: that would take longer than the check has."""
    names = names_in_snapshot([f"{number}/{'x' * 200}.md" for number in range(10_000)])
    assert len(set(names)) == 10_000
    assert names[-1] == f"{'x' * 150}-10000.md"
