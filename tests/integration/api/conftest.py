"""Fixtures of the tests of both kinds on a real API server."""

import secrets
from collections.abc import Iterator

import pytest

from hack.cluster.apiserver import ApiAccess
from tests.integration.api.kube import Kube


@pytest.fixture(scope="session")
def kube(api_server: ApiAccess) -> Iterator[Kube]:
    """A client bound to one namespace for all cases; each case has objects of its own."""
    namespace = f"api-{secrets.token_hex(4)}"
    api_server.kubectl("create", "namespace", namespace)
    yield Kube(api_server, namespace)
    api_server.kubectl("delete", "namespace", namespace, "--wait=false")
