"""A mix that is taken away is made again, from what was frozen for it."""

from collections.abc import Iterator

import pytest

from hack.cluster.cluster import Cluster
from tests.e2e.operator import Operator
from tests.e2e.place import Place


@pytest.fixture
def slow_mix(operator: Operator) -> Iterator[None]:
    """A tenth of a processor, so that there is time to kill it."""
    slow = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "2Gi"}}
    operator.install(defaults=operator.group("defaults", mixResources=slow))
    yield
    operator.install()


@pytest.mark.faults
def test_a_mix_whose_pod_is_killed_is_made_again(slow_mix: None, place: Place) -> None:
    place.taxonomy(leaves=2)
    place.run()
    place.until("mixing", lambda _: bool(place.all("pods", "sdg-operator.io/role=mix")))
    (pod,) = place.all("pods", "sdg-operator.io/role=mix")
    # By force: in its time to end it would make its files, and the run be completed by them.
    place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    seen = {each.name for look in place.watch.samples for each in look.pods if each.role == "mix"}
    assert len(seen) == 2, "the mix was over before it could be killed"
    place.assert_whole(leaves=2)


@pytest.fixture
def cordon(cluster: Cluster) -> Iterator[str]:
    """Name of the node, which takes pods again after the test."""
    (node,) = cluster.nodes()
    yield node
    cluster.kubectl("uncordon", node)


@pytest.mark.faults
def test_a_mix_whose_job_is_deleted_is_made_again(place: Place, cordon: str) -> None:
    """It is held back meanwhile, so that it cannot be over before."""
    place.hold(1)
    place.begin(leaves=2)
    place.cluster.kubectl("cordon", cordon)
    place.release()
    place.until("held back", lambda s: s.get("phase") == "Mixing" and "finds no node" in s["message"])
    (job,) = place.all("jobs", "sdg-operator.io/role=mix")
    place.kubectl("delete", "job", job["metadata"]["name"])
    place.until("another Job", lambda _: bool(place.all("jobs", "sdg-operator.io/role=mix")))
    (other,) = place.all("jobs", "sdg-operator.io/role=mix")
    assert other["metadata"]["name"] != job["metadata"]["name"]
    place.cluster.kubectl("uncordon", cordon)
    status = place.until_completed(leaves=2)
    assert status["attempt"]["number"] == 1
