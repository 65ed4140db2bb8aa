"""Reads objects through one `kubectl proxy`: tests look several times a second, and a kubectl for each look would cost
more than what is tested."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from hack.cluster.cluster import Cluster
from hack.cluster.tools import tool

_GROUPS: Final = {
    "datagenerations": "apis/sdg-operator.io/v1alpha1",
    "taxonomies": "apis/sdg-operator.io/v1alpha1",
    "jobs": "apis/batch/v1",
    "pods": "api/v1",
    "services": "api/v1",
}


@dataclass(frozen=True)
class Reader:
    url: str

    def get(self, namespace: str, resource: str, name: str) -> dict[str, Any]:
        return self._read(f"{_GROUPS[resource]}/namespaces/{namespace}/{resource}/{name}")

    def all(self, namespace: str, resource: str, selector: str = "") -> list[dict[str, Any]]:
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        items: list[dict[str, Any]] = self._read(f"{_GROUPS[resource]}/namespaces/{namespace}/{resource}{query}")[
            "items"
        ]
        return items

    def _read(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@contextmanager
def reading(cluster: Cluster) -> Iterator[Reader]:
    """Serve the cluster's API on a port of loopback for as long as the tests last."""
    command = [str(tool("kubectl")), f"--kubeconfig={cluster.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        said = proxy.stdout.readline().strip()  # "Starting to serve on 127.0.0.1:40123"
        try:
            yield Reader(f"http://{said.rsplit(' ', 1)[-1]}")
        finally:
            proxy.terminate()
