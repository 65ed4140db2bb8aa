"""An S3 server of one test's own, in its namespace: what is done to it, no other test feels."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from hack.cluster.engine import ensure
from hack.cluster.steps import wait_for
from tests.e2e.place import RESTRICTED, Place

_PORTS: Final = {"first": 7070, "second": 7071}
_LABELS: Final = {"app": "store"}
_BUCKET: Final = "own"


@dataclass
class Store:
    """Two servers over one folder, each with a key of its own; the Service leads to one of them."""

    place: Place
    keys: dict[str, str] = field(default_factory=lambda: {name: secrets.token_hex(16) for name in _PORTS})
    now: str = "first"

    def start(self) -> None:
        pod = {
            "containers": [self._server(name, port) for name, port in _PORTS.items()],
            "volumes": [{"name": "data", "emptyDir": {}}],
        }
        template = {"metadata": {"labels": _LABELS}, "spec": pod}
        spec = {"selector": {"matchLabels": _LABELS}, "template": template}
        self.place.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "store"}, "spec": spec})
        self._serve()
        self.place.kubectl("rollout", "status", "deployment/store", "--timeout=120s")
        port = self.place.get("services", "store")["spec"]["ports"][0]["nodePort"]
        endpoint = f"http://{self.place.cluster.node_address()}:{port}"
        self.place.s3_access = {**self.place.s3_access, "hostEndpoint": endpoint, "bucket": _BUCKET}
        self._use_key()

    def _server(self, name: str, port: int) -> dict[str, Any]:
        return {
            "name": name,
            "image": self.place.images["sdg-s3"],
            "args": ["--port", f":{port}", "--quiet", "posix", "/data"],
            "env": [{"name": "ROOT_ACCESS_KEY", "value": name}, {"name": "ROOT_SECRET_KEY", "value": self.keys[name]}],
            "securityContext": RESTRICTED,
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }

    def rotate_key(self) -> None:
        """The first key is refused from now on; the storage Secret has the second."""
        self.now = "second"
        with self.away():  # else connections that are open would go on to the first server
            self._serve()
        self._use_key()
        self.place.apply(self.place.storage_secret())

    @contextmanager
    def away(self) -> Iterator[None]:
        """No packet reaches it, for the length of the block: connections end, and none is taken."""
        (node,) = self.place.cluster.nodes()
        docker = ensure().docker
        (pod,) = self.place.all("pods", "app=store")
        rule = ["FORWARD", "--destination", pod["status"]["podIP"], "--protocol", "tcp"]
        rule += ["--jump", "REJECT", "--reject-with", "tcp-reset"]
        docker("exec", node, "iptables", "--insert", *rule)
        try:
            yield
        finally:
            docker("exec", node, "iptables", "--delete", *rule)

    def _serve(self) -> None:
        ports = [{"name": "s3", "port": _PORTS["first"], "targetPort": _PORTS[self.now]}]
        spec = {"type": "NodePort", "selector": _LABELS, "ports": ports}
        self.place.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "store"}, "spec": spec})

    def _use_key(self) -> None:
        self.place.s3_access = {**self.place.s3_access, "accessKey": self.now, "secretKey": self.keys[self.now]}
        self.place.__dict__.pop("bucket", None)  # the client has the other key


def own_store(place: Place) -> Store:
    """Start it, and have the place use it from here on: for its own bucket, and in the storage Secret."""
    store = Store(place)
    store.start()

    def bucket() -> bool:
        try:
            place.bucket.create_bucket(Bucket=_BUCKET)
        except (BotoCoreError, ClientError):
            return False
        return True

    wait_for(f"bucket {_BUCKET}", 60, bucket)
    place.apply(place.storage_secret())
    return store
