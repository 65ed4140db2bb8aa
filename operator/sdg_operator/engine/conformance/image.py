"""An engine that is a container image, run through docker or podman under the limits of a pod."""

import random
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sdg_operator.engine.conformance.trials import Started

TOOLS = ("docker", "podman")


class NoImage(ValueError):
    """The image cannot be run here; the message says why."""


def find_tool(image: str) -> str:
    """Return the program that runs containers here. Raises NoImage, also where it does not have the image."""
    tool = next((found for name in TOOLS if (found := shutil.which(name))), None)
    if tool is None:
        raise NoImage(f"running an image needs {' or '.join(TOOLS)} in PATH")
    looked = subprocess.run([tool, "image", "inspect", image], capture_output=True, text=True, check=False)
    if looked.returncode:
        said = (looked.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise NoImage(f"{Path(tool).name} cannot use image {image}: {said}")
    return tool


@dataclass(frozen=True, slots=True)
class ImageEngine:
    """Starts an image as a pod would: read-only root, any user id with group 0, no capabilities.

    It shares this machine's network, on whose loopback the teacher listens; whom it connects to is watched.
    """

    tool: str
    image: str
    arguments: tuple[str, ...] = ()
    user: int = field(default_factory=lambda: random.randrange(10_000, 60_000))  # noqa: S311 - any will do
    limit: float = 120.0

    @property
    def host_user(self) -> int | None:
        return None  # its root file system is its own, and read-only

    def start(self, work: Path, outside: Path, token: Path, given: Mapping[str, str], output: BinaryIO) -> Started:  # noqa: ARG002
        name = f"sdg-conformance-{uuid.uuid4().hex[:12]}"
        limits = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--security-opt=label=disable"]
        command = [
            *(self.tool, "run", "--rm", f"--name={name}", "--network=host", f"--user={self.user}:0", *limits),
            *(f"--volume={work}:{work}", f"--volume={token}:{token}:ro"),
            *(f"--env={key}={value}" for key, value in given.items()),
            *(self.image, *self.arguments),
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        return _StartedImage(process, self.tool, name)


@dataclass(slots=True)
class _StartedImage:
    process: "subprocess.Popen[bytes]"
    tool: str
    name: str
    _first: int | None = None

    def session(self) -> int | None:
        """The container's first process leads a session of its own."""
        if self._first is None:
            asked = [self.tool, "inspect", "--format={{.State.Pid}}", self.name]
            said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
            self._first = int(said) if said.isdigit() and said != "0" else None
        return self._first

    def send(self, number: signal.Signals) -> None:
        subprocess.run([self.tool, "kill", f"--signal={number.name}", self.name], capture_output=True, check=False)
