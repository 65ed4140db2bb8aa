"""Two replicas: one works, and the other takes over within seconds when it is killed."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from hack.cluster.steps import wait_for
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

pytestmark = pytest.mark.deep  # it measures how long a change of leaders takes


@pytest.fixture
def replicas(api_server: ApiAccess, namespace: str, tmp_path: Path) -> Iterator[list[OperatorProcess]]:
    """Two operators that share a Lease in the test's namespace, and serve that namespace alone."""
    flags = ["--leader-elect", f"--lease-namespace={namespace}", f"--namespace={namespace}"]
    pair = [OperatorProcess(tmp_path, api_server.kubeconfig, *flags, name=name) for name in ("one", "two")]
    with pair[0], pair[1]:
        yield pair


def leader_of(server: ApiAccess, namespace: str) -> str:
    path = "jsonpath={.spec.holderIdentity}"
    return server.kubectl(
        "get", "lease", "sdg-operator", "--namespace", namespace, "--output", path, "--ignore-not-found"
    )


def test_a_killed_leader_is_replaced_within_twenty_seconds_and_no_check_runs_twice(
    api_server: ApiAccess,
    namespace: str,
    replicas: list[OperatorProcess],
    s3_server: S3Access,
    s3_client: S3Client,
    bucket: str,
) -> None:
    s3_client.put_object(Bucket=bucket, Key="taxonomies/taxonomy.tar.gz", Body=b"any")
    storage_secret(api_server, namespace, s3_server, bucket)
    wait_for("a leader", 40, lambda: leader_of(api_server, namespace) != "")
    first = leader_of(api_server, namespace)
    leader, follower = sorted(replicas, key=lambda replica: replica.log.stem != first)
    follower.wait_ready()
    leader.wait_ready()
    taxonomy(api_server, namespace, "before")
    wait_for("the leader's work", 20, lambda: jobs_of(api_server, namespace) == ["before"])

    leader.kill()
    killed = time.monotonic()
    taxonomy(api_server, namespace, "after")
    wait_for("the follower to lead", 40, lambda: leader_of(api_server, namespace) == follower.log.stem)
    took = time.monotonic() - killed
    wait_for("the follower's work", 60, lambda: jobs_of(api_server, namespace) == ["after", "before"])

    assert took < 20, f"taken over after {took:.1f} s"
    leader.start()
    leader.wait_ready()
    wait_for("the old leader to stand by", 20, lambda: "standing by" in leader.text())
    assert jobs_of(api_server, namespace) == ["after", "before"], "one Job for each check"


def test_runs_that_a_killed_leader_had_begun_are_taken_over_and_none_has_two_jobs(
    api_server: ApiAccess,
    namespace: str,
    replicas: list[OperatorProcess],
    s3_server: S3Access,
    s3_client: S3Client,
    bucket: str,
    tmp_path: Path,
) -> None:
    digest = ready_for_runs(api_server, namespace, s3_server, s3_client, bucket, tmp_path)
    wait_for("a leader", 40, lambda: leader_of(api_server, namespace) != "")
    for replica in replicas:
        replica.wait_ready()
    first = leader_of(api_server, namespace)
    leader, follower = sorted(replicas, key=lambda replica: replica.log.stem != first)
    metas = [{"name": f"r{number}", "namespace": namespace} for number in range(8)]
    crowd = [run(meta["name"], digest) | {"metadata": meta} for meta in metas]
    apply(api_server, {"apiVersion": "v1", "kind": "List", "items": crowd})
    leader.kill()  # meets them in various steps of their start
    killed = time.monotonic()
    apply(api_server, run("late", digest) | {"metadata": {"name": "late", "namespace": namespace}})
    wait_for("the follower to lead", 40, lambda: leader_of(api_server, namespace) == follower.log.stem)
    assert time.monotonic() - killed < 20
    wait_for("a Job of each run", 60, lambda: len(generate_jobs(api_server, namespace)) >= 9)
    before = generate_jobs(api_server, namespace)
    leader.start()
    leader.wait_ready()
    wait_for("the old leader to stand by", 20, lambda: leader.text().count("standing by") > 0)
    assert generate_jobs(api_server, namespace) == before
    assert [name.rpartition("-generate-")[2] for name in before] == ["1"] * 9
    assert len({name.partition("-")[0] for name in before}) == 9


def test_the_lease_goes_with_the_pod_that_leads(api_server: ApiAccess, namespace: str, tmp_path: Path) -> None:
    """After an uninstall, say: the chart does not know the Lease."""
    api_server.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", namespace, "--timeout=120s")
    spec = {"containers": [{"name": "c", "image": "none.example/none:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": namespace}, "spec": spec}
    apply(api_server, pod)
    uid = get(api_server, "pods", namespace)["items"][0]["metadata"]["uid"]
    flags = ["--leader-elect", f"--lease-namespace={namespace}", f"--namespace={namespace}"]
    env = {"POD_UID": uid, "POD_NAMESPACE": namespace}
    with OperatorProcess(tmp_path, api_server.kubeconfig, *flags, name="one", env=env) as operator:
        operator.wait_ready()
        wait_for("a leader", 40, lambda: leader_of(api_server, namespace) == "one")
    assert get(api_server, "leases", namespace)["items"], "ending does not take it away: another may go on"
    api_server.kubectl("delete", "pod", "one", "--namespace", namespace, "--now")
    wait_for("the Lease to go", 60, lambda: not get(api_server, "leases", namespace)["items"])


def test_a_leader_that_is_asked_to_end_hands_over_at_once(
    api_server: ApiAccess, namespace: str, replicas: list[OperatorProcess]
) -> None:
    for replica in replicas:
        replica.wait_ready()
    wait_for("a leader", 40, lambda: leader_of(api_server, namespace) != "")
    first = leader_of(api_server, namespace)
    leader, follower = sorted(replicas, key=lambda replica: replica.log.stem != first)
    began = time.monotonic()
    leader.stop()
    ended = time.monotonic() - began
    wait_for("the follower to lead", 9, lambda: leader_of(api_server, namespace) == follower.log.stem, interval=0.1)
    assert ended < 10, f"SIGTERM took {ended:.1f} s"
    assert "Traceback" not in leader.text()


def test_a_leader_that_is_cut_off_from_the_lease_ends_itself_before_another_begins(
    api_server: ApiAccess, namespace: str, tmp_path: Path
) -> None:
    flags = ["--leader-elect", f"--lease-namespace={namespace}", f"--namespace={namespace}"]
    with OperatorProcess(tmp_path, api_server.kubeconfig, *flags, name="usurped") as operator:
        operator.wait_ready()
        wait_for("a leader", 40, lambda: leader_of(api_server, namespace) == "usurped")
        patch = json.dumps({"spec": {"holderIdentity": "somebody-else"}})
        api_server.kubectl("patch", "lease", "sdg-operator", "--namespace", namespace, "--type=merge", "--patch", patch)
        wait_for("the end of the process", 10, _not(lambda: operator.alive))
        assert "somebody-else leads now" in operator.text()


def _not(check: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: not check()


def jobs_of(server: ApiAccess, namespace: str) -> list[str]:
    """Names of the owners of all Jobs, one for each Job."""
    path = r'jsonpath={range .items[*]}{.metadata.labels.sdg-operator\.io/name}{"\n"}{end}'
    return sorted(server.kubectl("get", "jobs", "--namespace", namespace, "--output", path).split())
