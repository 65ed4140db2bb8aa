"""What integration tests stand on: a real API server with our CRDs and a real S3 server, one of each a session."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiServer
from hack.cluster.s3 import S3Server
from hack.cluster.steps import until_established

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A kube-apiserver with garbage collection and Jobs' controller, no node, and both CRDs established."""
    with ApiServer() as server:
        server.kubectl("apply", "--filename", str(ROOT / "crds"))
        until_established(server.kubectl)
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server on loopback; its data is gone after the session."""
    with S3Server() as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    api_server.kubectl("create", "namespace", name)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Server) -> Iterator[S3Client]:
    """A client with the administrator's keys."""
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client: S3Client) -> str:
    """Name of an empty bucket of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    s3_client.create_bucket(Bucket=name)
    return name
