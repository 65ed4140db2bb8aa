"""Taxonomies on a real node: what a change, a fault or a deletion of the source does to the runs before and after."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.storage.layout import snapshot_key
from tests.e2e.gitserver import CA_CONFIG_MAP, PASSWORD, USER, host, start_git_server
from tests.e2e.operator import Operator
from tests.e2e.place import Place


def until_ready(place: Place, name: str = "lists", reason: str = "Valid", seconds: float = 120) -> dict[str, Any]:
    """Wait until Ready gives this reason; gives the status."""
    end = time.monotonic() + seconds
    while True:
        status: dict[str, Any] = place.get("taxonomies", name).get("status", {})
        ready: dict[str, Any] = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        if ready.get("reason") == reason:
            return status
        assert time.monotonic() < end, f"Ready is {ready}, not {reason}, after {seconds} s"
        time.sleep(0.1)


@pytest.mark.faults
def test_a_file_broken_between_two_runs_stops_the_second_and_leaves_the_first_as_it_was(place: Place) -> None:
    place.taxonomy(leaves=1)
    place.run("first")
    first = place.until_ended("first")
    assert first["state"] == "completed", first["message"]
    place.upload("lists", leaves=1, broken=True)
    place.run("second")
    waiting = place.until_reason("TaxonomyNotReady", "second")
    assert waiting["state"] == "queued"
    assert "qna.yaml" in waiting["message"]
    assert waiting.get("snapshotDigest") is None, "an older snapshot is not used because the newest is broken"
    assert place.status("first") == first
    place.upload("lists", leaves=2)
    second = place.until_ended("second")
    assert second["state"] == "completed", second["message"]
    assert second["progress"]["leaves"] == "2/2"
    assert second["snapshotDigest"] != first["snapshotDigest"]
    assert place.status("first") == first
    for status in (first, second):
        key = snapshot_key(status["snapshotDigest"])
        assert place.keys(key) == [key], "what a run used stays in the bucket"


@pytest.mark.faults
def test_a_taxonomy_deleted_under_a_run_changes_nothing_for_it(place: Place) -> None:
    place.hold(1, 2)
    place.begin(leaves=3)
    pinned = place.status()["snapshotDigest"]
    place.kubectl("delete", "taxonomy", "lists", "--wait=true")
    place.bucket.delete_object(Bucket=place.s3_access["bucket"], Key=place.taxonomy_key("lists"))
    # The next attempt has to fetch the snapshot anew.
    place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=generate")
    place.until("at its second attempt", lambda status: status.get("attempt", {}).get("number") == 2)
    place.release()
    status = place.until_completed(leaves=3)
    assert (status["snapshotDigest"], status["attempt"]["number"]) == (pinned, 2)


@pytest.fixture
def git_allowed(operator: Operator, node_namespace: str) -> Iterator[None]:
    """The administrator allows the test's Git server, the Secret for it, and its authority."""
    operator.install(
        allowed={"gitSecrets": ["git"]},
        taxonomies={"intervalSeconds": 10, "allowedHosts": [host(node_namespace)]},
        proxy={"caConfigMap": CA_CONFIG_MAP},
    )
    yield
    operator.install()


def test_a_repository_that_asks_for_a_password_is_read_with_it_and_not_without(
    git_allowed: None, place: Place, tmp_path: Path
) -> None:
    start_git_server(place, tmp_path, leaves=2)
    url = f"https://{host(place.namespace)}/lists.git"
    place.apply(place.secret("git", username=USER, password=PASSWORD))
    credentials = [{"urlPrefix": f"https://{host(place.namespace)}/", "secretName": "git"}]
    place.apply(_of_git("stranger", url), _of_git("lists", url, credentials=credentials))
    status = until_ready(place)
    assert (status["state"], status["leaves"]["freeform"]) == ("completed", 2)
    assert len(status["checkedRevision"]) == 40, "a commit"
    refused = until_ready(place, "stranger", "SourceRefused")
    assert PASSWORD not in str(refused)
    place.run()
    ended = place.until_ended()
    assert ended["state"] == "completed", ended["message"]
    assert place.get("taxonomies", "lists")["status"]["attempt"] > status["attempt"], "looked at anew for the run"
    place.assert_whole(leaves=2)


def _of_git(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sdg-operator.io/v1alpha1",
        "kind": "Taxonomy",
        "metadata": {"name": name},
        "spec": {"source": {"git": {"url": url, "ref": "main"}}, **more},
    }


@pytest.mark.faults
def test_a_broken_taxonomy_is_described_beside_a_good_one(place: Place) -> None:
    """On a warm node: the image is there, and a check has run before. What it took, and what is said, is printed."""
    place.taxonomy("first", leaves=2)
    until_ready(place, "first")
    place.upload("second", leaves=2)
    began = time.monotonic()
    place.taxonomy("second", leaves=2)
    until_ready(place, "second")
    took = time.monotonic() - began
    place.taxonomy("broken", leaves=2, broken=True)
    until_ready(place, "broken", "InvalidTaxonomy")
    print(f"from kubectl apply to Ready: {took:.1f} s")
    described = place.kubectl("describe", "taxonomy", "broken")
    print(described)
    for words in ("Failed to process invalid taxonomy files.", "compositional_skills/lists/list0/qna.yaml", "Line:"):
        assert words in described
