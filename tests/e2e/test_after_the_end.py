"""What is left of a run that is over: its state for good, and Jobs that may go without being made again."""

from tests.e2e.operator import Operator
from tests.e2e.place import Place


def test_a_finished_run_stays_as_it_is_though_its_jobs_go_and_the_operator_starts_anew(
    place: Place, operator: Operator
) -> None:
    place.taxonomy(leaves=1)
    place.run()
    assert place.until_ended()["state"] == "completed"
    ours = "sdg-operator.io/kind=DataGeneration"
    place.until("ended", lambda _: place.all("jobs", f"sdg-operator.io/watch=true,{ours}") == [])
    jobs = place.all("jobs", ours)
    assert {job["metadata"]["labels"]["sdg-operator.io/role"] for job in jobs} == {"generate", "mix"}
    assert {job["spec"]["ttlSecondsAfterFinished"] for job in jobs} == {86_400}
    before, asked = place.status(), place.asked()
    place.kubectl("delete", "jobs", "--all", "--wait=true")
    operator.kill()
    # It has looked at everything once it has done something anew.
    place.run("next")
    assert place.until_ended("next")["state"] == "completed"
    assert place.all("jobs", "sdg-operator.io/name=run") == []
    assert place.status() == before
    assert place.asked() > asked
    assert len(place.keys(place.layout().leaf_records)) == 1
