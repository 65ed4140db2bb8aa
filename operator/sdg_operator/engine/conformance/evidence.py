"""What a trial of an engine showed: read from its files while it runs and when it has ended."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineResult, LeafResult, Progress

TOKEN = "conformance-token-6f1d"  # noqa: S105 - guards nothing


@dataclass(slots=True)
class Seen:
    """What a trial showed."""

    code: int | None = None
    """Exit code, negative for a signal; None if it had to be killed at the limit."""
    seconds_to_end: float = 0.0
    """From the signal, if one was sent, else from the start."""
    result: EngineResult | None = None
    leaves: dict[str, LeafResult] = field(default_factory=dict)
    samples: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    """Clause → what was seen while it ran or in its files."""
    has_progress: bool = False
    output: str = ""
    asked: int = 0
    most_in_flight: int = 0
    wrong_tokens: int = 0

    def note(self, clause: str, problem: str) -> None:
        seen = self.problems.setdefault(clause, [])
        if problem not in seen:
            seen.append(problem)


def look_at_progress(work: Path, sequence: int, seen: Seen) -> int:
    try:
        progress = Progress.model_validate_json((work / "out" / "progress.json").read_bytes())
    except FileNotFoundError:
        return sequence
    except (OSError, ValidationError):
        seen.note("progress", "progress.json was read when it was not whole or not valid")
        return sequence
    if progress.sequence < sequence:
        seen.note("progress", "the sequence number of progress.json went back")
    return progress.sequence


def look_at_checkpoints(work: Path, known: dict[Path, tuple[int, int, int]], seen: Seen) -> None:
    for path in (work / "out" / "checkpoints").glob("*/*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if known.setdefault(path, state) != state:
            seen.note("checkpoints", f"{path.parent.name}/{path.name} changed after it had appeared")


def read_files(work: Path, seen: Seen) -> None:
    """Read what an engine left when it ended."""
    out = work / "out"
    _read_records(out, seen)
    for file in out.glob("leaves/*/samples.jsonl"):
        seen.samples[file.parent.name] = file.read_bytes()
    for file in out.glob("checkpoints/*/*"):
        if not are_json_lines(file.read_bytes()):
            seen.note("checkpoints", f"{file.parent.name}/{file.name} does not hold JSON lines")
    for file in out.rglob("*"):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            seen.note("files", f"{file.relative_to(work)} is no plain file")
        elif file.is_file() and TOKEN.encode() in file.read_bytes():
            seen.note("secrets", f"the teacher's token is in {file.relative_to(work)}")
    if TOKEN in seen.output:
        seen.note("secrets", "the teacher's token is in the output")
    seen.has_progress = (out / "progress.json").is_file()


def _read_records(out: Path, seen: Seen) -> None:
    try:
        seen.result = EngineResult.model_validate_json((out / "result.json").read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        seen.note("result", f"result.json is not valid: {_short(error)}")
    for file in out.glob("leaves/*/leaf.json"):
        try:
            seen.leaves[file.parent.name] = LeafResult.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            seen.note("leaves", f"{file.parent.name}/leaf.json is not valid: {_short(error)}")


def are_json_lines(content: bytes) -> bool:
    """Whether every line is a JSON object; only ``\\n`` ends a line."""
    try:
        return all(isinstance(json.loads(line), dict) for line in content.split(b"\n") if line)
    except ValueError:
        return False


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
