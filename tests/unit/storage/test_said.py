"""What an engine says is cut to what the ledger and its readers can bear."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sdg_operator.engine.contract import LeafResult, Progress
from sdg_operator.storage.records import FileRef, LeafInput, Tokens
from sdg_operator.storage.said import MAX_LINE_BYTES, first_fault, leaf_record, leaf_result, shard_progress
from sdg_operator.storage.workfolder import Untrusted

DIGEST = "sha256:" + "a" * 64
LEAF = LeafInput(id="a_b", path="a->b", kind="freeform", input_digest=DIGEST, expected_samples=10)
DATA = FileRef(key="k", size=5, sha256="0", lines=3)


def said(**changes: object) -> LeafResult:
    given = {"leaf": "a_b", "input_digest": DIGEST, "outcome": "done", "samples": 99}
    return LeafResult.model_validate(given | changes)


def test_a_record_counts_what_was_uploaded_and_not_what_was_said() -> None:
    record = leaf_record(LEAF, said(tokens=Tokens(prompt=-5, completion=10**30)), DATA, 2, "pod")
    assert (record.outcome, record.samples, record.expected_samples) == ("done", 3, 10)
    assert (record.tokens.prompt, record.tokens.completion) == (0, 2**53)


def test_counts_of_an_engine_are_bounded() -> None:
    record = leaf_record(LEAF, said(answers={"thinking": 10**30, "empty": -1}, prompts_given_up=10**30), DATA, 2, "pod")
    assert (record.answers.thinking, record.answers.empty, record.prompts_given_up) == (2**53, 0, 2**53)


def test_a_leaf_whose_samples_cannot_be_used_has_failed_and_says_why() -> None:
    record = leaf_record(LEAF, said(), "samples.jsonl cannot be used: line 3 is not JSON", 1, "pod")
    assert (record.outcome, record.reason, record.samples, record.data) == ("failed", "InvalidSamples", 0, None)
    assert (
        record.message == "the engine says that the leaf is done, but samples.jsonl cannot be used: line 3 is not JSON"
    )


def test_words_of_the_engine_are_one_printable_line_of_bounded_length() -> None:
    loud = said(outcome="failed", reason="R" * 1000, message="one\ntwo\x1b[31m" + "x" * 10**6)
    record = leaf_record(LEAF, loud, None, 1, "pod")
    assert record.message is not None
    assert record.message.startswith("one two [31mxxx")
    assert len(record.message) == 2000
    assert len(record.reason or "") == 100
    assert len(record.to_json()) < 10_000


def test_a_result_about_another_leaf_or_other_inputs_is_not_trusted() -> None:
    assert leaf_result(said().to_json(), LEAF).leaf == "a_b"
    for other in (said(leaf="other"), said(input_digest="sha256:" + "b" * 64)):
        with pytest.raises(Untrusted):
            leaf_result(other.to_json(), LEAF)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000], ids=repr)
def test_what_is_no_result_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        leaf_result(body, LEAF)


def test_progress_names_only_leaves_of_the_shard_and_is_bounded() -> None:
    progress = Progress(
        phase="p" * 10**5, leaf="another run's->leaf", samples=-1, expected=10**40, leaves_done=7, leaves_total=10**9,
        sequence=3, seconds_left=-9,
    )  # fmt: skip
    shard = shard_progress(progress.to_json(), {"a->b", "c"}, 1, 0, "pod", estimated=10**40)
    assert (shard.leaf, shard.samples, shard.expected, shard.seconds_left) == (None, 0, 2**53, 0)
    assert shard.estimated == 2**53
    assert (shard.leaves_done, shard.leaves_total, shard.sequence) == (2, 2, 3)
    assert len(shard.to_json()) < 16 * 1024
    honest = shard_progress(Progress(phase="x", leaf="c").to_json(), {"a->b", "c"}, 1, 0, "pod", estimated=20)
    assert (honest.leaf, honest.estimated) == ("c", 20)
    waits = shard_progress(Progress(phase="x", waiting="w\n" * 10**5).to_json(), {"c"}, 1, 0, "pod", estimated=20)
    assert len(waits.waiting or "") == 300
    assert "\n" not in (waits.waiting or "")


Q = b'{"question": "a?", "response": "b"}\n'
LONG = b"x" * MAX_LINE_BYTES
FAULTS: dict[str, tuple[bytes, str | None]] = {
    "whole": (Q + b'{"output": "\xe2\x80\xa8", "more": [{"a": 1e999}, 123456789012345678901234567890]}\n', None),
    "null": (b'{"output": null}\n', None),
    "whole character": (b'{"output": "\\ud83d\\ude00"}\n', None),
    "as deep as may be": (b'{"output": "", "a": ' + b"[" * 32 + b"]" * 32 + b"}\n", None),
    "empty": (b"", "it is empty"),
    "cut": (Q + b'{"b"', "line 2 is cut off"),
    "no end": (Q + b'{"b": 2}', "line 2 is cut off"),
    "blank": (b"\n", "line 1 is not JSON"),
    "list": (Q + b"[1]\n", "line 2 is not a JSON object"),
    "bytes": (b'{"a": "\xff"}\n', "line 1 is not UTF-8"),
    "utf-16": ('{"a": 1}\n'.encode("utf-16"), "line 1 is not UTF-8"),
    "very deep": (b"[" * 100_000 + b"\n", "line 1 is not JSON"),
    "long": (b'{"a": "' + LONG + b'"}\n', f"line 1 has more than {MAX_LINE_BYTES} bytes"),
    "number": (b'{"question": 1, "response": "b"}\n', "line 1 has no text as 'question'"),
    "object": (b'{"question": "a", "response": {"x": 1}}\n', "line 1 has no text as 'response'"),
    "list as output": (Q + b'{"output": ["a? b"]}\n', "line 2 has no text as 'output'"),
    "no answer": (b'{"question": "a?"}\n', "line 1 has neither 'output' nor 'question' with 'response'"),
    "half a character": (b'{"output": "\\uD83d?"}\n', "line 1 has half a character"),
    "half a character in a key": (b'{"output": "", "a": {"\\udc00": 1}}\n', "line 1 has half a character"),
    "NaN": (b'{"output": "", "score": NaN}\n', "line 1 is not JSON: it has NaN"),
    "infinity": (b'{"output": "", "score": -Infinity}\n', "line 1 is not JSON: it has -Infinity"),
    "deep": (b'{"output": "", "a": ' + b"[" * 33 + b"]" * 33 + b"}\n", "line 1 has lists or objects more than 32 deep"),
}


@pytest.mark.parametrize(("body", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_file_of_samples_is_objects_that_can_be_mixed_line_by_line(
    body: bytes, fault: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_bytes(body)
    assert first_fault(file, "freeform") == first_fault(file, "grounded") == fault


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        (b'"document": "d", "domain": "d"', None),
        (b'"domain": "d"', "line 1 has no 'document'"),
        (b'"document": "d"', "line 1 has no 'domain'"),
        (b'"document": ["d"], "domain": "d"', "line 1 has no text as 'document'"),
        (b'"document": "d", "domain": 1', "line 1 has no text as 'domain'"),
    ],
)
def test_samples_of_knowledge_have_their_document_and_domain(columns: bytes, fault: str | None, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_bytes(b'{"output": "a? b", ' + columns + b"}\n")
    assert first_fault(file, "knowledge") == fault
    assert first_fault(file, "freeform") is None


def test_a_checkpoint_may_hold_any_json(tmp_path: Path) -> None:
    file = tmp_path / "batch.jsonl"
    file.write_bytes(b'[1, 2]\n"done"\nNaN\n"' + LONG + b'"\n')
    assert first_fault(file) is None
    file.write_bytes(b'[1, 2]\n"do')
    assert first_fault(file) == "line 2 is cut off"
