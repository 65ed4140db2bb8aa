"""Which files a leaf's patterns choose, and what is said where they choose none."""

import pytest

from sdg_operator.taxonomy.choice import Chooser, PatternError
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.files import Entry
from sdg_operator.taxonomy.repository import Tip

FILES = ["tides.md", "docs/moon.md", "docs/deep/sun.md", "docs/Wind.md", "notes.txt", "more.txt", "a.rst", "Report.PDF"]
NOW = [*FILES, "sea/new.md"]
HERE, THERE = "a" * 40, "b" * 40


def entries(paths: list[str]) -> tuple[Entry, ...]:
    files = [Entry("100644", "0" * 40, 1, path) for path in paths]
    return (*files, Entry("120000", "0" * 40, 1, "linked"), Entry("160000", "0" * 40, 0, "vendor/lib"))


def chooser(paths: list[str] = FILES, tip: Tip | None = None) -> Chooser:
    return Chooser(HERE, entries(paths), Deadline(60), lambda: tip)


def chosen(*patterns: str) -> list[str]:
    return [entry.path for entry in chooser().choose(patterns).entries]


def said(pattern: str, paths: list[str] = FILES) -> str:
    with pytest.raises(PatternError) as error:
        chooser(paths, Tip("main", THERE, entries(NOW))).choose([pattern])
    return str(error.value)


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("*.md", ["tides.md"]),
        ("./tides.md", ["tides.md"]),
        ("**/*.md", ["docs/Wind.md", "docs/deep/sun.md", "docs/moon.md", "tides.md"]),
        ("docs/**", ["docs/Wind.md", "docs/deep/sun.md", "docs/moon.md"]),
        ("docs/[mW]*", ["docs/Wind.md", "docs/moon.md"]),
        ("tides.*", ["tides.md"]),
        ("*.PDF", ["Report.PDF"]),
    ],
)
def test_globs_choose(pattern: str, want: list[str]) -> None:
    assert chosen(pattern) == want


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        # a regular expression
        (r".*\.md$", "it looks like a regular expression, and patterns are globs; write '*.md', or '**/*.md'"),
        (r"^docs/", "it looks like a regular expression, and patterns are globs; write 'docs/*.md'"),
        (r"^docs/.*\.md$", "write 'docs/*.md'"),
        (r"\.md", "write '*.md', or '**/*.md' for those in folders too"),
        (r"[a-z]+\.md", "write '*.md'"),
        (r"tide\w+\.md", "write 'tide*.md'"),
        (r"(tides|moon).md", "write one pattern for each: 'tides.md', 'moon.md'"),
        (r"docs/(?:moon|sun)\.md", "write one pattern for each: 'docs/moon.md', 'docs/sun.md'"),
        (r".*\.(md|pdf)$", "write one pattern for each: '*.md', '*.pdf'"),
        (r".*/deep/.*", "it looks like a regular expression, and patterns are globs; write '*/deep/*.md'"),
        (r"tides\.md$", "write 'tides.md'"),
        (r"((a|b)|c)+.md", "it looks like a regular expression, and patterns are globs; write '*.md'"),
        # other forms
        ("{tides,moon}.md", "braces mean nothing in it; write one pattern for each: 'tides.md', 'moon.md'"),
        ("docs/{a,b,c,d,e,f}.md", "'docs/a.md', 'docs/b.md', 'docs/c.md', 'docs/d.md', …"),
        (r"docs\moon.md", "it has backslashes, and folders are set off by /; write 'docs/moon.md'"),
        (r"docs\deep\*.md", "write 'docs/deep/*.md'"),
        ("tides.md ", "it has blanks at an end; write 'tides.md'"),
        ("https://github.com/o/r/blob/main/docs/moon.md", "write the path inside the repository, 'docs/moon.md'"),
        ("https://gitlab.com/o/r/-/tree/main/docs", "it is a URL; write the path inside the repository, 'docs'"),
        ("https://example.org", "it is a URL; write the path inside the repository"),
        # a place
        ("docs", "matches no file: 'docs' is a folder; write 'docs/*.md'"),
        ("docs/", "matches no file: 'docs' is a folder; write 'docs/*.md'"),
        ("./docs/deep/", "matches no file: 'docs/deep' is a folder; write 'docs/deep/*.md'"),
        ("vendor/lib/x.md", "lies in the submodule 'vendor/lib', and those are not fetched"),
        ("linked/x.md", "matches nothing: 'linked' is a symbolic link, and links are not followed"),
        # a time
        ("sea/new.md", "matches nothing at this commit (aaaaaaa), but on 'main' (bbbbbbb) there is 'sea/new.md'"),
        ("sea/*", "but on 'main' (bbbbbbb) there is 'sea/new.md'"),
        # a likeness
        ("Tides.md", "matches nothing in the repository at this commit; capitals count; write 'tides.md'"),
        ("tides.MD", "capitals count; write 'tides.md'"),
        ("docs/wind.md", "capitals count; write 'docs/Wind.md'"),
        ("moon.md", "in another folder there is 'docs/moon.md'"),
        ("docs/tides.md", "in another folder there is 'tides.md'"),
        ("text/*.md", "in another folder there is 'tides.md', 'docs/moon.md', 'docs/deep/sun.md', 'docs/Wind.md'"),
        ("tides", "the suffix is missing or another; there is 'tides.md'"),
        ("moon.docx", "the suffix is missing or another; there is 'docs/moon.md'"),
        ("wind.md", "capitals count, and it is in another folder; there is 'docs/Wind.md'"),
        ("nothing.md", "the documents that are there: 'tides.md', 'docs/moon.md', 'docs/deep/sun.md',"),
        # another kind
        ("*.txt", "matches no Markdown (.md) or PDF file, only 'notes.txt' and 1 more of its kind; the documents that"),
        ("/docs/*.md", "is not relative; patterns begin at the repository's top folder, without a slash"),
        ("C:\\docs\\*.md", "is not relative"),
    ],
)  # fmt: skip
def test_what_was_meant_is_said(pattern: str, want: str) -> None:
    assert want in said(pattern)
    assert pattern in said(pattern).replace("\\\\", "\\")


