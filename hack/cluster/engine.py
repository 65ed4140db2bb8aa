"""The Docker engine that kind uses: the machine's own where there is one, else one that we start and stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cluster import cache, machine, network
from hack.cluster.network import BRIDGE, NODE_NETWORK
from hack.cluster.packages import need
from hack.cluster.runc import lacks_sys_resource
from hack.cluster.steps import StepFailed, die_with_parent, run, step, succeeds, wait_for

_NETWORK: Final = "kind"
"""What kind calls the nodes' network."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running Docker engine."""

    host: str | None
    """DOCKER_HOST of our own engine; None for the machine's."""

    @property
    def env(self) -> dict[str, str]:
        return {} if self.host is None else {"DOCKER_HOST": self.host}

    def docker(self, *arguments: str | Path, stdin: str | None = None, check: bool = True) -> str:
        return run(["docker", *arguments], env=self.env, stdin=stdin, check=check)

    def architecture(self) -> str:
        """Of its images, in Docker's words."""
        return self.docker("version", "--format={{.Server.Arch}}").strip()

    def import_folder(self, folder: Path, name: str, changes: Sequence[str] = ()) -> None:
        """Make an image of a folder; `changes` are options of `docker import`."""
        with subprocess.Popen(
            ["tar", "-C", folder, "-c", "."],
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        ) as tar:
            try:
                done = subprocess.run(
                    ["docker", "import", *changes, "-", name],
                    stdin=tar.stdout,
                    env={**os.environ, **self.env},
                    capture_output=True,
                    check=False,
                    timeout=1800,
                    preexec_fn=die_with_parent,
                )
            except subprocess.TimeoutExpired as late:
                tar.kill()
                raise StepFailed(
                    f"docker import of {name} did not end within {late.timeout:.0f} s; try again"
                ) from late
        if done.returncode or tar.returncode:
            raise StepFailed(f"docker import of {name} failed: {done.stderr.decode()[-400:]}")

    def pulled(self, name: str) -> bool:
        """Pull an image, and say whether that succeeded."""
        with step(f"pull {name.partition('@')[0]}"):
            return succeeds(["docker", "pull", "--quiet", name], env=self.env, timeout=1800)

    def has_image(self, name: str) -> bool:
        return succeeds(["docker", "image", "inspect", name], env=self.env)


def _folder() -> Path:
    return cache.root() / "docker"


def _engines() -> dict[int, bool]:
    """Process ids of the Docker engines on this machine, and whether each is our own.

    Found among the processes: one that has just been started has not written its id yet.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        words = _command(process.name)
        if Path(words[0]).name == "dockerd":
            found[int(process.name)] = str(_folder() / "daemon.json") in words
    return found


def _command(pid: str) -> list[str]:
    """The words that a process was called with; one empty word once it has ended, even if it is not reaped yet."""
    try:
        return (Path("/proc") / pid / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return [""]


def _pid() -> int | None:
    """Process id of our own engine, if it runs."""
    return next((pid for pid, own in _engines().items() if own), None)


def another_runs() -> bool:
    """Whether an engine that is not ours runs on this machine."""
    return not all(_engines().values())


def _own() -> Engine:
    return Engine(f"unix://{_folder()}/docker.sock")


def _answers() -> bool:
    return succeeds(["docker", "info"], env=_own().env)


def running() -> Engine | None:
    """The engine in use, if one runs; nothing is started."""
    if _pid() is not None and _answers():
        return _own()
    if succeeds(["docker", "info"]):
        return Engine(None)
    return None


def ensure() -> Engine:
    """Give a running engine, starting our own where the machine has none."""
    with cache.lock("engine"):
        if _pid() is not None:
            _wait()  # it may have been started a moment ago
            return _own()
        if engine := running():
            return engine
        if os.geteuid() != 0:
            raise StepFailed(
                "no Docker engine answers (`docker info` says why), and only root can start one of our own;"
                " start Docker, or become a member of the group `docker`, and try again"
            )
        need("dockerd", "containerd", "runc", "ip", "iptables", "debootstrap", "openssl")
        need("docker")  # if docker.io did not bring it
        with step("start an own Docker engine"):
            _start()
            _wait()
        return _own()


def _wait() -> None:
    try:
        wait_for("the Docker engine", 60, _answers)
    except StepFailed as late:
        log = _folder() / "dockerd.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        again = f"end process {_pid()} and try again" if _pid() else "mend what it says and try again"
        raise StepFailed(f"{late}; {again}; its log, {log}, ends with:\n{tail}") from late


def _start() -> None:
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    machine.remember_network()
    # What a killed one has left would be in the way of this one.
    cache.unmount(folder)
    network.remove_bridge()
    forget_ended_containerd(folder / "exec")
    config: dict[str, object] = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "docker.pid"),
        "hosts": [f"unix://{folder}/docker.sock"],
        "bridge": "none",
        # Newer engines make chains for IPv6 too, which the nodes' network has not.
        "ip6tables": False,
        "default-address-pools": [{"base": "198.18.16.0/20", "size": 24}],
        "log-driver": "json-file",
    }
    if lacks_sys_resource():
        # A copy, and the Python below the virtual environment: the engine may outlive this work tree.
        wrapper = shutil.copy(Path(__file__).with_name("runc.py"), folder)
        runtime = folder / "runc"
        runtime.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -I {wrapper} "$@"\n')
        runtime.chmod(0o755)
        config |= {"runtimes": {"limited": {"path": str(runtime)}}, "default-runtime": "limited"}
    (folder / "daemon.json").write_text(json.dumps(config, indent=1))
    (folder / "docker.pid").unlink(missing_ok=True)
    # By way of a shell that ends at once: the engine outlives this program, so it must not be its child.
    launch = 'setsid dockerd --config-file "$0" >>"$1" 2>&1 </dev/null &'
    run(["sh", "-c", launch, folder / "daemon.json", folder / "dockerd.log"])


def forget_ended_containerd(exec_root: Path) -> None:
    """Remove what names a containerd that has ended.

    The engine takes whatever has its process id for it, even one that has ended and nobody has asked for its end yet,
    starts none of its own and waits in vain. One that outlived its engine is taken up.
    """
    file = exec_root / "containerd" / "containerd.pid"
    if file.is_file() and Path(_command(file.read_text().strip())[0]).name != "containerd":
        file.unlink()


def stop() -> None:
    """Stop our own engine if it runs, and take away what one of ours had mounted; the machine's own is left alone."""
    with cache.lock("engine"):
        pid = _pid()
        if pid is not None:
            with step("stop our Docker engine"):
                os.kill(pid, signal.SIGTERM)
                wait_for("the end of dockerd", 60, lambda: _pid() is None)
        # What a killed one had mounted, the next finds and takes for somebody else's.
        cache.unmount(_folder())


def node_network(engine: Engine) -> None:
    """Make kind's network ourselves: kind would add an IPv6 range of its own choice."""
    if not succeeds(["docker", "network", "inspect", _NETWORK], env=engine.env):
        name = f"com.docker.network.bridge.name={BRIDGE}"
        engine.docker("network", "create", "--subnet", NODE_NETWORK, "--opt", name, _NETWORK)


def remove_node_network(engine: Engine) -> None:
    """Remove kind's network if it is the one of `node_network`, and nobody uses it."""
    bridge = '--format={{index .Options "com.docker.network.bridge.name"}}'
    if engine.docker("network", "inspect", bridge, _NETWORK, check=False).strip() == BRIDGE:
        engine.docker("network", "rm", _NETWORK, check=False)
