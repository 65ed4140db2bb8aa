"""The mix container on ledgers of all kinds: whole, partial and merged runs, and ledgers that are wrong."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.engine.contract import EngineResult, ExitCode
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.records import Manifest, MergeFile, Origin, SampleSettings
from tests.integration.engine.leaves import Leaf, json_lines
from tests.integration.engine.ledger import LAYOUT, plan, run_mix, source, start_mix
from tests.integration.engine.running import wait_until

AREA = Leaf("compositional_skills/STEM/math/area", "freeform")
POEM = Leaf("compositional_skills/writing/" + "very_" * 60 + "long_poem", "freeform")
BIRD = Leaf("knowledge/science/birds/chickadee", "knowledge")
SETTINGS = SampleSettings(pipeline="simple", scale_factor=2, model="teacher", system_prompt="Be kind.")


def skill_rows(leaf: Leaf, count: int, **more: Any) -> list[dict[str, Any]]:
    common = {"task_description": "Tell.", "seed_question": "Why?", "seed_response": "So.",
              "leaf_node_type": "freeform_skill", "leaf_node_path": leaf.id}  # fmt: skip
    return [common | {"output": f"What is {i}? It is {i}."} | more for i in range(count)]


def full_rows(leaf: Leaf, count: int) -> list[dict[str, Any]]:
    rows = skill_rows(leaf, count)
    return [
        {k: v for k, v in row.items() if k != "output"} | {"question": f"Full {i}?", "response": f"Yes {i}."}
        for i, row in enumerate(rows)
    ]


def knowledge_rows(leaf: Leaf, count: int) -> list[dict[str, Any]]:
    return [
        {"document": f"Chunk {i % 5}", "icl_document": "c", "document_outline": "o", "domain": "birds",
         "leaf_node_type": "knowledge", "icl_query_1": "q", "icl_response_1": "a", "leaf_node_path": leaf.id,
         "output": f"What is {i}? It is {i}."}
        for i in range(count)
    ]  # fmt: skip


def body(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


class Mixed:
    """A mix of the given sources; what it left in the bucket."""

    def __init__(
        self,
        tmp_path: Path,
        contents: list[tuple[Leaf, list[dict[str, Any]]]],
        files: tuple[MergeFile, ...] = (),
        prepare: Callable[[FolderStore], None] = lambda _store: None,
    ) -> None:
        self.bucket = tmp_path / "bucket"
        store = FolderStore(self.bucket)
        sources = [source(store, leaf, SETTINGS, body(rows), n) for n, (leaf, rows) in enumerate(contents)]
        plan(store, SETTINGS, sources, files)
        prepare(store)
        message = tmp_path / "termination-log"
        self.done = run_mix(self.bucket, tmp_path / "work", SDG_TERMINATION_LOG=str(message))
        self.result = EngineResult.model_validate_json(message.read_bytes())

    def file(self, name: str) -> bytes:
        return (self.bucket / LAYOUT.root / name).read_bytes()

    @property
    def manifest(self) -> Manifest:
        return Manifest.model_validate_json(self.file("manifest.json"))


def test_the_result_has_both_files_artifacts_system_information_and_a_manifest(tmp_path: Path) -> None:
    mixed = Mixed(
        tmp_path, [(AREA, skill_rows(AREA, 12)), (BIRD, knowledge_rows(BIRD, 10)), (POEM, full_rows(POEM, 3))]
    )
    assert mixed.done.returncode == 0, mixed.done.stderr
    manifest = mixed.manifest
    # 30 rows for each skill; twice the knowledge samples beside them, once for the knowledge phase.
    assert (manifest.samples.knowledge, manifest.samples.skills, manifest.samples.total) == (10, 80, 90)
    assert [(leaf.path.rsplit("->", 1)[-1], leaf.actual) for leaf in manifest.leaves] == [
        ("area", 12),
        (POEM.name, 3),
        ("chickadee", 10),
    ]
    for file in manifest.files:
        content = mixed.file(file.path)
        assert (len(content), content.count(b"\n")) == (file.size, file.lines)
    assert {file.path.split("/")[0] for file in manifest.files} == {
        "artifacts", "logs", "knowledge_train_msgs.jsonl", "skills_train_msgs.jsonl",
    }  # fmt: skip
    assert b"instructlab-sdg.version: 0.8.3" in mixed.file("logs/ilab_system_info.log")
    row = json_lines(mixed.file("skills_train_msgs.jsonl"))[0]
    assert set(row) == {"id", "messages", "metadata", "unmask"}
    assert row["messages"][0] == {"content": "Be kind.", "role": "system"}


@pytest.mark.deep
def test_skills_alone_leave_an_empty_knowledge_file(tmp_path: Path) -> None:
    mixed = Mixed(tmp_path, [(AREA, skill_rows(AREA, 4))])
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert mixed.file("knowledge_train_msgs.jsonl") == b""


@pytest.mark.deep
def test_rows_of_one_leaf_from_several_runs_are_all_mixed(tmp_path: Path) -> None:
    first, second = knowledge_rows(BIRD, 4), [row | {"output": "Which? That."} for row in knowledge_rows(BIRD, 3)]
    mixed = Mixed(tmp_path, [(BIRD, first), (BIRD, second)])
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert mixed.manifest.samples.knowledge == 7
    assert mixed.file(f"artifacts/{BIRD.id}.jsonl") == body(first + second)
    assert mixed.manifest.leaves[0].actual == 7


@pytest.mark.deep
def test_one_leaf_made_by_two_pipelines_is_mixed_pipeline_by_pipeline(tmp_path: Path) -> None:
    mixed = Mixed(tmp_path, [(AREA, skill_rows(AREA, 5)), (AREA, full_rows(AREA, 5))])
    assert mixed.done.returncode == 0, mixed.done.stderr
    said = {row["messages"][1]["content"][:4] for row in json_lines(mixed.file("skills_train_msgs.jsonl"))}
    assert said == {"What", "Full"}


@pytest.mark.deep
@pytest.mark.parametrize("own", ["simple", "full"])
def test_a_merged_run_keeps_the_pipeline_that_its_samples_were_made_with(tmp_path: Path, own: str) -> None:
    """Samples of ``llama`` hold summaries; only that pipeline knows what was asked for them."""
    bucket = tmp_path / "bucket"
    store = FolderStore(bucket)
    kinds = ("summary_detailed", "base_document")
    rows = [
        row | {"dataset_type": kinds[i % 2], "raw_document": f"Raw {i}"}
        for i, row in enumerate(knowledge_rows(BIRD, 6))
    ]
    rows.append(rows[0] | {"dataset_type": "one that this pipeline does not know"})
    merged = source(store, BIRD, SETTINGS, body(rows)).model_copy(update={"origin": "synthetic_data/other"})
    origins = {"synthetic_data/other": Origin(pipeline="llama")}
    plan(store, SETTINGS.model_copy(update={"pipeline": own}), [merged], origins=origins)
    done = run_mix(bucket, tmp_path / "work")
    assert done.returncode == 0, done.stderr
    made = json_lines((bucket / LAYOUT.root / "knowledge_train_msgs.jsonl").read_bytes())
    assert {json.loads(row["metadata"])["dataset"] for row in made} >= {"document_summary_detailed"}


OWN = b'{"messages": [{"role": "user", "content": "Hi"}]}\n'


@pytest.mark.deep
def test_a_training_file_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    mixed = Mixed(
        tmp_path,
        [(AREA, skill_rows(AREA, 2))],
        files=(MergeFile(key="mine/k.jsonl", kind="knowledge"),),
        prepare=lambda store: store.put_bytes("mine/k.jsonl", OWN + b"\n" + OWN + b'{"messages": [], "score": NaN}\n'),
    )
    assert mixed.result.error is not None
    assert (mixed.result.exit_code, mixed.result.error.reason) == (ExitCode.INVALID_INPUT, "InvalidTrainingFile")
    assert mixed.result.error.message.startswith("mine/k.jsonl:4: not JSON: NaN is no JSON")


@pytest.mark.deep
def test_line_separators_in_answers_and_null_answers_do_not_kill_the_mix(tmp_path: Path) -> None:
    separated = "Why\u2028so\u0085? Because\u2029."
    rows = skill_rows(AREA, 3) + skill_rows(AREA, 1, output=separated) + skill_rows(AREA, 1, output=None)
    mixed = Mixed(tmp_path, [(AREA, rows)])
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert mixed.manifest.samples.skills == 30
    assert "1 rows without an answer" in mixed.done.stderr


CHINESE = "鸟在哪里筑巢？它在河边筑巢。"


def test_samples_with_question_marks_of_other_scripts_are_mixed(tmp_path: Path) -> None:
    skills, knowledge = skill_rows(AREA, 8, output=CHINESE), knowledge_rows(BIRD, 3)
    knowledge[1]["output"] = CHINESE
    mixed = Mixed(tmp_path, [(AREA, skills), (BIRD, knowledge)])
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert (mixed.manifest.samples.knowledge, mixed.manifest.samples.skills) == (3, 30 + 6)
    rows = json_lines(mixed.file("skills_train_msgs.jsonl"))
    said = {tuple(message["content"] for message in row["messages"][1:]) for row in rows[:30]}
    assert said == {("鸟在哪里筑巢？", "它在河边筑巢。")}
    asked = json_lines(mixed.file("knowledge_train_msgs.jsonl"))[1]["messages"]
    assert asked[-2]["content"] == "Chunk 1\n\n鸟在哪里筑巢？"
    assert asked[-1]["content"] == "它在河边筑巢。"


@pytest.mark.deep
def test_samples_without_question_or_answer_take_no_place_of_others_and_are_counted(tmp_path: Path) -> None:
    bad = ["No question here.", "鸟；在河边。", "Only a question?", " ? "]
    skills = skill_rows(AREA, 5) + [row for text in bad for row in skill_rows(AREA, 5, output=text)]
    mixed = Mixed(
        tmp_path, [(AREA, skills), (BIRD, [row | {"output": "Statement."} for row in knowledge_rows(BIRD, 2)])]
    )
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert mixed.manifest.samples.skills == 30 + 4
    assert mixed.manifest.leaves[0].actual == 25
    assert "10 rows without a question mark are left out" in mixed.done.stderr
    assert "10 rows with an empty answer are left out" in mixed.done.stderr
    assert "2 rows without a question mark are mixed with their document alone" in mixed.done.stderr


def corrupt(store: FolderStore) -> None:
    key = LAYOUT.samples(AREA.id, 0, "pod")
    store.put_bytes(key, store.get_bytes(key, 1 << 20).replace(b"What", b"When"))


def remove(store: FolderStore) -> None:
    store.delete(LAYOUT.samples(AREA.id, 0, "pod"))


def no_training_file(store: FolderStore) -> None:
    store.put_bytes("k", OWN + b'{"a": 1}\n')


def packed_training_file(store: FolderStore) -> None:
    store.put_bytes("k", gzip.compress(OWN))


def endless_row(store: FolderStore) -> None:
    store.put_bytes("k", OWN + b"1" * (65 << 20))


WRONG: dict[str, tuple[dict[str, Any], ExitCode, str]] = {
    "an empty plan": ({"contents": []}, ExitCode.EMPTY_RESULT, "no samples"),
    "only null answers": (
        {"contents": [(AREA, skill_rows(AREA, 2, output=None))]}, ExitCode.EMPTY_RESULT, "no training row"),
    "samples that changed": ({"prepare": corrupt}, ExitCode.STORAGE_REFUSED, "is not what its record names"),
    "samples that are gone": ({"prepare": remove}, ExitCode.STORAGE_REFUSED, "no object"),
    "knowledge without documents": (
        {"contents": [(BIRD, [{"foreign": 1, "output": "a? b", "leaf_node_type": {}}])]},
        ExitCode.EMPTY_RESULT, "no training row"),
    "samples of which none can be used": (
        {"contents": [(AREA, [{"output": 1}])]}, ExitCode.EMPTY_RESULT,
        "none of its samples can be mixed: 1 rows are left out: each has no text as 'output'"),
    "a training file that is none": (
        {"files": (MergeFile(key="k", kind="skills"),), "prepare": no_training_file},
        ExitCode.INVALID_INPUT, "k:2: a training row is an object with a list of messages"),
    "a training file in another form": (
        {"files": (MergeFile(key="k", kind="skills"),), "prepare": packed_training_file},
        ExitCode.INVALID_INPUT, "k:1: the file is packed with gzip: unpack it"),
    "a training file that was changed": (
        {"files": (MergeFile(key="k", kind="skills", size=9, etag="e"),), "prepare": no_training_file},
        ExitCode.INVALID_INPUT, "k was changed since it was chosen for this run"),
    "a training file without line ends": (
        {"files": (MergeFile(key="k", kind="skills"),), "prepare": endless_row},
        ExitCode.INVALID_INPUT, "k:2: a row has more than 64 MiB"),
}  # fmt: skip


@pytest.mark.deep
@pytest.mark.parametrize(("arguments", "code", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_mixed_is_refused_without_a_manifest(
    tmp_path: Path, arguments: dict[str, Any], code: ExitCode, words: str
) -> None:
    mixed = Mixed(tmp_path, **({"contents": [(AREA, skill_rows(AREA, 3))]} | arguments))
    assert mixed.done.returncode == code, mixed.done.stderr
    assert mixed.result.error is not None
    assert words in mixed.result.error.message
    assert not (mixed.bucket / LAYOUT.root / "manifest.json").exists()


def test_text_that_looks_like_a_time_stays_text(tmp_path: Path) -> None:
    """Arrow's reader takes a column with nothing else for times, of which upstream can write no JSON."""
    skills = [row | {"output": f"When {i}?\n2024-01-0{i + 1}", "seed_response": "2020-02-02"}
              for i, row in enumerate(skill_rows(AREA, 3))]  # fmt: skip
    knowledge = [row | {"domain": "2024-01-01", "output": "When? 2024-01-01 10:00"} for row in knowledge_rows(BIRD, 2)]
    mixed = Mixed(tmp_path, [(AREA, skills), (BIRD, knowledge)])
    assert mixed.done.returncode == 0, mixed.done.stderr
    rows = json_lines(mixed.file("skills_train_msgs.jsonl"))
    assert {row["messages"][2]["content"] for row in rows[:30]} == {"2024-01-01", "2024-01-02", "2024-01-03"}
    assert json.loads(rows[0]["metadata"])["seed_response"] == "2020-02-02"
    assert json.loads(rows[30]["metadata"])["domain"] == "2024-01-01"


