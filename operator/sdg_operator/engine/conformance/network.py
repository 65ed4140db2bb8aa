"""What the kernel tells of an engine's processes: whom they talk to, their arguments (Linux; elsewhere nothing)."""

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTEN = "0A"
_DNS = 53
Address = tuple[str, int]


def connections(pids: Iterable[int]) -> set[Address]:
    """Return the remote ends of all sockets of these processes, TCP and UDP, but for the look-up of names."""
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


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    pids = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The name in brackets may hold anything; the session is the fourth field after it.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    pids.append(int(entry.name))
    return pids


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
