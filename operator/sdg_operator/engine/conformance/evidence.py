"""What a trial of an engine showed: read from its files while it runs and when it has ended.

Its files are read as those of an engine that is not trusted: plain ones alone, and only so much of them.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sdg_operator.engine.contract import EngineResult, LeafResult, Progress
from sdg_operator.engine.workfolder import NotPlain, read_plain
from sdg_operator.storage.records import LeafKind
from sdg_operator.storage.said import CHECKPOINT_NAME, first_fault

TOKEN = "conformance-token-6f1d"  # noqa: S105 - guards nothing
MAX_FILE_BYTES: Final = 64 << 20
"""Far more than a trial can need."""

State = tuple[int, int, int]
"""Tells one content of a file from another: its inode, size and time."""


@dataclass(slots=True)
class Seen:
    """What a trial showed."""

    code: int | None = None
    """Exit code, negative for a signal; None if it had to be killed at the limit."""
    seconds_to_end: float = 0.0
    """From the signal, if one was sent, else from the start."""
    result: EngineResult | None = None
    leaves: dict[str, LeafResult] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    """Leaf → how many lines its samples have."""
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    """Those that a cluster would keep, by their path below ``out/checkpoints``."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    """Clause → what was seen while it ran or in its files."""
    has_progress: bool = False
    output: str = ""
    asked: int = 0
    answered: list[str] = field(default_factory=list)
    most_in_flight: int = 0
    wrong_tokens: int = 0

    def note(self, clause: str, problem: str) -> None:
        seen = self.problems.setdefault(clause, [])
        if problem not in seen:
            seen.append(problem)


class Watch:
    """Looks at the files of an engine again and again while it runs."""

    def __init__(self, work: Path, seen: Seen) -> None:
        self._work, self._seen = work, seen
        self._sequence = 0
        self._checkpoints: dict[Path, State] = {}
        self._samples: dict[Path, State] = {}

    def look(self) -> None:
        self._look_at_progress()
        self._look_at_checkpoints()
        for path in (self._work / "out" / "leaves").glob("*/leaf.json"):
            self._look_at_leaf(path)

    def end(self) -> None:
        """Look for the last time."""
        self.look()
        for samples, state in self._samples.items():
            if _state(samples) != state:
                self._seen.note("leaves", f"{samples.parent.name}/samples.jsonl changed after leaf.json had appeared")

    def _look_at_progress(self) -> None:
        content = _plain(self._work, self._work / "out" / "progress.json", self._seen)
        if content is None:
            return
        try:
            progress = Progress.model_validate_json(content)
        except ValidationError:
            self._seen.note("progress", "progress.json was read when it was not whole or not valid")
            return
        if progress.sequence < self._sequence:
            self._seen.note("progress", "the sequence number of progress.json went back")
        self._sequence = progress.sequence

    def _look_at_checkpoints(self) -> None:
        for path in (self._work / "out" / "checkpoints").glob("*/*"):
            state = _state(path)
            if state is not None and self._checkpoints.setdefault(path, state) != state:
                self._seen.note("checkpoints", f"{path.parent.name}/{path.name} changed after it had appeared")

    def _look_at_leaf(self, path: Path) -> None:
        samples = path.with_name("samples.jsonl")
        if samples in self._samples or (content := _plain(self._work, path, self._seen)) is None:
            return
        try:
            result = LeafResult.model_validate_json(content)
        except ValidationError:
            self._seen.note("leaves", f"{path.parent.name}/leaf.json was read when it was not whole or not valid")
            return
        state = _state(samples)
        if state is not None:
            self._samples[samples] = state
        elif result.outcome == "done":
            self._seen.note("leaves", f"{path.parent.name}/leaf.json was there before samples.jsonl")


def files_below(folder: Path) -> dict[Path, bytes | None]:
    """Return the content of all plain files of a folder, and None for what else is there but folders."""
    found: dict[Path, bytes | None] = {}
    for path in _walk(folder):
        try:
            found[path] = read_plain(path, MAX_FILE_BYTES)
        except (OSError, NotPlain):
            found[path] = None
    return found


def read_files(work: Path, seen: Seen, given: Mapping[Path, bytes | None], kinds: Mapping[str, LeafKind]) -> None:
    """Read what an engine left when it ended; it was `given` these files."""
    out = work / "out"
    _read_records(work, seen)
    for path in out.glob("leaves/*/samples.jsonl"):
        content = _plain(work, path, seen)
        if content is not None:
            leaf = path.parent.name
            seen.samples[leaf] = content.count(b"\n")
            if leaf in seen.leaves and (fault := first_fault(path, kinds.get(leaf, "freeform"))):
                seen.note("leaves", f"{leaf}/samples.jsonl: {fault}")
    for path in out.glob("checkpoints/*/*"):
        content = _plain(work, path, seen)
        if content is not None:
            _read_checkpoint(path, content, seen)
    _look_for_strange_files(work, seen, given)
    if TOKEN in seen.output:
        seen.note("secrets", "the teacher's token is in the output")
    seen.has_progress = (out / "progress.json").is_file()


def look_for_token(folder: Path, seen: Seen) -> None:
    for path in _walk(folder, folders=True):
        if TOKEN in path.name:
            seen.note("secrets", "the teacher's token is in a file's name")
    for path, content in files_below(folder).items():
        if content is not None and TOKEN.encode() in content:
            seen.note("secrets", f"the teacher's token is in {path.relative_to(folder)}")


def _look_for_strange_files(work: Path, seen: Seen, given: Mapping[Path, bytes | None]) -> None:
    for path in _walk(work):
        name = path.relative_to(work)
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            seen.note("files", f"{name} is no plain file")
        elif status.st_nlink != 1 and name.parts[0] == "out":
            seen.note("files", f"{name} has another name elsewhere (a hard link)")
    now = files_below(work / "in")
    for path in sorted(now.keys() | given.keys()):
        if now.get(path, b"gone") != given.get(path, b"new"):
            seen.note("files", f"{path.relative_to(work)} was changed, and is only to be read")
    look_for_token(work, seen)


def _read_records(work: Path, seen: Seen) -> None:
    if (content := _plain(work, work / "out" / "result.json", seen)) is not None:
        try:
            seen.result = EngineResult.model_validate_json(content)
        except ValidationError as error:
            seen.note("result", f"result.json is not valid: {_short(error)}")
    for path in (work / "out").glob("leaves/*/leaf.json"):
        if (content := _plain(work, path, seen)) is not None:
            try:
                seen.leaves[path.parent.name] = LeafResult.model_validate_json(content)
            except ValidationError as error:
                seen.note("leaves", f"{path.parent.name}/leaf.json is not valid: {_short(error)}")


def _read_checkpoint(path: Path, content: bytes, seen: Seen) -> None:
    name = f"{path.parent.name}/{path.name}"
    if not CHECKPOINT_NAME.fullmatch(path.name):
        seen.note("checkpoints", f"{name} has a name that is not kept: letters, digits, - and _ before .jsonl")
    elif fault := first_fault(path):
        seen.note("checkpoints", f"{name}: {fault}")
    else:
        seen.checkpoints[name] = content


def _plain(work: Path, path: Path, seen: Seen) -> bytes | None:
    """Read a file that may not be there yet; whatever is no plain file is a problem."""
    try:
        return read_plain(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except NotPlain as error:
        seen.note("files", f"{path.parent.relative_to(work)}: {error}")
    except OSError as error:
        seen.note("files", f"{path.relative_to(work)} cannot be read: {error.strerror}")
    return None


def _state(path: Path) -> State | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _walk(folder: Path, *, folders: bool = False) -> Iterator[Path]:
    """Yield all that is below a folder; no link is followed."""
    for place, below, names in os.walk(folder):
        inner = [name for name in below if folders or Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in (*inner, *names))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
