"""What an engine says, made fit for the ledger: files of a neighbour that is not trusted in, records out.

Texts are cut and printable, numbers are bounded, and leaves are the run's own: what is written from them is read by
the operator, which bounds what it reads.
"""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

from sdg_operator.engine.contract import LeafResult, Progress
from sdg_operator.storage import sample
from sdg_operator.storage.records import (
    MESSAGE_CHARACTERS,
    REASON_CHARACTERS,
    AnswerCounts,
    FileRef,
    LeafInput,
    LeafKind,
    LeafRecord,
    ShardProgress,
    Tokens,
)
from sdg_operator.storage.workfolder import Untrusted

CHECKPOINT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}\.jsonl")
LOG_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}\.log")
MAX_LINE_BYTES: Final = 2**20
"""Bound on a sample: the mix's memory rests on it."""
MAX_CHECKPOINT_LINE_BYTES: Final = 32 * 2**20
_WAITING_CHARACTERS: Final = 300
_MAX_NUMBER: Final = 2**53
"""The largest count that every JSON reader keeps exactly."""


def leaf_result(said: bytes, leaf: LeafInput) -> LeafResult:
    """Read ``leaf.json``; raises ValidationError, and `Untrusted` if it is about something else."""
    result = LeafResult.model_validate_json(said)
    if result.leaf != leaf.id or result.input_digest != leaf.input_digest:
        raise Untrusted(f"leaf.json of {leaf.id} is about another leaf or other inputs")
    return result


def leaf_record(leaf: LeafInput, result: LeafResult, data: FileRef | str | None, attempt: int, pod: str) -> LeafRecord:
    """The record of a leaf. `data` is where its samples are; a text says what is wrong with them."""
    reason, message = result.reason, result.message
    outcome: Literal["done", "failed"] = "done" if isinstance(data, FileRef) else "failed"
    if isinstance(data, str):
        reason, message = "InvalidSamples", f"the engine says that the leaf is done, but {data}"
    return LeafRecord(
        leaf=leaf.id,
        input_digest=leaf.input_digest,
        attempt=attempt,
        pod=pod,
        outcome=outcome,
        samples=data.lines if isinstance(data, FileRef) else 0,
        expected_samples=leaf.expected_samples,
        tokens=_tokens(result.tokens),
        prompts_given_up=_number(result.prompts_given_up),
        answers=AnswerCounts(**{name: _number(count) for name, count in result.answers}),
        data=data if isinstance(data, FileRef) else None,
        reason=_text(reason, REASON_CHARACTERS),
        message=_text(message, MESSAGE_CHARACTERS),
    )


def shard_progress(
    said: bytes, paths: Collection[str], attempt: int, shard: int, pod: str, *, estimated: int
) -> ShardProgress:
    """Read ``progress.json``; raises ValidationError."""
    progress = Progress.model_validate_json(said)
    return ShardProgress(
        attempt=attempt,
        shard=shard,
        pod=pod,
        phase=_text(progress.phase, REASON_CHARACTERS) or "",
        leaf=progress.leaf if progress.leaf in paths else None,
        leaf_samples=_number(progress.leaf_samples),
        leaf_expected=_number(progress.leaf_expected),
        samples=_number(progress.samples),
        expected=_number(progress.expected),
        estimated=_number(estimated),
        leaves_done=min(_number(progress.leaves_done), len(paths)),
        leaves_total=min(_number(progress.leaves_total), len(paths)),
        tokens=_tokens(progress.tokens),
        waiting=_text(progress.waiting, _WAITING_CHARACTERS),
        seconds_left=None if progress.seconds_left is None else _number(progress.seconds_left),
        sequence=_number(progress.sequence),
    )


def first_fault(path: Path, kind: LeafKind | None = None) -> str | None:
    """What is wrong with a file of samples of a leaf of that kind: each line is a JSON object that mixing can take.

    Lines of a checkpoint (no `kind`) may be any JSON: only its engine reads it.
    """
    number, limit = 0, MAX_LINE_BYTES if kind else MAX_CHECKPOINT_LINE_BYTES
    with path.open("rb") as file:
        while line := file.readline(limit):
            number += 1
            if not line.endswith(b"\n"):
                return f"line {number} {'is cut off' if len(line) < limit else f'has more than {limit} bytes'}"
            if fault := _fault_in(line, kind):
                return f"line {number} {fault}"
    return None if number else "it is empty"


def _fault_in(line: bytes, kind: LeafKind | None) -> str | None:
    try:
        row = json.loads(line.decode(), parse_constant=_no_json if kind else None)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except _NoJson as found:
        return f"is not JSON: it has {found}"
    except (ValueError, RecursionError):
        return "is not JSON"
    if kind is None:
        return None
    if not isinstance(row, dict):
        return "is not a JSON object"
    fault = sample.fault(row, line, knowledge=kind == "knowledge")
    return "has no 'domain'" if fault is None and kind == "knowledge" and "domain" not in row else fault


class _NoJson(Exception):
    """A word that Python's reader takes, and JSON does not know."""


def _no_json(word: str) -> None:
    raise _NoJson(word)


def _tokens(tokens: Tokens) -> Tokens:
    return Tokens(prompt=_number(tokens.prompt), completion=_number(tokens.completion))


def _number(value: int) -> int:
    return min(max(value, 0), _MAX_NUMBER)


def _text(value: str | None, limit: int) -> str | None:
    """One printable line."""
    if value is None:
        return None
    line = "".join(letter if letter.isprintable() else " " for letter in value[:limit])
    return line if len(value) <= limit else f"{line[:-1]}…"
