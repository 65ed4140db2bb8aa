"""Both training files are fit for trainers: one shape in all rows, read alike by every reader, and measured."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_operator.engine import training_row
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE
from sdg_operator.storage.records import MergeFile
from tests.integration.engine.leaves import json_lines
from tests.integration.engine.test_mix import AREA, BIRD, Mixed, knowledge_rows, skill_rows

FILES = (KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE)
SEPARATED = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg \x7f / é 鸟 😀"

OWN: list[Any] = [
    {"messages": [{"role": "user", "content": SEPARATED}, {"content": "So.", "role": "assistant"}]},
    {"id": 7, "messages": [{"content": "a", "role": "user", "name": "Eve"}], "metadata": {"n": 1}, "unmask": 1},
    {"id": "2024-01-01", "metadata": "text", "messages": [{"role": "user", "content": "2024-01-01"}], "score": 0.5},
    {"id": "x" * 3000, "metadata": "{}", "unmask": False, "messages": [{"content": "long " * 5000, "role": "user"}]},
]


def own_file(rows: list[Any]) -> bytes:
    """As people have it: with a mark at the start, line ends of Windows, blank lines, and none at the end."""
    return b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows)


def mixed_with_own_file(folder: Path) -> Mixed:
    """Mix a leaf of each kind with a file of the user's own for each of the two files."""
    skills, knowledge = skill_rows(AREA, 4, output=f"Why {SEPARATED}? So {SEPARATED}."), knowledge_rows(BIRD, 3)
    made = Mixed(
        folder,
        [(AREA, skills), (BIRD, knowledge)],
        files=(MergeFile(key="mine/k.jsonl", kind="knowledge"), MergeFile(key="mine/k.jsonl", kind="skills")),
        prepare=lambda store: store.put_bytes("mine/k.jsonl", own_file(OWN)),
    )
    assert made.done.returncode == 0, made.done.stderr
    return made


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    return mixed_with_own_file(tmp_path_factory.mktemp("mixed"))


def load(content: bytes, folder: Path) -> datasets.Dataset:
    file = folder / "train.jsonl"
    file.write_bytes(content)
    return datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(folder / "cache"))


@pytest.mark.parametrize("name", FILES)
def test_all_rows_have_the_same_keys_and_types_in_one_order(mixed: Mixed, name: str) -> None:
    rows = json_lines(mixed.file(name))
    assert len({(tuple(row), *{tuple(message) for message in row["messages"]}) for row in rows}) == 1
    for row in rows:
        assert {name: type(value) for name, value in row.items()} == {
            "id": str, "messages": list, "metadata": str, "unmask": bool,
        }  # fmt: skip
        assert all(isinstance(text, str) for message in row["messages"] for text in message.values())
        assert isinstance(json.loads(row["metadata"]), dict)


@pytest.mark.parametrize("name", FILES)
def test_a_row_is_one_line_for_every_reader_and_all_are_spelled_alike(mixed: Mixed, name: str) -> None:
    content = mixed.file(name)
    assert content.decode().splitlines() == content.decode().split("\n")[:-1]
    assert b"".join(training_row.spelled(row) + b"\n" for row in json_lines(content)) == content


@pytest.mark.parametrize("name", FILES)
def test_hugging_face_s_reader_takes_them(mixed: Mixed, name: str, tmp_path: Path) -> None:
    read = load(mixed.file(name), tmp_path)
    assert {name: str(feature) for name, feature in read.features.items()} == {
        "id": "Value('string')",
        "messages": str(read.features["messages"]),
        "metadata": "Value('string')",
        "unmask": "Value('bool')",
    }
    assert "content" in str(read.features["messages"])
    assert list(read) == json_lines(mixed.file(name))


def test_rows_of_the_user_are_kept_whole(mixed: Mixed) -> None:
    rows = json_lines(mixed.file(KNOWLEDGE_TRAIN_FILE))[3:]
    assert [row["messages"][0]["content"] for row in rows] == [row["messages"][0]["content"] for row in OWN]
    assert [row["id"] for row in rows[1::2]] == ["7", "x" * 3000]
    assert [json.loads(row["metadata"]) for row in rows] == [
        {}, {"n": 1, "messages": [{"name": "Eve"}]}, {"metadata": "text", "score": 0.5, "id": "2024-01-01"}, {},
    ]  # fmt: skip
    assert [row["unmask"] for row in rows] == [False, True, False, False]


