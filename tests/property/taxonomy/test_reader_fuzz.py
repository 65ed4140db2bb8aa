"""Whatever the bytes: a tree, or a refusal in words. Never another exception, never a report that does not fit.

``SDG_PROPERTY_EXPLORE=20000 pytest tests/property/taxonomy --hypothesis-show-statistics`` is the long run.
"""

import gzip
import io
import tarfile
from contextlib import suppress
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdg_operator.taxonomy.archive import read_archive
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.inspection import failed
from sdg_operator.taxonomy.lint import Text, lint
from sdg_operator.taxonomy.qna import Qna, read_qna
from sdg_operator.taxonomy.report import FullReport, Problem, ShortReport
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.root import select
from sdg_operator.taxonomy.tree import Tree
from sdg_operator.taxonomy.yamltext import YamlError, load
from tests.property.examples import fuzz
from tests.taxonomies.archives import GOOD
from tests.taxonomies.making import entry, knowledge, packed, skill, tar

LIMITS = Limits(entries=200, archive_bytes=1 << 20, file_bytes=1 << 16)
RAW = tar(*((entry(name), content.encode()) for name, content in GOOD.items()))
PARTS = [
    "compositional_skills",
    "knowledge",
    "foundational_skills",
    "a",
    "..",
    ".",
    "",
    "é",
    "x" * 300,
    "\\",
    "C:",
    "\x1b",
]
NAMES = st.lists(st.sampled_from(PARTS), max_size=6).map("/".join)
FILES = st.sampled_from(["qna.yaml", "qna.yml", "QNA.YAML", "README.md", ""])
TYPES = st.sampled_from([bytes([kind]) for kind in b"0125346SxgLKVD\0"])


def read_or_refuse(data: bytes) -> Tree | None:
    """Read and select; give what the report would be made of."""
    try:
        tree = read_archive(io.BytesIO(data), LIMITS)
        select(tree)
    except CheckError as error:
        report = failed("fuzz", error).short("key")
        assert ShortReport.from_text(report.to_text()) is not None
        assert len(report.to_text().encode()) <= 3072
        return None
    return tree


@fuzz()
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    read_or_refuse(data)


@fuzz()
@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(0, 255)), min_size=1, max_size=30))
def test_a_tar_with_changed_bytes(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(RAW)
    for position, value in changes:
        raw[position] = value
    read_or_refuse(gzip.compress(bytes(raw), compresslevel=1))


@fuzz()
@given(st.integers(0, 511), st.binary(min_size=1, max_size=60), st.integers(0, len(GOOD) - 1))
def test_a_header_that_is_wrong_with_a_right_checksum(position: int, value: bytes, member: int) -> None:
    raw = bytearray(RAW)
    offsets = [number for number in range(0, len(raw), 512) if raw[number + 257 : number + 262] == b"ustar"]
    start = offsets[member % len(offsets)]
    value = value[: 512 - position]
    raw[start + position : start + position + len(value)] = value
    raw[start + 148 : start + 156] = b"        "
    raw[start + 148 : start + 156] = b"%06o\0 " % sum(raw[start : start + 512])
    read_or_refuse(gzip.compress(bytes(raw), compresslevel=1))


@fuzz()
@given(st.data())
def test_a_gzip_with_changed_or_missing_bytes(data: st.DataObject) -> None:
    packed_good = bytearray(packed(dict(GOOD)))
    for position in data.draw(st.lists(st.integers(0, len(packed_good) - 1), max_size=5)):
        packed_good[position] ^= data.draw(st.integers(1, 255))
    read_or_refuse(bytes(packed_good[: data.draw(st.integers(0, len(packed_good)))]))


@fuzz()
@given(st.lists(st.tuples(NAMES, FILES, TYPES, st.binary(max_size=50)), max_size=12))
def test_any_names_and_types(members: list[tuple[str, str, bytes, bytes]]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as archive:
        for folder, file, kind, content in members:
            info = entry(f"{folder}/{file}", type=kind, linkname="x")
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    tree = read_or_refuse(gzip.compress(buffer.getvalue(), compresslevel=1))
    for path in tree.files if tree else ():
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert path == path.strip()


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "yes", "2024-01-01", "1e5", "*a", "&a", "!!set", "<<", "[", "{", "- ", ": "]),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(TEXTS, inner, max_size=6)),
    max_leaves=20,
)
FOLDERS = st.sampled_from(["compositional_skills/a/qna.yaml", "knowledge/a/qna.yaml"])


