"""What a cluster changes on the machine as a whole: noted before, put back after the last one.

The kubelet sets some of the kernel's settings; Docker makes folders; an engine of our own changes how packets are
forwarded.
"""

import json
from pathlib import Path
from typing import Any, Final

from hack.cluster import cache, network
from hack.cluster.steps import all_as_root, as_root, run, succeeds

_KUBELETS: Final = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_FORWARD: Final = "net/ipv4/ip_forward"
_MADE: Final = ("/lib/modules", "/etc/docker/key.json", "/etc/docker")
"""Made by Docker where they are not, and empty or of no use without it."""


def _note() -> Path:
    return cache.root() / "machine.json"


def noted() -> bool:
    """Whether something is noted that is not put back yet."""
    return _note().exists()


def remember() -> None:
    """Note how the machine is, before a node is made on it."""
    if not noted():
        absent = [path for path in _MADE if not Path(path).exists()]
        _write({"settings": {name: _setting(name) for name in _KUBELETS}, "absent": absent})


def remember_network() -> None:
    """Note how the machine forwards packets, before an engine of our own changes it."""
    remember()
    before = _read()
    if "policy" not in before:
        before["settings"][_FORWARD] = _setting(_FORWARD)
        before["policy"] = network.forward_policy()
        before["chains"] = network.docker_chains()
        _write(before)


def restore(*, another_engine: bool) -> None:
    """Put back what was noted. With another engine on the machine, its chains and its forwarding stay as they are."""
    if not noted():
        return
    before = _read()
    if "policy" in before:
        network.remove_docker_rules(keep=network.docker_chains() if another_engine else before["chains"])
        if another_engine:
            del before["settings"][_FORWARD]
        else:
            run(["iptables", "-P", "FORWARD", before["policy"]])
    for path in before["absent"]:
        if path.endswith(".json") and not another_engine:
            succeeds(as_root(["rm", "-f", path]))
        elif Path(path).is_dir():
            succeeds(as_root(["rmdir", path]))  # not if somebody has put something there
    changed = {name: value for name, value in before["settings"].items() if _setting(name) != value}
    all_as_root(
        [["sh", "-c", f"echo {value} >/proc/sys/{name}"] for name, value in changed.items()],
        "settings of the kernel are not as they were",
    )
    _note().unlink()


def _setting(name: str) -> str:
    return Path("/proc/sys", name).read_text().strip()


def _read() -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(_note().read_text())
    return noted


def _write(before: dict[str, Any]) -> None:
    cache.write(_note(), json.dumps(before))
