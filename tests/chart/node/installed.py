"""The operator as a demo left it on a node, and what tests of its releases do with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from hack.cluster.steps import wait_for
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from hack.demo.objects import NAMESPACE, SYSTEM
from sdg_operator.api.common import TERMINAL_STATES


@dataclass(frozen=True)
class Installed:
    """What a demo left: the operator by its chart, a checked taxonomy, the bucket."""

    kube: Kube
    teacher: str

    def helm(self, *args: str, by: str = "helm4", **values: Any) -> str:
        options = ["--values=-"] if values else []
        return replace(self.kube, helm=tool(by)).run_helm(
            *args, f"--namespace={SYSTEM}", *options, stdin=yaml.safe_dump(values) if values else None
        )

    def run(self, name: str, median: float, **spec: Any) -> None:
        """Start a run with a teacher of its own that takes `median` seconds for each answer, 8 at a time."""
        self.kube.run("create", "--filename=-", stdin=yaml.safe_dump(self.wanted(name, median, **spec)))

    def wanted(self, name: str, median: float, **spec: Any) -> dict[str, Any]:
        server = {
            "image": self.teacher,
            "modelName": "teacher",
            "args": [f"--median={median}", "--slots=8"],
            "resources": {"limits": {"memory": "256Mi", "nvidia.com/gpu": 1}},
        }
        return {
            "apiVersion": "sdg-operator.io/v1alpha1",
            "kind": "DataGeneration",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "taxonomyRef": {"name": "birds"},
                "teacher": {"server": server},
                "pipeline": {"name": "simple"},
                "generation": {"scaleFactor": 4, "batchSize": 4, "maxConcurrency": 8},
                **spec,
            },
        }

    def set(self, name: str, **spec: Any) -> None:
        patch = json.dumps({"spec": spec})
        self.kube.run("patch", "datageneration", name, f"--namespace={NAMESPACE}", "--type=merge", "--patch", patch)

    def scrape(self) -> tuple[str, str]:
        """The operator's pod, and its metrics now."""
        selector = "--selector=app.kubernetes.io/name=sdg-operator"
        pods = self.kube.json("get", "pods", f"--namespace={SYSTEM}", selector)["items"]
        pod = str(pods[0]["metadata"]["name"])
        return pod, self.kube.run("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:9090/proxy/metrics")

    def look(self, name: str, kind: str = "datageneration") -> dict[str, Any]:
        return self.kube.json("get", kind, name, f"--namespace={NAMESPACE}")

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.look(name).get("status", {})
        return found

    def once(
        self, name: str, right: Callable[[dict[str, Any]], bool], kind: str = "datageneration", often: float = 1
    ) -> dict[str, Any]:
        """Wait until a status is right, and give the object as it was then."""
        seen: dict[str, Any] = {}

        def ready() -> bool:
            seen.update(self.look(name, kind))
            return right(seen.get("status", {}))

        wait_for(f"{kind} {name}: {right.__name__}", 600, ready, interval=often)
        return seen

    def until(self, name: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status of a run once it is right."""
        status: dict[str, Any] = self.once(name, right)["status"]
        return status


def has_samples(status: dict[str, Any]) -> bool:
    return bool((status.get("progress") or {}).get("samples"))


def is_suspended(status: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    return status["state"] == "queued" and conditions.get("Suspended") == "True"


def has_ended(status: dict[str, Any]) -> bool:
    return status.get("state") in TERMINAL_STATES
