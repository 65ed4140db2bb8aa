"""How much memory a process of Linux had at most."""

from pathlib import Path


def peak_bytes(pid: int | str = "self") -> int:
    """Bytes of memory that a running process had at most, since its start or since `fresh_peak_bytes`."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def fresh_peak_bytes() -> int:
    """Have the kernel count this process's peak from now on: what other tests needed does not hide what comes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()
