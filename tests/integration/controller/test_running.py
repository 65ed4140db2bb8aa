"""The shell at work: what it sees, what it writes, how it lives through an outage and how it ends."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess, ApiServer
from hack.cluster.s3 import S3Access
from hack.cluster.steps import until_established, wait_for
from sdg_operator.reconcile.names import CHECK_REQUESTED_ANNOTATION, ROLE_LABEL
from tests.integration.controller.objects import (
    apply,
    generate_jobs,
    get,
    ready_for_runs,
    run,
    storage_secret,
    taxonomy,
)
from tests.integration.controller.operators import OperatorProcess


@pytest.fixture
def operator(api_server: ApiAccess, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(tmp_path, api_server.kubeconfig, f"--namespace={namespace}") as running:
        running.wait_ready()
        yield running


def _message(server: ApiAccess, namespace: str) -> str:
    items = get(server, "taxonomies", namespace)["items"]
    return str(items[0].get("status", {}).get("message", "")) if items else ""


def test_it_sees_a_new_resource_at_once_and_writes_nothing_but_its_status(
    api_server: ApiAccess, namespace: str, operator: OperatorProcess
) -> None:
    taxonomy(api_server, namespace, "birds")
    wait_for("a message", 120, lambda: "sdg-storage" in _message(api_server, namespace), interval=0.1)
    (found,) = get(api_server, "taxonomies", namespace, "--show-managed-fields")["items"]
    meta = found["metadata"]
    assert "finalizers" not in meta
    assert set(meta["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
    writers = {(entry["manager"], entry.get("subresource", "")) for entry in meta["managedFields"]}
    assert writers == {("kubectl-client-side-apply", ""), ("sdg-operator", "status")}


def test_what_is_said_again_is_one_event_with_a_count(
    api_server: ApiAccess,
    namespace: str,
    operator: OperatorProcess,
    s3_server: S3Access,
    s3_client: S3Client,
    bucket: str,
) -> None:
    s3_client.put_object(Bucket=bucket, Key="taxonomies/taxonomy.tar.gz", Body=b"any")
    taxonomy(api_server, namespace, "birds")
    wait_for("an event", 120, lambda: bool(_events(api_server, namespace, "SecretNotFound")))
    storage_secret(api_server, namespace, s3_server, bucket)
    _ask_for_check(api_server, namespace, "1")
    wait_for("a Job", 120, lambda: bool(get(api_server, "jobs", namespace)["items"]))
    api_server.kubectl("delete", "secret", "sdg-storage", "--namespace", namespace)
    api_server.kubectl("delete", "jobs", "--all", "--namespace", namespace)

    def counted() -> bool:
        (event,) = _events(api_server, namespace, "SecretNotFound")
        return bool(event.get("series", {}).get("count", 1) == 2)

    wait_for("the event to be counted", 120, counted)
    (event,) = _events(api_server, namespace, "SecretNotFound")
    (about,) = get(api_server, "taxonomies", namespace)["items"]
    assert event["regarding"]["uid"] == about["metadata"]["uid"]
    assert (event["type"], event["note"]) == ("Warning", about["status"]["message"])


def _ask_for_check(server: ApiAccess, namespace: str, value: str) -> None:
    flags = ["--namespace", namespace, "--overwrite"]
    server.kubectl("annotate", "taxonomy", "birds", f"{CHECK_REQUESTED_ANNOTATION}={value}", *flags)


def _events(server: ApiAccess, namespace: str, reason: str) -> list[dict[str, Any]]:
    return [e for e in get(server, "events.events.k8s.io", namespace)["items"] if e["reason"] == reason]


@pytest.mark.deep
def test_sigterm_ends_it_at_once_and_in_order(operator: OperatorProcess) -> None:
    began = time.monotonic()
    operator.stop()
    assert time.monotonic() - began < 10, "whoever does not stop is killed after 15 s"
    assert operator.text().splitlines()[-1].endswith("stopped")
    assert "Traceback" not in operator.text()


@pytest.mark.deep
def test_it_lives_through_thirty_seconds_without_an_api_server(tmp_path: Path) -> None:
    with ApiServer() as server:
        server.kubectl("apply", "--filename", str(Path(__file__).parents[3] / "crds"))
        until_established(server.kubectl)
        with OperatorProcess(tmp_path, server.kubeconfig) as operator:
            operator.wait_ready()
            taxonomy(server, "default", "before")
            wait_for("a message", 120, lambda: "sdg-storage" in _message(server, "default"))
            server.stop_apiserver(kill=True)
            operator.wait_said("cannot reach|no answer")
            away_until = time.monotonic() + 120
            wait_for("the outage to last", 120, lambda: time.monotonic() > away_until)
            assert operator.get("/livez") == (200, "ok")
            server.start_apiserver()
            back = time.monotonic()
            operator.wait_ready()
            server.kubectl("delete", "taxonomy", "before")
            taxonomy(server, "default", "after")
            wait_for("a message", 120, lambda: "sdg-storage" in _message(server, "default"))
            assert time.monotonic() - back < 30
            assert operator.alive


@pytest.mark.deep
def test_a_store_that_never_answers_holds_up_nobody_else(
    api_server: ApiAccess,
    namespace: str,
    tmp_path: Path,
    s3_server: S3Access,
    s3_client: S3Client,
    bucket: str,
    silent_endpoint: str,
) -> None:
    """40 Taxonomies on a store that accepts connections and says nothing; then one on a good store elsewhere."""
    s3_client.put_object(Bucket=bucket, Key="taxonomies/taxonomy.tar.gz", Body=b"any")
    slow = f"{namespace}-slow"
    api_server.kubectl("create", "namespace", slow)
    flags = [f"--namespace={namespace}", f"--namespace={slow}"]
    try:
        storage_secret(api_server, slow, s3_server, bucket, AWS_S3_ENDPOINT=silent_endpoint)
        storage_secret(api_server, namespace, s3_server, bucket)
        for number in range(40):
            taxonomy(api_server, slow, f"slow-{number}")
        with OperatorProcess(tmp_path, api_server.kubeconfig, *flags) as operator:
            operator.wait_ready()
            wait_for("calls of the silent store", 120, lambda: operator.metric("sdg_operator_queue_in_work") > 3)
            taxonomy(api_server, namespace, "quick")
            # One call of the silent store takes 10 s and more.
            wait_for("a Job", 9, lambda: bool(get(api_server, "jobs", namespace)["items"]), interval=0.1)
    finally:
        api_server.kubectl("delete", "namespace", slow, "--wait=false")


@pytest.mark.deep
def test_three_namespaces_of_silent_stores_hold_up_no_run_of_a_fourth(
    api_server: ApiAccess,
    namespace: str,
    tmp_path: Path,
    s3_server: S3Access,
    s3_client: S3Client,
    bucket: str,
    silent_endpoint: str,
) -> None:
    digest = ready_for_runs(api_server, namespace, s3_server, s3_client, bucket, tmp_path)
    slow = [f"{namespace}-slow-{number}" for number in range(3)]
    for one in slow:
        api_server.kubectl("create", "namespace", one)
    try:
        for one in slow:
            storage_secret(api_server, one, s3_server, bucket, AWS_S3_ENDPOINT=silent_endpoint)
            for number in range(10):
                taxonomy(api_server, one, f"slow-{number}")
        flags = [f"--namespace={one}" for one in (namespace, *slow)]
        with OperatorProcess(tmp_path, api_server.kubeconfig, *flags) as operator:
            operator.wait_ready()
            wait_for("calls of the silent store", 120, lambda: operator.metric("sdg_operator_queue_in_work") > 12)
            body = run("quick", digest)
            apply(api_server, body | {"metadata": {"name": "quick", "namespace": namespace}})
            wait_for("a Job", 60, lambda: bool(generate_jobs(api_server, namespace)), interval=0.1)
        (made,) = (_made(item) for item in get(api_server, "datagenerations", namespace)["items"])
        selector = f"--selector={ROLE_LABEL}=generate"
        (job,) = (_made(item) for item in get(api_server, "jobs", namespace, selector)["items"])
        assert (job - made).total_seconds() <= 8, "one call of a silent store takes 10 s and more"
    finally:
        for one in slow:
            api_server.kubectl("delete", "namespace", one, "--wait=false")


def _made(item: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(item["metadata"]["creationTimestamp"])
