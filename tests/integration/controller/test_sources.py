"""A run uses what was checked for it: neither a file that changed since, nor an older one because the newest is broken.

The checks are real: the container's program reads the bucket or a Git server, and writes snapshot and report.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.steps import wait_for
from hack.gitserver.certificates import Certificates, make_certificates
from sdg_operator.api import API_VERSION
from sdg_operator.storage.layout import snapshot_key
from tests.git.https import HttpsGitServer, https_git_server
from tests.git.repositories import BareRepository
from tests.integration.controller.checking import run_check
from tests.integration.controller.kubelet import attempt_of
from tests.integration.controller.objects import apply, get, taxonomy
from tests.integration.controller.operators import SETTINGS, OperatorProcess
from tests.integration.controller.stage import KEY, Stage, apply_run
from tests.taxonomies.making import packed, seeds, skill

PASSWORD = "open sesame"


@pytest.fixture
def operator(stage: Stage, tmp_path: Path) -> Iterator[OperatorProcess]:
    settings = {
        **SETTINGS,
        "allowed": {"gitSecrets": ["git"]},
        "taxonomies": {"intervalSeconds": 10, "allowedHosts": ["127.0.0.1"]},
        "limits": {**SETTINGS["limits"], "nodeLostTimeoutSeconds": 5},
    }
    flags = [f"--namespace={stage.namespace}"]
    with OperatorProcess(tmp_path, stage.server.kubeconfig, *flags, settings=settings) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path / "tls", ["IP:127.0.0.1"])


@pytest.fixture
def git(tmp_path: Path, certificates: Certificates) -> Iterator[HttpsGitServer]:
    with https_git_server(tmp_path / "repositories", certificates) as running:
        yield running


def put(stage: Stage, *names: str, broken: bool = False) -> None:
    """Put a taxonomy of these skills into the bucket; a broken one has too few seed examples."""
    text = skill(seed_examples=seeds(2)) if broken else skill()
    stage.put(KEY, packed({f"compositional_skills/{name}/qna.yaml": text for name in names}))


def check(stage: Stage, tmp_path: Path, name: str = "birds", ca_file: Path | None = None) -> int:
    """Wait for the next check of a Taxonomy and carry it out; gives its number."""
    (pod,) = stage.kubelet.wait_pods(name, "validate")
    log = run_check(stage.server, stage.kubelet, pod, tmp_path / "nodes", ca_file)
    print(log)
    number = attempt_of(pod)
    stage.wait_status(
        f"taxonomy/{name}", lambda status: status.get("attempt", 0) > number or not status["check"].get("open")
    )
    return number


def ready(status: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of Ready."""
    found: dict[str, str] = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})
    return found.get("status", ""), found.get("reason", "")


def pinned(stage: Stage, run: str) -> str:
    status = stage.wait_status(f"dg/{run}", lambda status: bool(status.get("snapshotDigest")))
    return str(status["snapshotDigest"])


def first_run(stage: Stage, tmp_path: Path) -> str:
    """Have a taxonomy of one skill checked, and a run begun of it; gives the digest that the run has pinned."""
    put(stage, "wren")
    taxonomy(stage.server, stage.namespace, "birds")
    check(stage, tmp_path)
    apply_run(stage, "first")
    return pinned(stage, "first")


def waits(stage: Stage, run: str, reason: str) -> dict[str, Any]:
    """Wait until a run says why it does not begin."""

    def says(status: dict[str, Any]) -> bool:
        return any(each["reason"] == reason for each in status.get("conditions", []))

    return stage.wait_status(f"dg/{run}", says)