def test_the_log_tells_once_a_file_what_was_done(mixed: Mixed) -> None:
    told = [line for line in mixed.done.stderr.splitlines() if "mine/k.jsonl: 4 rows: " in line]
    assert len(told) == 2
    assert "1 whose id is text now" in told[0]
    assert "2 with other keys, which went into metadata (messages, score, id)" in told[0]


def test_the_manifest_has_the_longest_row_and_where_rows_come_from(mixed: Mixed) -> None:
    knowledge, skills = mixed.manifest.training
    assert (knowledge.path, skills.path) == FILES
    assert (knowledge.knowledge, knowledge.skills, knowledge.merged) == (3, 0, 4)
    assert (skills.knowledge, skills.skills, skills.merged) == (6, 30, 4)
    assert (knowledge.longest_row, knowledge.longest_line, knowledge.long_rows) == (6667, 7, 1)
    assert (skills.longest_row, skills.longest_line, skills.long_rows) == (6667, 40, 1)
    assert [file.sha256 for file in mixed.manifest.merged] == [sha256(own_file(OWN)).hexdigest()] * 2
    assert mixed.manifest.warnings == tuple(
        f"{name}: 1 of {rows} rows have more than 4096 tokens by our estimate, the longest about 6667 (line {rows}): "
        "trainers drop or cut what is longer than they are set to take"
        for name, rows in zip(FILES, (7, 40), strict=True)
    )
    assert all(warning in mixed.done.stderr for warning in mixed.manifest.warnings)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("knowledge", "merged", "warned"),
    [(1, 36, False), (1, 37, True), (500, 0, False), (501, 0, True), (0, 500, False)],
)
def test_a_kind_that_drowns_the_other_is_warned_of(tmp_path: Path, knowledge: int, merged: int, warned: bool) -> None:
    """Skills give 30 rows a leaf; a sample of knowledge gives two beside them."""
    mixed = Mixed(
        tmp_path,
        [(AREA, skill_rows(AREA, 2)), *([(BIRD, knowledge_rows(BIRD, knowledge))] if knowledge else [])],
        files=(MergeFile(key="k", kind="skills"),) if merged else (),
        prepare=lambda store: store.put_bytes("k", b"\n".join(json.dumps(OWN[0]).encode() for _ in range(merged))),
    )
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert ["drowned" in warning for warning in mixed.manifest.warnings] == [True] * warned
    assert all(warning in mixed.done.stderr for warning in mixed.manifest.warnings)


@pytest.mark.deep
def test_a_second_mix_gives_the_same_bytes(mixed: Mixed, tmp_path: Path) -> None:
    again = mixed_with_own_file(tmp_path)
    for name in (*FILES, "manifest.json"):
        assert again.file(name) == mixed.file(name)


@pytest.mark.deep
def test_training_files_of_another_run_are_taken_as_they_are(mixed: Mixed, tmp_path: Path) -> None:
    """Those of knowledge have another order of keys than those of skills; each keeps its own."""

    def prepare(store: FolderStore) -> None:
        for name in FILES:
            store.put_bytes(f"before/{name}", mixed.file(name))

    files = (MergeFile(key=f"before/{FILES[0]}", kind="knowledge"), MergeFile(key=f"before/{FILES[1]}", kind="skills"))
    again = Mixed(tmp_path, [], files=files, prepare=prepare)
    assert again.done.returncode == 0, again.done.stderr
    assert [again.file(name) for name in FILES] == [mixed.file(name) for name in FILES]
    assert f"before/{KNOWLEDGE_TRAIN_FILE}: 7 rows\n" in again.done.stderr


@pytest.mark.deep
def test_a_file_whose_first_ids_look_like_times_can_be_read(tmp_path: Path) -> None:
    """Arrow reads blocks of 10 MiB, and cannot read text where the first block had nothing but times."""
    rows = [OWN[3] | {"id": "2024-01-01"}] * 800 + [OWN[3]] * 800
    mixed = Mixed(
        tmp_path, [], files=(MergeFile(key="k", kind="knowledge"),),
        prepare=lambda store: store.put_bytes("k", own_file(rows)),
    )  # fmt: skip
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert load(mixed.file(KNOWLEDGE_TRAIN_FILE), tmp_path).num_rows == 1600


@settings(derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(alphabet='\x7f\\u07f/"\n\u2028é'))
def test_rows_are_spelled_as_pandas_spells_them(text: str, nasty: str) -> None:
    row = {"id": nasty, "messages": [{"content": text, "role": nasty}], "unmask": True, "metadata": text}
    assert training_row.spelled(row) + b"\n" == pd.DataFrame([row]).to_json(orient="records", lines=True).encode()
