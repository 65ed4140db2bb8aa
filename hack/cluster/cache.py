"""Where built things are kept: outside the work tree, by the content they were built from."""

import fcntl
import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from hack.cluster.steps import run, step


def root() -> Path:
    """``$SDG_CACHE``, else ``$XDG_CACHE_HOME/sdg-operator``, else ``~/.cache/sdg-operator``."""
    if given := os.environ.get("SDG_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdg-operator"


def content_key(*parts: str | bytes | Path) -> str:
    """A short digest over texts and the contents of files and folders."""
    digest = hashlib.sha256()
    for part in parts:
        for item in _contents(part):
            digest.update(len(item).to_bytes(8, "big"))
            digest.update(item)
    return digest.hexdigest()[:16]


def _contents(part: str | bytes | Path) -> Iterable[bytes]:
    if isinstance(part, Path):
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for file in files:
            if "__pycache__" not in file.parts:
                yield str(file.relative_to(part)).encode()
                yield file.read_bytes()
    else:
        yield part if isinstance(part, bytes) else part.encode()


def write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.half")
    half.write_text(text)
    half.rename(path)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock among all processes that use this cache; the kernel frees it if we are killed."""
    folder = root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a+") as file:
        if not _taken(file.fileno(), seconds=2):
            file.seek(0)
            with step(f"wait for process {file.read().strip() or '?'}, which holds {name}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(descriptor: int, seconds: float) -> bool:
    """Take a lock if it is or becomes free within some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


class Scratch:
    """A folder for unfinished work. What a killed process left in one goes away when the next of its kind is made.

    The process that works in it holds a lock on the folder itself, so that others can tell what was left behind.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        parent = parent or root() / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        with lock("scratch"):
            _sweep(parent, prefix)
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            self._descriptor = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        _discard(self.path)
        os.close(self._descriptor)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def sweep() -> None:
    """Remove all that killed processes left unfinished in this cache."""
    with lock("scratch"):
        _sweep(root() / "scratch", "")


def _sweep(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # its owner has just removed it
        try:
            if _taken(descriptor, seconds=0):
                _discard(folder)
        finally:
            os.close(descriptor)


def _discard(folder: Path) -> None:
    """Remove a folder with what still runs or is mounted in it: debootstrap, for one, is many processes."""
    for pid in _users(folder):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)


def unmount(folder: Path) -> None:
    """Take away all that is mounted at a folder or in it, the latest first."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed(mounted):
        if Path(place).is_relative_to(folder):
            run(["umount", "--lazy", place])


def _users(folder: Path) -> list[int]:
    """Processes that name the folder on their command line, or have their root or working directory in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = str(folder).encode() in (process / "cmdline").read_bytes()
            inside = any((process / link).readlink().is_relative_to(folder) for link in ("root", "cwd"))
        except OSError:
            continue
        if (named or inside) and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def built(folder: Path, build: Callable[[Path], None]) -> Path:
    """Give `folder`, building it first if it is not there.

    It is built under another name and renamed when whole, so that whatever is under its name can be used.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(f"build-{folder.name}"):
        if folder.exists():
            return folder
        # In the folder's own file system, for it is renamed.
        with Scratch(f".{folder.name}-", folder.parent) as scratch:
            build(scratch)
            scratch.rename(folder)
    return folder
