"""What the operator meets: a namespace to serve, and hostile neighbours."""

import socket
from collections.abc import Iterator

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from tests.integration.controller.objects import storage_secret, teacher_secret
from tests.integration.controller.stage import KEY, Stage


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """Address of a server that accepts connections (the kernel does it) and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def stage(api_server: ApiAccess, namespace: str, s3_server: S3Access, s3_client: S3Client, bucket: str) -> Stage:
    """Both Secrets and a source are there; users have applied nothing yet."""
    storage_secret(api_server, namespace, s3_server, bucket)
    teacher_secret(api_server, namespace)
    found = Stage(api_server, namespace, s3_client, bucket)
    found.put(KEY, b"what only a pod that checks it would read")
    return found
