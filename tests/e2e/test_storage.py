"""The bucket is away or refuses in mid-run: what was made is kept in the pod, and nothing is made twice."""

import time

import pytest

from tests.e2e.place import Place
from tests.e2e.store import own_store


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=pytest.mark.faults)])
def test_a_bucket_that_is_away_for_a_while_costs_nothing(place: Place, seconds: int) -> None:
    """The teacher goes on answering: leaves are finished while nobody takes their records."""
    store = own_store(place)
    place.hold(2)
    place.taxonomy(leaves=3)
    place.run()
    place.until_records(2)
    (pod,) = place.at_work()
    with store.away():
        began = time.time()
        place.release()
        time.sleep(seconds)  # the length of the outage is the input of this test
        assert place.at_work() == [pod]
        assert place.status()["state"] == "running"
        ended = time.time()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == 1
    written = place.written(f"{place.layout().root}/")
    assert not {key for key, at in written.items() if began + 1 < at < ended - 1}, "it was not away"


@pytest.mark.faults
def test_a_storage_key_that_is_rotated_in_mid_run_is_taken_up(place: Place) -> None:
    """The old key is refused at once; the kubelet brings the new one into the pod, where it is read again on 403."""
    store = own_store(place)
    place.hold(1, 2)
    place.begin(leaves=3)
    store.rotate_key()
    place.release()
    status = place.until_ended(seconds=400)
    assert status["state"] == "completed", status["message"]
    assert status["attempt"]["number"] == 1
    place.assert_whole(leaves=3)
