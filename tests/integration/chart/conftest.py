"""What tests of manifests stand on beside the API server: the kinds of those that they are made for."""

import pytest

from hack.cluster.apiserver import ApiAccess
from tests.integration.chart import others


@pytest.fixture(scope="session")
def foreign_kinds(api_server: ApiAccess) -> ApiAccess:
    """The API server with the kinds of Argo CD, Flux, Kubeflow Trainer and the Prometheus operator."""
    others.install_kinds(api_server)
    return api_server