ODD: dict[str, list[bytes]] = {
    "numbers as question and answer": [b'{"question": 1, "response": 2}'],
    "lists and objects as these": [b'{"question": ["a?"], "response": {"x": 1}}', b'{"output": ["a? b"]}'],
    "half a character": [b'{"output": "x\\ud83d? a"}'],
    "nested deeply": [b'{"output": "x? a", "d": ' + b"[" * 900 + b"]" * 900 + b"}"],
    "no object": [b"[1]", b"1", b"not JSON"],
    "no columns": [b'{"x": 1}'],
}
MIXABLE: list[bytes] = [
    b'{"s": 1, "n": {"a": 1}, "id": 1, "messages": "x", "unmask": "f", "metadata": 3}',
    b'{"s": "1", "n": [1], "id": "x", "messages": [], "unmask": true, "metadata": {"a": 1}}',
    b'{"s": 123456789012345678901234567890, "n": null, "metadata": null}',
    b'{"s": 18446744073709551615, "f": 1.5, "metadata": "text", "e": {}}',
    b'{"s": 1e999, "f": 9007199254740993, "n": ' + b"[" * 30 + b"]" * 30 + b"}",
]


def test_odd_samples_cost_no_other_and_what_can_be_mixed_is(tmp_path: Path) -> None:
    odd = b"\n".join(line for lines in ODD.values() for line in lines) + b"\n"
    good = [b'{"output": "Odd %d? Yes.", ' % i + line[1:] for i, line in enumerate(MIXABLE)]
    knowledge: list[dict[str, Any]] = [
        {"document": ["a"], "domain": "d", "output": "a? b"},
        {"document": "a", "output": "No domain? b"},
    ]
    bucket = tmp_path / "bucket"
    store = FolderStore(bucket)
    leaves = (AREA, skill_rows(AREA, 3)), (BIRD, knowledge)
    sources = [source(store, leaf, SETTINGS, body(rows)) for leaf, rows in leaves]
    bodies = {"only_odd": odd, "some_odd": odd + b"\n".join(good) + b"\n"}
    sources += [
        source(store, Leaf(f"compositional_skills/{name}", "freeform"), SETTINGS, each) for name, each in bodies.items()
    ]
    plan(store, SETTINGS, sources)
    done = run_mix(bucket, tmp_path / "work")
    assert done.returncode == 0, done.stderr
    root = bucket / LAYOUT.root
    manifest = Manifest.model_validate_json((root / "manifest.json").read_bytes())
    assert (manifest.samples.knowledge, manifest.samples.skills) == (1, 30 + 30 + 2)
    rows = json_lines((root / "skills_train_msgs.jsonl").read_bytes())
    said = {row["messages"][1]["content"]: json.loads(row["metadata"]) for row in rows}
    made = [said[f"Odd {i}?"] for i in range(len(good))]
    assert [each["s"] for each in made] == [
        "1",
        "1",
        "123456789012345678901234567890",
        "18446744073709551615",
        "Infinity",
    ]
    assert [each["n"] for each in made][:3] == ['{"a": 1}', "[1]", None]
    assert [each.get("metadata") for each in made] == [3, None, None, "text", None]
    assert made[1]["a"] == 1
    assert [warning.split(": ")[:2] for warning in manifest.warnings] == [
        ["leaf compositional_skills_only_odd", "none of its samples can be mixed"]
    ]
    assert "1 rows are left out: each has half a character" in done.stderr


