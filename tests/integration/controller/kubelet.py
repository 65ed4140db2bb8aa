"""A stand-in for the kubelet, which cannot run here: says of pods what a kubelet would say.

The pods themselves are real: the API server's own Job controller makes them, counts their ends, and replaces them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import wait_for
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.names import ATTEMPT_LABEL, NAME_LABEL, ROLE_LABEL
from tests.integration.controller.objects import get

_INDEX = "batch.kubernetes.io/job-completion-index"
_WAIT = 120.0

Pod = dict[str, Any]


class Kubelet:
    """Of one namespace."""

    def __init__(self, server: ApiAccess, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._started: dict[str, str] = {}

    def pods(self, owner: str, role: str) -> list[Pod]:
        """The pods that have not ended, of a resource's Jobs with this role; in order of their index."""
        selector = f"--selector={NAME_LABEL}={owner},{ROLE_LABEL}={role}"
        found = get(self._server, "pods", self._namespace, selector)["items"]
        alive = [pod for pod in found if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        return sorted(alive, key=index_of)

    def wait_pods(self, owner: str, role: str, *, count: int = 1) -> list[Pod]:
        """Wait until so many pods are there that have not ended."""
        what = f"{count} {role} pods of {owner}"
        wait_for(what, _WAIT, lambda: len(self.pods(owner, role)) == count)
        return self.pods(owner, role)

    def start(self, pod: Pod, *, ago: timedelta = timedelta()) -> None:
        """It got a node, its init containers have ended well, and the rest is running; all so long ago."""
        now = clock.to_text(datetime.now(UTC) - ago)
        self._started[pod["metadata"]["uid"]] = now
        running = {"running": {"startedAt": now}}
        done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        init = pod["spec"].get("initContainers", [])
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}],
            "initContainerStatuses": [
                _container(each, running if each.get("restartPolicy") == "Always" else done) for each in init
            ],
            "containerStatuses": [_container(each, running) for each in pod["spec"]["containers"]],
        }
        self._write(pod, status)

    @contextmanager
    def on_a_node_that_never_answers(self, pod: Pod) -> Iterator[str]:
        """Give the pod to one, whose name it gives: who deletes the pod then waits for an end that nobody tells."""
        name, node = pod["metadata"]["name"], f"silent-{self._namespace}"
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}, "spec": {"unschedulable": True}}
        self._server.kubectl("create", "--filename=-", stdin=json.dumps(body))
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": node},
        }
        place = f"/api/v1/namespaces/{self._namespace}/pods/{name}/binding"
        try:
            self._server.kubectl("create", f"--raw={place}", "--filename=-", stdin=json.dumps(binding))
            yield node
        finally:
            self._server.kubectl("delete", "node", node)
            flags = ["--namespace", self._namespace, "--grace-period=0", "--force", "--ignore-not-found"]
            self._server.kubectl("delete", "pod", name, *flags)

    def end(self, pod: Pod, exit_code: int = 0, message: str = "") -> None:
        """Its main container ended so, and with it the pod."""
        now = clock.to_text(datetime.now(UTC))
        end = {
            "exitCode": exit_code,
            "reason": "Error" if exit_code else "Completed",
            "message": message,
            "startedAt": self._started.get(pod["metadata"]["uid"], now),
            "finishedAt": now,
        }
        (main,) = pod["spec"]["containers"]
        phase = "Failed" if exit_code else "Succeeded"
        self._write(pod, {"phase": phase, "containerStatuses": [_container(main, {"terminated": end})]})

    def _write(self, pod: Pod, status: dict[str, Any]) -> None:
        flags = ["--namespace", self._namespace, "--subresource=status", "--type=merge"]
        self._server.kubectl("patch", "pod", pod["metadata"]["name"], *flags, "--patch", json.dumps({"status": status}))


def _container(container: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    running = "running" in state
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": running,
        "started": running,
        "restartCount": 0,
        "state": state,
    }


def attempt_of(pod: Pod) -> int:
    """The number of the attempt that a pod belongs to."""
    return int(pod["metadata"]["labels"][ATTEMPT_LABEL])


def index_of(pod: Pod) -> int:
    """Its number among the pods of its Job."""
    return int(pod["metadata"].get("annotations", {}).get(_INDEX, 0))
