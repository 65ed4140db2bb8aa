"""What integration tests stand on: a real API server with our CRDs and a real S3 server, one of each for a whole run.

Where xdist deals the tests out, its controller starts them (`pytest_configure_node`) and tells the workers where they
are; else the fixtures start them. They are children of whoever started them and die with it, however it dies.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess, ApiServer
from hack.cluster.s3 import S3Access, S3Server
from hack.cluster.steps import StepFailed, until_established

ROOT = Path(__file__).parents[2]
STARTED = pytest.StashKey[ExitStack]()
SHARED = pytest.StashKey[dict[str, Any]]()


def _started_api_server(stack: ExitStack) -> ApiServer:
    """Garbage collection and Jobs' controller, no node, and both CRDs established."""
    server = stack.enter_context(ApiServer())
    server.kubectl("apply", "--filename", str(ROOT / "crds"))
    until_established(server.kubectl)
    return server


def pytest_configure_node(node: Any) -> None:
    """xdist is about to start a worker: the first one has the servers started, and each is told of them."""
    config = node.config
    if SHARED not in config.stash:
        config.stash[STARTED] = stack = ExitStack()
        try:
            api, s3 = _started_api_server(stack), stack.enter_context(S3Server())
        except StepFailed as failed:
            stack.close()
            pytest.exit(f"the servers of the tests did not start: {failed}", returncode=1)
        config.stash[SHARED] = {
            "api": {"folder": str(api.folder), "port": api.port, "token": api.token},
            "s3": {"port": s3.port, "secret_key": s3.secret_key},
        }
    node.workerinput["servers"] = config.stash[SHARED]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The controller ends what it has started."""
    if stack := session.config.stash.get(STARTED, None):
        stack.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests first: theirs are the long ones, and at the end one worker would be left alone with them."""
    size = Counter(item.path for item in items)
    items.sort(key=lambda item: size[item.path])


def _shared(config: pytest.Config) -> dict[str, Any] | None:
    workerinput: dict[str, Any] = getattr(config, "workerinput", {})
    shared: dict[str, Any] | None = workerinput.get("servers")
    return shared


@pytest.fixture(scope="session")
def api_server(pytestconfig: pytest.Config) -> Iterator[ApiAccess]:
    """A kube-apiserver with both CRDs; each test has a namespace of its own in it."""
    if shared := _shared(pytestconfig):
        yield ApiAccess(Path(shared["api"]["folder"]), shared["api"]["port"], shared["api"]["token"])
        return
    with ExitStack() as stack:
        yield _started_api_server(stack)


@pytest.fixture(scope="session")
def s3_server(pytestconfig: pytest.Config) -> Iterator[S3Access]:
    """An S3 server on loopback; its data is gone after the run."""
    if shared := _shared(pytestconfig):
        yield S3Access(shared["s3"]["port"], shared["s3"]["secret_key"])
        return
    with S3Server() as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiAccess) -> Iterator[str]:
    """A namespace of the test's own, in which pods can be made."""
    name = f"test-{secrets.token_hex(4)}"
    api_server.kubectl("create", "namespace", name)
    # A pod is refused until its namespace has a ServiceAccount.
    api_server.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=120s")
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Access) -> Iterator[S3Client]:
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
