"""What the kernel tells of an engine's processes: whom they talk to, their arguments (Linux; elsewhere nothing)."""

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
_DNS = 53
Address = tuple[str, int]


def connections(pids: Iterable[int]) -> set[Address]:
    """Return the remote ends of all sockets of these processes, TCP and UDP, but for the look-up of names.

    A socket that is closed again between two looks, or that sends datagrams without being connected, is not seen.
    """
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    found: set[Address] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[9] in inodes and fields[3] != _LISTEN and not fields[2].endswith(":0000"):
                found.add(_address(fields[2]))
    return {(host, port) for host, port in found if port != _DNS}


def arguments(pids: Iterable[int]) -> Iterator[bytes]:
    """Yield the arguments of each of these processes, as anybody on its machine may read them."""
    for pid in pids:
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{pid}/cmdline").read_bytes()


Process = tuple[int, int]
"""Its id, and when it was started: together they name one process for good."""


class Family:
    """The processes of an engine: its session, all that descend from it, and, where it runs as a user of its own, all
    of that user. Who was seen once is remembered, whoever its parent is now."""

    def __init__(self, user: int | None) -> None:
        own = user is not None and not any(each.user == user for each in _processes())
        self._user = user if own else None
        self._known: set[Process] = set()

    def look(self, leader: int | None) -> list[int]:
        """Return the ids of those that run now."""
        found = {each.pid: each for each in _processes()}
        mine = {
            pid
            for pid, each in found.items()
            if (pid, each.started) in self._known
            or (leader is not None and leader in {pid, each.session})
            or (self._user is not None and each.user == self._user)
        }
        while more := {pid for pid, each in found.items() if each.parent in mine} - mine:
            mine |= more
        self._known |= {(pid, found[pid].started) for pid in mine}
        return sorted(pid for pid in mine if found[pid].state not in "ZX")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    state: str
    parent: int
    session: int
    started: int
    user: int


def _processes() -> Iterator[_Process]:
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The name in brackets may hold anything; proc(5) counts the state behind it as field 3.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield _Process(
                    int(entry.name), fields[0], int(fields[1]), int(fields[3]), int(fields[19]), entry.stat().st_uid
                )


def _sockets(pid: int) -> set[str]:
    inodes = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    return inodes


def _address(field: str) -> Address:
    """Decode the kernel's form: 32-bit words in the machine's byte order, then the port."""
    packed, _, port = field.partition(":")
    words = [bytes.fromhex(packed[i : i + 8])[::-1] for i in range(0, len(packed), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)
