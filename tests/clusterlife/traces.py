"""Everything that a cluster could leave on this machine, by kind."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hack.cluster import cache
from hack.cluster.steps import run

_ENGINES = ("dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy", "kubelet", "kube-apiserver", "etcd")
_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/pid_max",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_FOLDERS = ("/etc/docker", "/etc/cni", "/lib/modules", "/run/docker/netns", "/run/netns", "/var/lib/kubelet")


def traces() -> dict[str, list[str]]:
    return {kind: sorted(lines) for kind, lines in _found()}


def _found() -> Iterator[tuple[str, list[str]]]:
    yield "processes", list(_processes())
    yield "mounts", [line for line in Path("/proc/mounts").read_text().splitlines() if str(cache.root()) in line]
    yield "links", [line.split(":")[1].strip() for line in run(["ip", "-o", "link"]).splitlines()]
    yield "routes", run(["ip", "route", "show", "table", "all"]).splitlines()
    # A route that the kernel learned says how long it is good for.
    yield "routes6", [r for r in run(["ip", "-6", "route", "show", "table", "all"]).splitlines() if "expires" not in r]
    for program in ("iptables-save", "ip6tables-save"):
        yield program, list(_rules(program))
    yield "settings", [f"{name} {(Path('/proc/sys') / name).read_text().strip()}" for name in _SETTINGS if _there(name)]
    yield "folders", [f"{folder}: {sorted(p.name for p in Path(folder).glob('*'))}" for folder in _existing()]
    yield "home", [f"{path} {_digest(path)}" for path in (Path.home() / ".kube").glob("*") if path.is_file()]
    yield "clusters", [path.name for path in (cache.root() / "clusters").glob("*")]
    yield "scratch", [path.name for path in (cache.root() / "scratch").glob("*")]
    yield "engine", list(_machines_engine())


def _processes() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        program = command.split(" ")[0].rsplit("/", 1)[-1]
        if program in _ENGINES or str(cache.root()) in command:
            yield command


def _rules(program: str) -> Iterator[str]:
    """Rules and chains, without the packet counters behind a chain's policy."""
    for table in ("filter", "nat", "mangle", "raw"):
        for line in run([program, "-t", table], check=False).splitlines():
            # The built-in chains of a table come into being when they are first listed.
            if line.startswith("-A") or (line.startswith(":") and (" ACCEPT " not in line or "FORWARD" in line)):
                yield f"{table} {line.split(' [')[0]}"


def _there(setting: str) -> bool:
    return (Path("/proc/sys") / setting).exists()


def _existing() -> list[str]:
    return [folder for folder in _FOLDERS if Path(folder).is_dir()]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _machines_engine() -> Iterator[str]:
    """Containers and networks of a Docker engine that is not ours."""
    if shutil.which("docker"):
        for kind in (["ps", "--all"], ["network", "ls"]):
            yield from run(["docker", *kind, "--quiet"], check=False).splitlines()