def test_rows_of_a_skill_with_other_columns_are_drawn_with_all_others(tmp_path: Path) -> None:
    rows = skill_rows(AREA, 40)
    rows[7]["note"] = "odd"
    rows[8] = full_rows(AREA, 9)[8]
    mixed = Mixed(tmp_path, [(AREA, rows)])
    assert mixed.done.returncode == 0, mixed.done.stderr
    assert mixed.manifest.samples.skills == 30
    made = json_lines(mixed.file("skills_train_msgs.jsonl"))
    assert {json.loads(row["metadata"])["note"] for row in made} <= {"odd", None}
    assert all(row["messages"][1]["content"].endswith("?") for row in made)


def test_sigterm_ends_the_mix_at_once_and_the_next_one_makes_all(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "bucket")
    plan(store, SETTINGS, [source(store, AREA, SETTINGS, body(skill_rows(AREA, 4)))])
    with start_mix(tmp_path / "bucket", tmp_path / "stopped") as stopped:
        wait_until((tmp_path / "stopped" / "out" / "logs" / "mix.log").exists)
        stopped.terminate()
        stopped.communicate(timeout=60)
    assert stopped.returncode == ExitCode.INTERRUPTED
    assert store.head(LAYOUT.manifest) is None
    assert run_mix(tmp_path / "bucket", tmp_path / "again").returncode == 0
    assert store.head(LAYOUT.manifest) is not None
