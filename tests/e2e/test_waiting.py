"""Why a run waits: every cause is made for real, all at once in one namespace, and said in the cluster's own words."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster.cluster import Cluster
from tests.e2e.operator import Operator
from tests.e2e.ownimages import empty_image
from tests.e2e.place import Place, why
from tests.e2e.policies import denying, enforce

_NO_DIGEST = f"sha256:{'0' * 64}"


def served(place: Place, **changes: Any) -> dict[str, Any]:
    return {"teacher": place.served_teacher(**changes)}


def causes(place: Place, root_image: str, no_command: str) -> dict[str, tuple[dict[str, Any], str, str]]:
    """Name of a run → what is unusual about its spec, the reason it must give, and a part of its message."""
    no_node = {"placement": {"nodeSelector": {"disk": "none"}}}
    lost = {"taxonomyRef": {"name": "lists", "digest": _NO_DIGEST}}
    gpus = {"engine": {"resources": {"limits": {"nvidia.com/gpu": "64"}}}}
    return {
        "no-taxonomy": ({"taxonomyRef": {"name": "other"}}, "TaxonomyNotFound", "Taxonomy other does not exist"),
        "broken": ({"taxonomyRef": {"name": "broken"}}, "TaxonomyNotReady", "qna.yaml"),
        "no-snapshot": (lost, "SnapshotNotFound", _NO_DIGEST[:20]),
        "no-source": ({"dataSources": [{"dataGeneration": "none"}]}, "SourceNotFound", "DataGeneration none"),
        "early": ({"dataSources": [{"dataGeneration": "broken"}]}, "SourceNotReady", "broken"),
        "no-reuse": ({"reuse": {"name": "none"}}, "ReuseNotFound", "DataGeneration none"),
        "no-secret": ({"teacher": {"secretName": "sdg-absent"}}, "SecretNotFound", "sdg-absent"),
        "half-secret": ({"teacher": {"secretName": "sdg-half"}}, "SecretIncomplete", "model_name"),
        "no-config": ({"pipeline": {"configMapName": "none"}}, "ConfigMapNotFound", "ConfigMap none"),
        "wrong-key": ({"output": {"secretName": "sdg-wrong"}}, "InvalidCredentials", "sdg-wrong"),
        "no-bucket": ({"output": {"secretName": "sdg-no-bucket"}}, "BucketNotFound", "no-such-bucket"),
        "no-store": ({"output": {"secretName": "sdg-away"}}, "StorageUnavailable", "sdg-away"),
        "gpus": (gpus, "Unschedulable", "nvidia.com/gpu"),
        "no-node": (no_node, "Unschedulable", "affinity/selector"),
        "no-claim": (served(place, model={"pvc": "none"}), "Unschedulable", '"none" not found'),
        "no-image": ({"engine": {"image": "localhost/none:1"}}, "ImagePull", "engine"),
        "no-command": ({"engine": {"image": no_command}}, "ContainerStart", "engine"),
        "as-root": ({"engine": {"image": root_image}}, "ContainerConfig", "run as root"),
        "no-folder": (served(place, model={"pvc": "folder"}), "VolumeMount", "hostPath type check failed"),
        "no-program": (served(place, command=["/none"]), "TeacherCrashLooping", "/none"),
        "loading": (served(place, healthPath="/none"), "TeacherLoading", "loading its model"),
        "forbidden": ({}, "AdmissionRefused", "no jobs of this name here"),
        "no-pods": ({}, "AdmissionRefused", "no pods of this name here"),
        "by-hand": (no_node, "JobSuspended", "not by this operator"),
        "by-user": ({"suspend": True}, "Suspended", "before it was started"),
    }


@pytest.fixture(scope="module")
def root_image(cluster: Cluster) -> str:
    """An image that every node has and that runs as root."""
    found = cluster.kubectl("-n", "kube-system", "get", "daemonset", "kube-proxy", "--output=json")
    image: str = json.loads(found)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


@pytest.fixture(scope="module")
def no_command(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    return empty_image(cluster, tmp_path_factory.mktemp("empty"))


@pytest.fixture
def allowing(operator: Operator, root_image: str) -> Iterator[None]:
    """The administrator allows what the causes name."""
    allowed = operator.values["settings"]["allowed"]
    more = {"images": [*allowed["images"], root_image], "storageSecrets": [*allowed["storageSecrets"], "sdg-no-bucket"]}
    operator.install(allowed={**allowed, **more})
    yield
    operator.install()


@pytest.fixture
def troubled(allowing: None, place: Place) -> Iterator[Place]:
    """The place with what the causes need; taken away again where it is not in the namespace."""
    incomplete = place.teacher_secret()
    del incomplete["stringData"]["model_name"]
    incomplete["metadata"]["name"] = "sdg-half"
    stores = {
        "sdg-wrong": place.storage_secret(AWS_SECRET_ACCESS_KEY="wrong"),
        "sdg-no-bucket": place.storage_secret(AWS_S3_BUCKET="no-such-bucket"),
        "sdg-away": place.storage_secret(AWS_S3_ENDPOINT=f"http://{place.cluster.node_address()}:1"),
    }
    for name, secret in stores.items():
        secret["metadata"]["name"] = name
    refused = {"jobs": "forbidden", "pods": "no-pods"}
    outside = [_volume(place)]
    place.apply(incomplete, *stores.values(), _claim(place), *outside)
    for resource, name in refused.items():
        denied = denying(place, resource, name)
        outside += denied
        enforce(place, denied, resource, name)
    yield place
    for body in outside:
        place.kubectl("delete", body["kind"], body["metadata"]["name"], "--wait=false")


def _volume(place: Place) -> dict[str, Any]:
    """A volume whose folder is on no node."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadOnlyMany"],
        "storageClassName": "",
        "hostPath": {"path": "/no/such/folder", "type": "Directory"},
        "claimRef": {"namespace": place.namespace, "name": "folder"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": place.namespace}, "spec": spec}


def _claim(place: Place) -> dict[str, Any]:
    spec = {
        "accessModes": ["ReadOnlyMany"],
        "storageClassName": "",
        "volumeName": place.namespace,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "folder"}, "spec": spec}


