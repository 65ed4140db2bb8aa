"""The operator in the cluster, as an administrator has it: installed and changed by its chart, killed from its node."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from hack.cluster.cluster import Cluster
from hack.cluster.steps import wait_for
from hack.demo.kube import Kube
from hack.demo.objects import RELEASE, SYSTEM
from hack.demo.play import CHART
from tests.e2e.services import Services
from tests.e2e.signals import kill

_DEPLOYMENT: Final = f"deployment/{RELEASE}"
_PODS: Final = ("pods", f"--namespace={SYSTEM}", "--selector=app.kubernetes.io/name=sdg-operator")
_PATIENCE: Final = "--timeout=180s"


@dataclass(frozen=True)
class Operator:
    cluster: Cluster
    kube: Kube
    values: dict[str, Any]
    services: Services = field(default_factory=Services)

    def install(self, replicas: int = 1, **settings: Any) -> None:
        """Install it, or bring it to these settings: whole groups, in place of those it was made with."""
        values = {**self.values, "replicas": replicas, "settings": {**self.values["settings"], **settings}}
        command = ["upgrade", "--install", RELEASE, str(CHART), f"--namespace={SYSTEM}"]
        with self.services.interrupted():
            self.kube.run_helm(
                *command, "--create-namespace", "--wait", _PATIENCE, "--values=-", stdin=yaml.safe_dump(values)
            )

    def group(self, name: str, **changes: Any) -> dict[str, Any]:
        """A group of the settings it was made with, with some of them changed."""
        return {**self.values["settings"][name], **changes}

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(f"--namespace={SYSTEM}", *arguments)

    def pods(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.cluster.kubectl("get", *_PODS, "--output=json"))["items"]
        return items

    def restarts(self) -> int:
        (pod,) = self.pods()
        return sum(int(each["restartCount"]) for each in pod["status"].get("containerStatuses", []))

    def kill(self) -> None:
        """SIGKILL from the node, where nothing in the container can see it come; returns when it has been restarted."""
        before = self.restarts()
        (pod,) = self.pods()
        with self.services.interrupted():
            self._kill(pod["metadata"]["name"])
            wait_for("the operator's restart", 120, lambda: self.restarts() > before)

    def kill_with_its_pod(self, name: str) -> None:
        """SIGKILL, and the pod is taken away too; returns when another one is ready.

        A kubelet that has seen a container die often waits ever longer before it starts it again.
        """
        with self.services.interrupted():
            self._kill(name)
            self.kubectl("delete", "pod", name, "--force", "--grace-period=0")
            self._until_ready()

    def _kill(self, name: str) -> None:
        uid = next(pod["metadata"]["uid"] for pod in self.pods() if pod["metadata"]["name"] == name)
        kill(self.cluster, uid, "sdg_operator.controller")

    def leader(self) -> str:
        """Name of the pod that holds the Lease; empty where none does."""
        found = "--output=jsonpath={.items[*].spec.holderIdentity}"
        return self.kubectl("get", "leases", found).strip()

    def restart(self) -> None:
        """As an administrator restarts it: SIGTERM, and another pod."""
        with self.services.interrupted():
            self.kubectl("rollout", "restart", _DEPLOYMENT)
            self._until_ready()

    @contextmanager
    def away(self) -> Iterator[None]:
        """None of it is at work, for the length of the block."""
        self.services.end()
        self._scale(0)
        try:
            yield
        finally:
            self._scale(1)
            self.services.begin()

    def _scale(self, replicas: int) -> None:
        self.kubectl("scale", _DEPLOYMENT, f"--replicas={replicas}")
        if replicas:
            self._until_ready()
        else:
            wait_for("the end of the operator's pods", 120, lambda: not self.pods())

    def _until_ready(self) -> None:
        self.kubectl("rollout", "status", _DEPLOYMENT, _PATIENCE)

    def last_words(self) -> str:
        """The end of its log, and what runs there are."""
        log = self.cluster.kubectl("logs", f"--namespace={SYSTEM}", _DEPLOYMENT, "--tail=15", check=False)
        there = self.cluster.kubectl("get", "taxonomies,datagenerations,jobs,pods", "--all-namespaces", check=False)
        return f"{log}\n{there}"
