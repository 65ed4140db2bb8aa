"""A real API server for installing the chart; without a node, so nothing becomes ready there."""

from collections.abc import Iterator

import pytest

from hack.cluster.apiserver import ApiServer


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server
