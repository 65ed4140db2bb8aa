"""A mix that is taken away is made again, from what was frozen for it."""

from collections.abc import Iterator

import pytest

from tests.e2e.operator import Operator
from tests.e2e.place import Place


@pytest.fixture
def slow_mix(operator: Operator) -> Iterator[None]:
    """A tenth of a processor, so that there is time to kill it."""
    slow = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "2Gi"}}
    operator.install(defaults=operator.group("defaults", mixResources=slow))
    yield
    operator.install()


@pytest.mark.parametrize("what", ["pod", pytest.param("job", marks=pytest.mark.faults)])
def test_a_mix_that_is_killed_is_made_again(slow_mix: None, place: Place, what: str) -> None:
    place.taxonomy(leaves=2)
    place.run()
    place.until("mixing", lambda _: bool(place.all("pods", "sdg-operator.io/role=mix")))
    (pod,) = place.all("pods", "sdg-operator.io/role=mix")
    if what == "job":
        place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=mix", "--wait=false")
    # By force: in its time to end it would make its files, and the run be completed by them.
    place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    seen = [each for look in place.watch.samples for each in look.pods if each.role == "mix"]
    mixes = {each.name if what == "pod" else each.job for each in seen}
    assert len(mixes) == 2, "the mix was over before it could be killed"
    place.assert_whole(leaves=2)