def test_only_other_kinds_of_files() -> None:
    message = said("*.*", ["a.rst", "b.rst", "c.docx"])
    assert "only 'a.rst' and 1 more of its kind; the repository has no Markdown (.md) and no PDF file" in message
    assert "a Markdown file's name ends in .md: rename it" in said("*.markdown", ["a.markdown"])


def test_markdown_and_pdf_are_named() -> None:
    assert "match Markdown and PDF files ('docs/Wind.md', 'Report.PDF'); InstructLab takes one kind" in said("**")


def test_a_link_that_is_no_document_does_not_stand_in_the_way() -> None:
    assert chosen("[lt]*") == ["tides.md"]
    assert said("linked") == "'linked' is a symbolic link, and links are not followed; name the file itself"


def test_names_of_a_stranger_are_shown_harmless() -> None:
    message = said("nothing.md", ["a\n\x1b[31m\udcff.md", "long" * 500 + ".md"])
    assert message.isprintable()
    assert len(message) < 1000


def test_many_patterns_without_a_match_are_counted() -> None:
    choice = chooser().choose(["tides.md", *(f"none{number}.md" for number in range(500))])
    assert len(choice.warnings) == 21
    assert choice.warnings[-1] == ("patterns.0", "480 further patterns match no document")


def test_the_default_branch_is_looked_at_once_and_only_if_need_be() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)

    one = Chooser(HERE, entries(FILES), Deadline(60), look)
    one.choose(["tides.md"])
    assert not looks
    one.choose(["tides.md", "gone.md", "lost.md"])
    assert len(looks) == 1
