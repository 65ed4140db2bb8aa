"""An API server to try releases of the chart on; without a node, so nothing becomes ready there."""

from collections.abc import Iterator

import pytest

from hack.cluster.apiserver import ApiServer


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server
