"""A mix that is taken away is made again, from what was frozen for it."""

import pytest

from tests.e2e.place import Place


@pytest.mark.parametrize("what", ["pod", pytest.param("job", marks=pytest.mark.faults)])
def test_a_mix_that_is_killed_is_made_again(place: Place, what: str) -> None:
    place.taxonomy(leaves=2)
    place.run()
    place.until("mixing", lambda _: bool(place.all("pods", "sdg-operator.io/role=mix")))
    (pod,) = place.all("pods", "sdg-operator.io/role=mix")
    if what == "pod":
        place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    else:
        place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=mix", "--wait=false")
    status = place.until_ended()
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    mixes = {seen.job if what == "job" else seen.name for look in place.watch.samples for seen in look.pods
             if seen.role == "mix"}  # fmt: skip
    assert len(mixes) == 2, "the mix was over before it could be killed"
    place.assert_whole(leaves=2)
