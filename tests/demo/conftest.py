"""What the demo's tests stand on: a cluster for them alone."""

from collections.abc import Iterator

import pytest

from hack.cluster.cluster import Cluster
from tests.demo.demoing import owned


@pytest.fixture(scope="session")
def own() -> Iterator[Cluster]:
    with owned("sdg-test-demo") as cluster:
        yield cluster
