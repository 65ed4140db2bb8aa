"""A pattern matches the files that Python's glob would find in a clone, as InstructLab does it."""

import glob
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from sdg_operator.taxonomy.patterns import matches, refusal
from tests.property.examples import fuzz

PARTS = st.sampled_from(["a", "b", "a.md", "b.MD", ".hidden", "ab.md", "[x].md", "é.md"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
PATTERN_PARTS = st.sampled_from(
    ["*", "**", "*.md", "a", "b", "?.md", "[ab]*", "[!a].md", ".*", ".", "**.md", "a*b*", "[[]x].md", ""]
)
PATTERNS = st.lists(PATTERN_PARTS, min_size=1, max_size=5).map("/".join).filter(lambda text: refusal(text) is None)


@fuzz()
@given(st.lists(PATHS, max_size=8), PATTERNS)
def test_patterns_match_what_glob_finds(paths: list[str], pattern: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for path in paths:
            file = folder / path
            if any(parent.is_file() for parent in file.parents if parent != folder) or file.is_dir():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        # A name that ends with a slash is the folder itself.
        found = {str(Path(path)) for path in glob.glob(pattern, root_dir=folder, recursive=True) if path[-1:] != "/"}  # noqa: PTH207
    assert {path for path in files if matches(pattern, path)} == found & files
