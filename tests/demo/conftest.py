"""What the demo's tests stand on: a cluster for them alone."""

from collections.abc import Iterator

import pytest

from hack.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def own(worker_id: str) -> Iterator[Cluster]:
    """A cluster of its own for each of pytest's processes; taken away again if it was not there before."""
    cluster = Cluster(f"demo-{worker_id}")
    there = cluster.answers()
    cluster.up()
    yield cluster
    if not there:
        cluster.down()
