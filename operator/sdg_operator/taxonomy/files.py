"""The files of a commit in a bare repository: their list, and their content."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.gitrun import GitProgram

_CHUNK: Final = 1 << 16
_PATH_BYTES: Final = 4096
"""Longest path that a Linux system can check out; a tree may name longer ones."""
_PATHS_BYTES: Final = 16 << 20
"""Of all paths together: they are held in memory, and a few objects can stand for gigabytes of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit."""

    mode: str
    """``100644`` and ``100755`` are files, ``120000`` is a link, ``160000`` a submodule."""
    sha: str
    size: int
    path: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")

    @property
    def is_link(self) -> bool:
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        return self.mode == "160000"


def listed(git: GitProgram, tree: str, seconds: float, most: int, *, sizes: bool = True) -> Iterator[Entry]:
    """Give every file, link and submodule below a tree; without `sizes`, the contents need not be there.

    Raises `CheckError` with reason TooLarge beyond `most` files and folders or for endless paths, and what
    `GitProgram.running` raises.
    """
    # Folders are counted too (-t): a few objects can stand for billions of empty ones.
    with git.running(
        "ls-tree", "-r", "-t", *(["-l"] if sizes else []), "-z", "--full-tree", tree, seconds=seconds
    ) as process:
        for number, line in enumerate(_records(process, git.name)):
            if number >= most:
                raise CheckError("TooLarge", f"{git.name} has more than {most} files and folders")
            head, _, name = line.partition(b"\t")
            if len(name) > _PATH_BYTES:
                raise CheckError("TooLarge", f"{git.name} has a path of more than {_PATH_BYTES} bytes")
            mode, kind, sha, *size = head.split()
            if kind == b"tree":
                continue
            number_of_bytes = int(size[0]) if size and size[0] != b"-" else 0
            yield Entry(mode.decode(), sha.decode(), number_of_bytes, name.decode(errors="surrogateescape"))
        process.wait()


@contextmanager
def open_reader(git: GitProgram, seconds: float) -> Iterator[Callable[[str, Callable[[bytes], object]], None]]:
    """Open a way to read many files: ``read(sha, write)`` hands the content to `write` in pieces."""
    with git.running("cat-file", "--batch", seconds=seconds, stdin=subprocess.PIPE) as process:
        sink, source = process.stdin, process.stdout
        assert sink is not None
        assert source is not None

        def read(sha: str, write: Callable[[bytes], object]) -> None:
            try:
                sink.write(sha.encode() + b"\n")
                sink.flush()
            except BrokenPipeError as error:
                raise CheckError("CloneFailed", f"{git.name}: its files cannot be read any more") from error
            header = source.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise CheckError("CloneFailed", f"the repository {git.name} lacks the content of a file it names")
            left = int(header[2])
            while left > 0:
                piece = source.read(min(left, _CHUNK))
                if not piece:
                    raise CheckError("CloneFailed", f"a file of the repository {git.name} cannot be read")
                left -= len(piece)
                write(piece)
            source.read(1)

        yield read


def _records(process: "subprocess.Popen[bytes]", name: str) -> Iterator[bytes]:
    """Split the output at NUL bytes as it comes."""
    assert process.stdout is not None, "it is a pipe"
    rest, total = b"", 0
    while piece := process.stdout.read(_CHUNK):
        total += len(piece)
        if total > _PATHS_BYTES:
            raise CheckError("TooLarge", f"{name} has paths of more than {_PATHS_BYTES} bytes together")
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole
