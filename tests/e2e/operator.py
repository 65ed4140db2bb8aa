"""The operator in the cluster, as an administrator has it: installed and changed by its chart, killed from its node."""

import json
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from hack.cluster.steps import wait_for
from hack.demo.kube import Kube
from hack.demo.objects import RELEASE, SYSTEM
from hack.demo.play import CHART

_POD: Final = ("pods", f"--namespace={SYSTEM}", "--selector=app.kubernetes.io/name=sdg-operator")


@dataclass(frozen=True)
class Operator:
    cluster: Cluster
    kube: Kube
    values: dict[str, Any]

    def install(self, **settings: Any) -> None:
        """Install it, or bring it to these settings."""
        values = {**self.values, "settings": {**self.values["settings"], **settings}}
        command = ["upgrade", "--install", RELEASE, str(CHART), f"--namespace={SYSTEM}"]
        self.kube.run_helm(
            *command, "--create-namespace", "--wait", "--timeout=180s", "--values=-", stdin=yaml.safe_dump(values)
        )

    def restarts(self) -> int:
        (pod,) = json.loads(self.cluster.kubectl("get", *_POD, "--output=json"))["items"]
        return sum(int(each["restartCount"]) for each in pod["status"].get("containerStatuses", []))

    def kill(self) -> None:
        """SIGKILL from the node, where nothing in the container can see it come; returns when it has been restarted."""
        before = self.restarts()
        (node,) = self.cluster.nodes()
        ensure().docker("exec", node, "pkill", "-KILL", "-f", "python -m sdg_operator.controller")
        wait_for("the operator's restart", 120, lambda: self.restarts() > before)

    def last_words(self) -> str:
        """The end of its log, and what runs there are."""
        log = self.cluster.kubectl("logs", f"--namespace={SYSTEM}", "deployment/sdg-operator", "--tail=15", check=False)
        there = self.cluster.kubectl("get", "taxonomies,datagenerations,jobs,pods", "--all-namespaces", check=False)
        return f"{log}\n{there}"
