"""The cluster, by the same commands that a user types."""

import json
import os
import re
import selectors
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.demo.screen import DemoFailed

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_FORWARD_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Kube:
    """kubectl and helm against one context of one kubeconfig."""

    kubeconfig: Path
    context: str
    """Empty for the kubeconfig's current one."""
    kubectl: Path
    helm: Path

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def _run(self, command: Sequence[str], stdin: str | None, seconds: float) -> str:
        try:
            done = subprocess.run(
                command,
                input=stdin,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise DemoFailed(
                f"{Path(command[0]).name} did not end within {seconds:.0f} s: {' '.join(command[1:])}"
            ) from late
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-3000:]
            raise DemoFailed(f"{Path(command[0]).name} {' '.join(command[1:6])} …: {said}")
        return done.stdout

    def run(self, *args: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run kubectl and return what it printed. Raises `DemoFailed` with its own words."""
        return self._run([str(self.kubectl), f"--context={self.context}", *args], stdin, seconds)

    def json(self, *args: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run(*args, "--output=json"))
        return answer

    def apply(self, *objects: dict[str, Any]) -> None:
        self.run(
            "apply", "--server-side", "--field-manager=sdg-demo", "--filename=-", stdin=yaml.safe_dump_all(objects)
        )

    def run_helm(self, *args: str, stdin: str | None = None, seconds: float = 300) -> str:
        return self._run([str(self.helm), f"--kube-context={self.context}", *args], stdin, seconds)

    def why_not_ready(self, namespace: str) -> str:
        """What keeps a namespace's containers from running, and the last lines of those that ended."""
        found = []
        for pod in self.json("get", "pods", f"--namespace={namespace}")["items"]:
            name, status = pod["metadata"]["name"], pod["status"]
            conditions = {c["type"]: c for c in status.get("conditions", [])}
            if conditions.get("PodScheduled", {}).get("status") == "False":
                found.append(f"pod {name}: {conditions['PodScheduled'].get('message')}")
            for container in [c for c in status.get("containerStatuses", []) if not c["ready"]]:
                state = container["state"].get("waiting") or container["state"].get("terminated") or {}
                found.append(f"pod {name}: {state.get('reason', 'not ready')} {state.get('message', '')}".strip())
                if container.get("restartCount"):
                    found.append(self.run("logs", name, f"--namespace={namespace}", "--previous", "--tail=15"))
        return "\n".join(found)

    @contextmanager
    def forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """A port on loopback that leads to a Service's port, as long as the block lasts."""
        command = [str(self.kubectl), f"--context={self.context}", "port-forward", f"--namespace={namespace}"]
        with subprocess.Popen(
            [*command, "--address=127.0.0.1", target, f":{port}"],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                with selectors.DefaultSelector() as first_word:
                    first_word.register(process.stdout, selectors.EVENT_READ)
                    came = first_word.select(_FORWARD_SECONDS)
                said = process.stdout.readline() if came else f"no word within {_FORWARD_SECONDS} s"
                found = _FORWARDING.search(said)
                if found is None:
                    raise DemoFailed(f"kubectl port-forward to {namespace}/{target}: {said.strip()}")
                yield int(found.group(1))
            finally:
                process.terminate()
