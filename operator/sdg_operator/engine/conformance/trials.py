"""Start an engine on a work folder, do to it what a cluster does, and watch it until it ends."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from sdg_operator.engine import contract
from sdg_operator.engine.conformance.evidence import TOKEN, Seen, Watch, files_below, look_for_token, read_files
from sdg_operator.engine.conformance.network import Family, arguments, connections
from sdg_operator.engine.conformance.teacher import ConformanceTeacher
from sdg_operator.engine.contract import EngineLeaf, EngineSettings
from sdg_operator.storage.records import LeafKind, SampleSettings

PATIENCE_SECONDS = 2
MAX_CONCURRENCY = 8
_LEAVE_SECONDS = 3
"""Given to processes of an engine to end after it."""
_LOOK_SECONDS = 0.02
EVERYBODYS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - looked at, not written to

_KINDS: tuple[LeafKind, ...] = ("freeform", "grounded", "knowledge")


class Started(Protocol):
    """An engine that runs."""

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Ends with the engine's exit code."""

    def session(self) -> int | None:
        """Id of the kernel's session that the engine's processes belong to; None while it is not known."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal as a node does: SIGKILL to all of its processes, others to the first."""


class Engine(Protocol):
    """How to start an engine."""

    @property
    def limit(self) -> float:
        """Seconds after which a trial is given up."""

    @property
    def host_user(self) -> int | None:
        """The user id that it runs as on this machine; None where that is also somebody else's."""

    def start(self, work: Path, outside: Path, token: Path, given: Mapping[str, str], output: BinaryIO) -> Started:
        """Start it with the contract's environment in `given`; it may write to `work` alone."""


@dataclass(frozen=True, slots=True)
class CommandEngine:
    """An engine that is a command on this machine."""

    command: tuple[str, ...]
    user: int | None = None
    """Run it as this user (and group 0), if we may."""
    limit: float = 120.0

    @property
    def host_user(self) -> int | None:
        return None if self.user == os.geteuid() else self.user

    def start(self, work: Path, outside: Path, token: Path, given: Mapping[str, str], output: BinaryIO) -> Started:  # noqa: ARG002
        process = subprocess.Popen(
            self.command,
            cwd=outside / "cwd",
            env={
                "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
                "HOME": str(outside / "home"),
                "TMPDIR": str(outside / "tmp"),
                **given,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.user,
            group=0 if self.user is not None else None,
        )
        return _StartedCommand(process)


@dataclass(frozen=True, slots=True)
class _StartedCommand:
    process: "subprocess.Popen[bytes]"

    def session(self) -> int | None:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)


def leaves() -> tuple[EngineLeaf, ...]:
    return tuple(
        EngineLeaf(
            id=f"trial_{kind}",
            path=f"trial->{kind}",
            kind=kind,
            input_digest="sha256:" + f"{number}" * 64,
            expected_samples=10,
        )
        for number, kind in enumerate(_KINDS)
    )


def write_work(work: Path) -> None:
    """Make a work folder with one leaf of each kind."""
    settings = SampleSettings(pipeline="simple", scale_factor=2, batch_size=2, model="teacher")
    engine = EngineSettings(settings=settings, max_concurrency=MAX_CONCURRENCY, leaves=leaves())
    for leaf in engine.leaves:
        folder = work / "in" / "leaves" / leaf.id
        folder.mkdir(parents=True)
        seeds = [_seed(leaf.kind, number) for number in range(5)]
        qna = {"version": 3, "task_description": "t", "domain": "d", "document_outline": "o", "seed_examples": seeds}
        (folder / "qna.yaml").write_text(json.dumps(qna))  # JSON is YAML
        if leaf.kind == "knowledge":
            (folder / "documents").mkdir()
            (folder / "documents" / "one.md").write_text("# Birds\n\nThe chickadee sings in winter.\n")
    (work / "in" / "settings.json").write_bytes(engine.to_json())
    (work / "out").mkdir()


def _seed(kind: LeafKind, number: int) -> dict[str, object]:
    pair: dict[str, object] = {"question": f"What is {number}?", "answer": f"It is {number}."}
    if kind == "knowledge":
        return {"context": f"Context {number}.", "questions_and_answers": [pair, pair, pair]}
    return pair | ({"context": f"Context {number}."} if kind == "grounded" else {})


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """Yield a work folder and a folder that holds everything else the engine might write to; any user may write."""
    with tempfile.TemporaryDirectory(prefix="sdg-conformance-", ignore_cleanup_errors=True) as root:
        work, outside = Path(root, "work"), Path(root, "outside")
        work.mkdir()
        for name in ("home", "cwd", "tmp"):
            (outside / name).mkdir(parents=True)
        write_work(work)
        Path(root).chmod(0o755)
        yield work, outside


