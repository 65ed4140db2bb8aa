"""One namespace with a bucket, and what stands in for nodes: the place of a test of the whole operator."""

import json
from collections.abc import Callable
from typing import Any

from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed, wait_for
from sdg_operator.storage.layout import RunLayout
from tests.integration.controller.kubelet import Kubelet
from tests.integration.controller.objects import apply, get, run

KEY = "taxonomies/taxonomy.tar.gz"
_WAIT = 120.0


class Stage:
    """One namespace with a bucket, an operator that serves it, and what stands in for nodes."""

    def __init__(self, server: ApiAccess, namespace: str, client: S3Client, bucket: str) -> None:
        self.server = server
        self.namespace = namespace
        self.kubelet = Kubelet(server, namespace)
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    @property
    def revision(self) -> str:
        """Of the source that is in the bucket."""
        return self._client.head_object(Bucket=self._bucket, Key=KEY)["ETag"].strip('"')

    def status(self, what: str) -> dict[str, Any]:
        status: dict[str, Any] = get(self.server, what, self.namespace).get("status", {})
        return status

    def wait_status(self, what: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status of a resource is so; a failure tells what it was."""
        seen: dict[str, Any] = {}

        def check() -> bool:
            seen.clear()
            seen.update(self.status(what))
            return is_so(seen)

        try:
            wait_for(what, _WAIT, check)
        except StepFailed as late:
            told = {key: seen.get(key) for key in ("state", "message", "progress", "conditions")}
            raise AssertionError(f"{what} never got there; it is {json.dumps(told, indent=1)}") from late
        return seen

    def layout(self, owner: str) -> RunLayout:
        body = get(self.server, f"dg/{owner}", self.namespace)
        return RunLayout.of(body["status"]["resolved"]["prefix"], body["metadata"]["uid"])


def apply_run(stage: Stage, name: str, **spec: Any) -> None:
    apply(stage.server, run(name, **spec) | {"metadata": {"name": name, "namespace": stage.namespace}})
