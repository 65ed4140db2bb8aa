"""Debian packages that the cluster's parts need on this machine."""

import shutil
from pathlib import Path
from typing import Final

from hack.cluster.cache import lock
from hack.cluster.steps import StepFailed, run, step, succeeds

# Command, or shared library, → the Debian package that has it.
_PACKAGE_OF: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "debootstrap": "debootstrap",
    # Before Debian 13 docker.io has it.
    "docker": "docker-cli",
    "dockerd": "docker.io",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "libnss_wrapper.so": "libnss-wrapper",
    "openssl": "openssl",
    "runc": "runc",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
}


def need(*names: str) -> None:
    """Install the packages of commands and libraries that are missing; `StepFailed` names them where it cannot."""
    missing = sorted({_PACKAGE_OF[name] for name in names if not _there(name)})
    if not missing:
        return
    hint = f"install them and try again: apt-get install --no-install-recommends {' '.join(missing)}"
    if shutil.which("apt-get") is None or not succeeds(["test", "-w", "/var/lib/dpkg"]):
        raise StepFailed(f"commands or libraries are missing on this machine; {hint}")
    # apt-get of two at once fails.
    with lock("apt-get"), step(f"install {', '.join(missing)}", f"Mend apt-get's sources, or {hint}"):
        # No service of a package may start: we run our own daemon, and a machine's own would be in the way. The first
        # is for machines without systemd, the second for those with it; nor may it start when the machine does.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "SYSTEMD_OFFLINE": "1"}
        before = _units()
        run(["apt-get", "update", "-qq"], env=quiet)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=quiet)
        if new := _units() - before:
            succeeds(["systemctl", "disable", *sorted(new)])


def _units() -> set[str]:
    """The services and sockets that systemd would know."""
    found = (path for kind in ("service", "socket") for path in Path("/lib/systemd/system").glob(f"*.{kind}"))
    return {path.name for path in found}


def _there(name: str) -> bool:
    return shutil.which(name, path=_PATH) is not None or any(Path("/usr/lib").glob(f"*/{name}"))


_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