def test_a_file_that_changes_between_two_runs_gives_each_its_own(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    first = first_run(stage, tmp_path)
    put(stage, "wren", "heron")
    apply_run(stage, "second")
    waiting = waits(stage, "second", "TaxonomyChecking")
    assert waiting["state"] == "queued"
    assert not waiting.get("snapshotDigest"), "what was checked before it was created is not taken"
    check(stage, tmp_path)
    second = pinned(stage, "second")
    assert second != first
    assert pinned(stage, "first") == first
    assert stage.status("dg/first")["plan"]["leaves"] == 1
    assert stage.status("dg/second")["plan"]["leaves"] == 2
    for digest in (first, second):
        assert stage.get(snapshot_key(digest)), "what a run uses stays in the bucket"


def test_a_file_broken_between_two_runs_stops_the_second_alone_until_it_is_mended(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    first = first_run(stage, tmp_path)
    (generating,) = stage.kubelet.wait_pods("first", "generate")
    put(stage, "wren", broken=True)
    apply_run(stage, "second")
    check(stage, tmp_path)
    waiting = waits(stage, "second", "TaxonomyNotReady")
    assert waiting["state"] == "queued"
    assert "compositional_skills/wren/qna.yaml" in waiting["message"]
    assert not waiting.get("snapshotDigest"), "nor is an older snapshot, because the newest is broken"
    assert pinned(stage, "first") == first
    assert [pod["metadata"]["uid"] for pod in stage.kubelet.pods("first", "generate")] == [
        generating["metadata"]["uid"]
    ], "it works on"
    # An older one is taken where the run names it.
    apply_run(stage, "third", taxonomyRef={"name": "birds", "digest": first})
    assert pinned(stage, "third") == first
    put(stage, "wren", "heron")
    check(stage, tmp_path)
    assert pinned(stage, "second") != first
    assert stage.status("dg/second")["plan"]["leaves"] == 2


def test_a_taxonomy_deleted_under_a_run_leaves_it_its_snapshot(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    first = first_run(stage, tmp_path)
    (pod,) = stage.kubelet.wait_pods("first", "generate")
    stage.server.kubectl("delete", "taxonomy", "birds", "--namespace", stage.namespace)
    # Its next attempt has to fetch the snapshot anew.
    job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
    stage.server.kubectl("delete", "job", job, "--namespace", stage.namespace)
    stage.wait_status("dg/first", lambda status: status.get("attempt", {}).get("number") == 2)
    (again,) = stage.kubelet.wait_pods("first", "generate")
    assert attempt_of(again) == 2
    assert pinned(stage, "first") == first
    assert stage.get(snapshot_key(first))


def test_a_repository_is_looked_at_on_demand_and_before_each_run(
    stage: Stage, operator: OperatorProcess, tmp_path: Path, git: HttpsGitServer, certificates: Certificates
) -> None:
    git.behaviour.accounts["/"] = f"reader:{PASSWORD}"
    repository = BareRepository.create(git.root / "birds.git")
    birds = {f"tax/compositional_skills/{name}/qna.yaml": skill() for name in ("wren", "heron", "stork")}
    commits: list[str] = []

    def grow() -> None:
        """Commit one leaf more."""
        commits.append(repository.commit(dict(list(birds.items())[: len(commits) + 1])))

    grow()
    _git_secret(stage)
    apply(stage.server, _of_git(stage.namespace, git.url("birds.git", host="127.0.0.1")))

    def look() -> str:
        check(stage, tmp_path, ca_file=certificates.authority)
        status = stage.status("taxonomy/birds")
        assert ready(status) == ("True", "Valid"), status["message"]
        return str(status["checkedRevision"])

    assert look() == commits[0]
    assert PASSWORD not in str(stage.status("taxonomy/birds"))
    grow()
    annotation = "sdg-operator.io/check-requested=now"
    stage.server.kubectl("annotate", "taxonomy", "birds", annotation, "--namespace", stage.namespace)
    assert look() == commits[1]
    grow()
    apply_run(stage, "first")
    waits(stage, "first", "TaxonomyChecking")
    assert look() == commits[2]
    pinned(stage, "first")
    assert stage.status("dg/first")["plan"]["leaves"] == 3


def test_a_check_on_a_lost_node_is_given_up_and_another_follows(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    put(stage, "wren")
    taxonomy(stage.server, stage.namespace, "birds")
    apply_run(stage, "first")
    (pod,) = stage.kubelet.wait_pods("birds", "validate")
    with stage.kubelet.on_a_node_that_never_answers(pod) as node:
        stage.kubelet.start(pod)
        stage.wait_status("taxonomy/birds", lambda status: status.get("state") == "running")
        flags = ["--namespace", stage.namespace, "--grace-period=1", "--wait=false"]
        stage.server.kubectl("delete", "pod", pod["metadata"]["name"], *flags)
        pods = stage.kubelet.wait_pods("birds", "validate", count=2)
        (old, new) = sorted(pods, key=attempt_of)
        assert old["metadata"]["uid"] == pod["metadata"]["uid"]
        assert old["metadata"]["deletionTimestamp"], "it is still there, and nobody says that it has ended"
        (told,) = _events(stage, "CheckInconclusive")
        assert f"Node {node} does not answer" in told["note"]
        run_check(stage.server, stage.kubelet, new, tmp_path / "nodes")
        checked = stage.wait_status("taxonomy/birds", lambda status: ready(status) == ("True", "Valid"))
        assert checked["attempt"] == 2
        assert pinned(stage, "first") == checked["snapshot"]["digest"]


def test_a_spec_that_is_edited_during_its_check_is_ready_once_it_is_checked_itself(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    put(stage, "wren")
    taxonomy(stage.server, stage.namespace, "birds", storageSecretName="sdg-storage")
    (old,) = stage.kubelet.wait_pods("birds", "validate")
    stage.kubelet.start(old)
    stage.wait_status("taxonomy/birds", lambda status: status.get("state") == "running")
    taxonomy(stage.server, stage.namespace, "birds")
    edited = stage.wait_status("taxonomy/birds", lambda status: status.get("attempt") == 2)
    assert (edited["state"], ready(edited)[0]) == ("queued", "Unknown")
    (new,) = stage.kubelet.wait_pods("birds", "validate")
    assert attempt_of(new) == 2, "the Job of the older spec is gone, and its pod with it"
    run_check(stage.server, stage.kubelet, new, tmp_path / "nodes")
    checked = stage.wait_status("taxonomy/birds", lambda status: status.get("state") == "completed")
    assert [checked["observedGeneration"], checked["snapshot"]["generation"]] == [2, 2]
    (said,) = checked["conditions"]
    assert (said["status"], said["observedGeneration"]) == ("True", 2)
    wait_for("its event", 120, lambda: bool(_events(stage, "Valid")))
    (told,) = _events(stage, "Valid")
    assert "series" not in told, "of the older spec nothing was said"


def _events(stage: Stage, reason: str) -> list[dict[str, Any]]:
    items = get(stage.server, "events.events.k8s.io", stage.namespace)["items"]
    return [each for each in items if each["reason"] == reason]


def _git_secret(stage: Stage) -> None:
    metadata = {"name": "git", "namespace": stage.namespace}
    keys = {"username": "reader", "password": PASSWORD}
    body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": metadata}
    apply(stage.server, {**body, "stringData": keys})


def _of_git(namespace: str, url: str) -> dict[str, Any]:
    credentials = [{"urlPrefix": url, "secretName": "git"}]
    spec = {"source": {"git": {"url": url, "ref": "main", "path": "tax"}}, "credentials": credentials}
    metadata = {"name": "birds", "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Taxonomy", "metadata": metadata, "spec": spec}
