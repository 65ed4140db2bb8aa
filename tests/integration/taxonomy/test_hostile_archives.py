"""Bombs at the limits that the operator uses: each is refused in bounded time and memory of a process of its own."""

import gzip
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.taxonomies.making import entry, packed, skill

pytestmark = pytest.mark.deep  # it measures time and memory

LEAF = "compositional_skills/a/qna.yaml"


def _zeros(file: Path) -> None:
    """Two gigabytes in two megabytes."""
    info = entry("big", size=2 << 30)
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        for _ in range(2 << 10):
            stream.write(bytes(1 << 20))


def _entries(file: Path) -> None:
    block = b"".join(entry(f"f{number}").tobuf(tarfile.USTAR_FORMAT) for number in range(1000))
    with gzip.open(file, "wb", compresslevel=1) as stream:
        for _ in range(1000):
            stream.write(block)


def _header(file: Path) -> None:
    info = entry("x", type=tarfile.XHDTYPE, size=300 << 20)
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        for _ in range(300):
            stream.write(b"x" * (1 << 20))


def _nested_gzip(file: Path) -> None:
    file.write_bytes(gzip.compress(gzip.compress(bytes(100 << 20))))


def _leaves(text: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        file.write_bytes(packed({LEAF: text}))

    return make


BOMBS = {
    "gigabytes of zeros": (_zeros, "unpacked, the archive has more than 1073741824 bytes (after big)"),
    "a million entries": (_entries, "more than 50000 files and folders"),
    "a header of 300 megabytes": (_header, "an entry's header has more than 1048576 bytes"),
    "gzip in gzip": (_nested_gzip, "cut off or broken at its beginning"),
    "a deep nest": (_leaves("a: " + "[" * 900_000), "is nested more than 32 levels deep"),
    "many values": (_leaves("[" + "1," * 500_000 + "1]"), "has more than 50000 values"),
    "many different examples": (
        _leaves(skill(seed_examples=[{"question": str(n), "answer": str(n), "x": n} for n in range(7000)])),
        "`x` is unknown in seed example 50; remove it",
    ),
    "spaces at the end of every line": (_leaves(skill() + "# x \n" * 200_000), "199950 further messages of yamllint"),
    "one enormous word": (_leaves("version: 3\na: " + "x" * 1_000_000), "`a` is unknown; remove it"),
    "many line ends that nobody sees": (
        _leaves("a: b\n" + "\u2028" * 300_000 + "c: d: e"),
        "the character U+2028 stands here, which ends the line",
    ),
    "many line ends": (_leaves("a: b\n" + "\n" * 900_000 + "c: d: e"), "has a colon and a blank in it"),
    "many hyphens": (_leaves("a: x\n  " + "- " * 500_000 + ": y"), "is read as a part of the text above it (line 1)"),
    "many brackets before a quote": (
        _leaves("a: [" + "[]," * 15_000 + "'x' y]"),
        "the text in single quotes ends before",
    ),
    "many comments behind texts": (
        _leaves(
            skill(seed_examples=[{"question": str(n), "answer": "a # b", "x": 1} for n in range(7000)]).replace("'", "")
        ),
        "everything from # on is a comment",
    ),
    "one key many times": (_leaves("a: b\n" * 20_000), "the key `a` is here twice (first in line 1)"),
    "ten thousand anchors": (
        _leaves("a:\n" + "".join(f"- &a{n} x\n" for n in range(10_000))),
        "`a` is unknown; remove it",
    ),
}


# The kernel's own high-water mark of this process, and what getrusage says of yamllint's.
_MEASURED = """
import re, resource, sys
from sdg_operator.cli.main import main
code = main(["taxonomy", "check", "--no-documents", "--strict", sys.argv[1]])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(code, max(peak, used[1].ru_maxrss) >> 10, round(sum(u.ru_utime + u.ru_stime for u in used)), file=sys.stderr)
"""


def _measured(file: Path) -> tuple[str, int, int, int]:
    """Check an archive; give the output, the exit code, the most memory in MiB, and the seconds of CPU."""
    result = subprocess.run([sys.executable, "-c", _MEASURED, file], capture_output=True, text=True, check=False)
    code, megabytes, seconds = map(int, result.stderr.split()[-3:])
    return result.stdout, code, megabytes, seconds


def test_the_largest_taxonomy_fits_beside_git_into_the_pods_memory(tmp_path: Path) -> None:
    """All leaves of 64 MiB together are held as bytes; as text, with wide characters, they take four times that."""
    text = skill(version=1, seed_examples=[{"question": "q", "answer": f"\N{GRINNING FACE}\n{'x ' * 40}"}] * 5)
    text += "# \N{GRINNING FACE}\n" + f"# {'x' * 70}\n" * ((1 << 20) // 73 - 20)
    file = tmp_path / "large.tar.gz"
    file.write_bytes(packed({f"compositional_skills/{number}/qna.yaml": text for number in range(63)}))
    output, code, megabytes, _ = _measured(file)
    assert code == 0, output[-500:]
    assert megabytes < 208  # what `memory_share` leaves to the check itself


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    make, want = BOMBS[name]
    file = tmp_path / "bomb.tar.gz"
    make(file)
    output, code, megabytes, seconds = _measured(file)
    assert code == 1, output[-500:]
    assert want in output, output[-500:]
    assert megabytes < 200
    assert seconds < 60