def test_every_cause_is_told(troubled: Place, root_image: str, no_command: str, subtests: pytest.Subtests) -> None:
    place = troubled
    place.taxonomy()
    place.taxonomy("broken", broken=True)
    table = causes(place, root_image, no_command)
    for name, (spec, _, _) in table.items():
        place.run(name, **spec)
    place.until_reason("Unschedulable", "by-hand")
    (job,) = place.all("jobs", "sdg-operator.io/name=by-hand,sdg-operator.io/role=generate")
    place.kubectl("patch", "job", job["metadata"]["name"], '--patch={"spec":{"suspend":true}}')
    for name, (_, reason, words) in table.items():
        with subtests.test(reason, run=name):
            status = place.until_reason(reason, name)
            assert words in status["message"]
            assert status["state"] == "queued"


@pytest.mark.faults
def test_what_was_waited_for_comes_and_the_runs_go_on(place: Place) -> None:
    place.taxonomy(leaves=1)
    place.kubectl("wait", "taxonomy/lists", "--for=condition=Ready", "--timeout=120s")
    place.kubectl("create", "quota", "none", "--hard=requests.cpu=0")
    place.run("full")
    place.run("secret", teacher={"secretName": "sdg-absent"})
    full = place.until_reason("QuotaExceeded", "full")
    assert "exceeded quota: none" in full["message"]
    secret = place.until_reason("SecretNotFound", "secret")
    assert "sdg-absent" in secret["message"]
    assert full["state"] == secret["state"] == "queued"
    named = place.teacher_secret()
    named["metadata"]["name"] = "sdg-absent"
    place.apply(named)
    place.kubectl("delete", "quota", "none")
    for name in ("full", "secret"):
        status = place.until_ended(name)
        assert status["state"] == "completed", status["message"]
        assert why(status) == "Completed"


@pytest.mark.faults
def test_what_no_waiting_can_cure_is_refused_at_once(place: Place) -> None:
    place.apply(place.teacher_secret(api_token="wrong"))
    place.taxonomy(leaves=1)
    place.run("image", engine={"image": "registry.example/none:1"})
    place.run("key")
    image = place.until_ended("image")
    assert (image["state"], image["failure"]["reason"]) == ("failed", "NotAllowed")
    assert "administrator" in image["message"]
    assert place.all("jobs", "sdg-operator.io/name=image") == []
    key = place.until_ended("key")
    assert (key["state"], key["failure"]["reason"]) == ("failed", "TeacherRefused")
    assert "401" in key["failure"]["message"]
    assert key["attempt"]["number"] == 1