def trial(
    engine: Engine,
    teacher: ConformanceTeacher,
    change: Callable[[Path], None] = lambda _work: None,
    send: signal.Signals | None = None,
    after: int = 1,
) -> Seen:
    """Run an engine once; `send` a signal once it has asked so often."""
    seen = Seen()
    strays = stray_files(engine.host_user)
    with teacher.running(), folders() as (work, outside):
        change(work)
        root = outside.parent
        token, output = root / "token", root / "output"
        token.write_text(TOKEN)
        for path in (work, outside, *work.rglob("*"), *outside.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        given = files_below(work / "in")
        ours = {root, token, output, work, outside, *outside.iterdir()}
        with output.open("wb") as sink:
            family = Family(engine.host_user)
            started = engine.start(work, outside, token, _environment(work, teacher.url, token), sink)
            _watch(started, family, teacher, work, seen, limit=engine.limit, send=send, after=after)
        seen.output = output.read_bytes().decode(errors="replace")
        seen.asked, seen.most_in_flight = teacher.asked, teacher.most_in_flight
        seen.wrong_tokens, seen.answered = teacher.wrong_tokens, list(teacher.answered)
        for written in sorted({*root.iterdir(), *outside.rglob("*")} - ours):
            seen.note("files", f"wrote {written.relative_to(root)} outside its work folder")
        for stray in sorted(stray_files(engine.host_user) - strays):
            seen.note("files", f"wrote {stray} outside its work folder")
        look_for_token(outside, seen)
        read_files(work, seen, given, {leaf.id: leaf.kind for leaf in leaves()})
    return seen


def stray_files(user: int | None) -> set[Path]:
    """Return what a user has in the folders where everybody may write: an engine that is one of our own user is not
    told from others."""
    found = set()
    for folder in EVERYBODYS if user is not None else ():
        with contextlib.suppress(OSError):
            found |= {Path(entry) for entry in os.scandir(folder) if entry.stat(follow_symlinks=False).st_uid == user}
    return found


def _environment(work: Path, url: str, token: Path) -> dict[str, str]:
    return {
        contract.WORK_ENV: str(work),
        contract.TEACHER_URL_ENV: url,
        contract.TEACHER_MODEL_ENV: "teacher",
        contract.TEACHER_TOKEN_FILE_ENV: str(token),
        contract.TEACHER_PATIENCE_ENV: str(PATIENCE_SECONDS),
    }


def _watch(
    started: Started,
    family: Family,
    teacher: ConformanceTeacher,
    work: Path,
    seen: Seen,
    *,
    limit: float,
    send: signal.Signals | None,
    after: int,
) -> None:
    process = started.process
    since = time.monotonic()
    sent = False
    watch = Watch(work, seen)
    while process.poll() is None:
        if time.monotonic() - since > limit:
            started.send(signal.SIGKILL)
            process.wait()
            seen.seconds_to_end = limit
            _end_the_rest(family)
            return
        if send is not None and not sent and teacher.asked >= after:
            started.send(send)
            sent, since = True, time.monotonic()
        watch.look()
        _look_at_processes(family.look(started.session()), teacher.port, seen)
        time.sleep(_LOOK_SECONDS)
    seen.code = process.returncode
    seen.seconds_to_end = time.monotonic() - since
    if not (sent and send is signal.SIGKILL):
        _wait_for_the_rest(family, seen)
    _end_the_rest(family)
    watch.end()


def _wait_for_the_rest(family: Family, seen: Seen) -> None:
    until = time.monotonic() + _LEAVE_SECONDS
    while left := family.look(None):
        if time.monotonic() > until:
            words = [words.replace(b"\0", b" ").decode(errors="replace").strip()[:80] for words in arguments(left)]
            seen.note("result", f"it ended, and its processes went on: {'; '.join(words).replace(TOKEN, 'TOKEN')}")
            return
        time.sleep(_LOOK_SECONDS)


def _end_the_rest(family: Family) -> None:
    """A node ends all processes of a container; here those that we know are its own."""
    for pid in family.look(None):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _look_at_processes(pids: list[int], teacher_port: int, seen: Seen) -> None:
    if any(TOKEN.encode() in words for words in arguments(pids)):
        seen.note("secrets", "the teacher's token is among a process's arguments")
    for address in connections(pids):
        if address not in {("127.0.0.1", teacher_port), ("::ffff:127.0.0.1", teacher_port)}:
            seen.note("network", f"connected to {address[0]} port {address[1]}")
