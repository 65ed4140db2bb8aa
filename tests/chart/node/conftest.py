"""A node with the chart on it, as a demo leaves it, for these tests alone."""

from collections.abc import Iterator

import pytest

from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from tests.chart.node.installed import Installed
from tests.demo.demoing import demo, owned


@pytest.fixture(scope="session")
def own() -> Iterator[Cluster]:
    with owned("sdg-test-chart") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def installed(own: Cluster) -> Installed:
    ended = demo(CLUSTER=own.name, DEMO_TEACHER="scripted")
    assert ended.code == 0, ended.said
    teacher = load_images(own, ["sdg-teacher-scripted"])["sdg-teacher-scripted"]
    return Installed(Kube(own.kubeconfig, "", tool("kubectl"), tool("helm4")), teacher)