@fuzz()
@given(
    FOLDERS, st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode(errors="replace")))
)
def test_any_bytes_as_a_leaf(file: str, data: bytes) -> None:
    _readable(read_qna(file, data, LIMITS))


@fuzz()
@given(FOLDERS, st.data())
def test_a_good_leaf_with_any_values(file: str, data: st.DataObject) -> None:
    good = yaml.safe_load(knowledge() if file.startswith("knowledge") else skill())
    for key in data.draw(st.lists(st.sampled_from([*good, "version", "extra"]), max_size=3)):
        good[key] = data.draw(VALUES)
    text = yaml.safe_dump(good, allow_unicode=True)
    qna = read_qna(file, text.encode(), LIMITS)
    assert qna.problems or qna.seeds
    _readable(qna)


@fuzz()
@given(FOLDERS, st.data())
def test_a_good_leaf_with_changed_characters(file: str, data: st.DataObject) -> None:
    text = knowledge() if file.startswith("knowledge") else skill()
    for position in data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=4)):
        text = (
            text[:position]
            + data.draw(st.sampled_from("&*![]{}#|>-:?%@`'\",\n\t \0\x85\u2028é"))
            + text[position + 1 :]
        )
    _readable(read_qna(file, text.encode(), LIMITS))


def _readable(qna: Qna) -> None:
    """Whatever the text: no message is longer than a person reads, or has what a terminal obeys."""
    for problem in (*qna.problems, *qna.warnings):
        assert problem.message.isprintable(), problem.message
        assert len(problem.message) < 700
        assert (problem.line or 1) >= 1
        assert (problem.column or 1) >= 1


LINES = st.lists(
    st.one_of(st.text(max_size=30), st.sampled_from(["a: b", "- x ", "  - y", "a:  b", "{a: 1 }", "[1,2]", "# c"]))
)


@fuzz(share=10)
@given(st.lists(LINES.map("\n".join), min_size=20, max_size=60))
def test_whatever_can_be_read_can_be_linted(texts: list[str]) -> None:
    readable = []
    for number, text in enumerate(texts):
        with suppress(YamlError):
            load(text, LIMITS)
            readable.append(Text(f"knowledge/{number}/qna.yaml", text, form=True))
    lint(readable, 60)


@fuzz()
@given(st.one_of(st.text(max_size=80), st.from_regex(r"(https|ssh)://[a-z@:/.%-]{1,30}\Z")))
def test_any_text_as_a_url(text: str) -> None:
    try:
        url = GitUrl.parse(text)
    except CheckError:
        return
    assert url.scheme in {"https", "ssh"}
    assert not url.host.startswith("-")
    assert GitUrl.parse(str(url)) == url


@fuzz()
@given(
    st.lists(st.tuples(st.text(max_size=400), st.text(max_size=2000)), max_size=20),
    st.integers(0, 20),
    st.text(max_size=3000),
    st.text(max_size=1024),
)
def test_any_report_fits(problems: list[tuple[str, str]], warnings: int, message: str, revision: str) -> None:
    found = tuple(Problem(file=file, line=1, column=1, message=text) for file, text in problems)
    told: dict[str, Any] = {"message": message, "revision": revision, "problems": found, "warnings": found[:warnings]}
    full = FullReport(ok=False, reason="InvalidTaxonomy", source="x", **told)
    text = full.short("k" * 1024).to_text()
    assert len(text.encode()) <= 3072
    short = ShortReport.from_text(text)
    assert short is not None
    assert (short.problems_total, short.warnings_total) == (len(problems), min(warnings, len(problems)))
    assert len(short.problems) == min(len(problems), 10) or not short.warnings, "warnings go first"
