"""Why a run waits: every cause is made for real, all at once in one namespace, and said in the cluster's own words."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from hack.cluster.steps import run
from hack.cluster.tools import tool
from tests.e2e.place import Place, operating, why

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600, func_only=True)]

EMPTY = "localhost/sdg-empty:1"
_NO_DIGEST = f"sha256:{'0' * 64}"
_SECRETS = ["sdg-teacher", "sdg-absent", "sdg-half"]
_STORES = ["sdg-storage", "sdg-wrong", "sdg-away"]


def served(place: Place, **changes: Any) -> dict[str, Any]:
    return {"teacher": {"server": {"image": place.images["sdg-teacher-scripted"], "modelName": "teacher", **changes}}}


def causes(place: Place) -> dict[str, tuple[dict[str, Any], str, str]]:
    """Name of a run → what is unusual about its spec, the reason it must give, and a part of its message."""
    no_node = {"placement": {"nodeSelector": {"disk": "none"}}}
    return {
        "no-taxonomy": ({"taxonomyRef": {"name": "other"}}, "TaxonomyNotFound", "Taxonomy other does not exist"),
        "broken": ({"taxonomyRef": {"name": "broken"}}, "TaxonomyNotReady", "qna.yaml"),
        "no-snapshot": (
            {"taxonomyRef": {"name": "lists", "digest": _NO_DIGEST}},
            "SnapshotNotFound",
            _NO_DIGEST[:20],
        ),
        "no-source": ({"dataSources": [{"dataGeneration": "none"}]}, "SourceNotFound", "DataGeneration none"),
        "early": ({"dataSources": [{"dataGeneration": "broken"}]}, "SourceNotReady", "broken"),
        "no-reuse": ({"reuse": {"name": "none"}}, "ReuseNotFound", "DataGeneration none"),
        "no-secret": ({"teacher": {"secretName": "sdg-absent"}}, "SecretNotFound", "sdg-absent"),
        "half-secret": ({"teacher": {"secretName": "sdg-half"}}, "SecretIncomplete", "model_name"),
        "no-config": ({"pipeline": {"configMapName": "none"}}, "ConfigMapNotFound", "ConfigMap none"),
        "wrong-key": ({"output": {"secretName": "sdg-wrong"}}, "InvalidCredentials", "sdg-wrong"),
        "no-store": ({"output": {"secretName": "sdg-away"}}, "StorageUnavailable", "sdg-away"),
        "gpus": ({"engine": {"resources": {"limits": {"nvidia.com/gpu": "64"}}}}, "Unschedulable", "nvidia.com/gpu"),
        "no-node": (no_node, "Unschedulable", "affinity/selector"),
        "no-claim": (served(place, model={"pvc": "none"}), "Unschedulable", '"none" not found'),
        "no-image": ({"engine": {"image": "localhost/none:1"}}, "ImagePull", "engine"),
        "no-command": ({"engine": {"image": EMPTY}}, "ContainerStart", "engine"),
        "as-root": ({"engine": {"image": _proxy_image(place)}}, "ContainerConfig", "run as root"),
        "no-folder": (served(place, model={"pvc": "folder"}), "VolumeMount", "hostPath type check failed"),
        "no-program": (served(place, command=["/none"]), "TeacherCrashLooping", "/none"),
        "loading": (served(place, healthPath="/none"), "TeacherLoading", "loading its model"),
        "forbidden": ({}, "AdmissionRefused", "no jobs of this name here"),
        "no-pods": ({}, "AdmissionRefused", "no pods of this name here"),
        "by-hand": (no_node, "JobSuspended", "not by this operator"),
        "by-user": ({"suspend": True}, "Suspended", "before it was started"),
    }


def _proxy_image(place: Place) -> str:
    """An image that every node has and that runs as root."""
    found = place.cluster.kubectl("-n", "kube-system", "get", "daemonset", "kube-proxy", "--output=json")
    image: str = json.loads(found)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


@pytest.fixture(scope="module")
def empty_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An image with nothing to start in it, on each node."""
    engine, folder = ensure(), tmp_path_factory.mktemp("empty")
    (folder / "file").touch()
    engine.import_folder(folder, EMPTY, ["--change", "USER 1000"])
    run([tool("kind"), "load", "docker-image", EMPTY, "--name", cluster.name], env=engine.env)


@pytest.fixture
def troubled(place: Place, empty_image: None) -> Iterator[Place]:
    """The place with what the causes need; taken away again where it is not in the namespace."""
    incomplete = place.teacher_secret()
    del incomplete["stringData"]["model_name"]
    incomplete["metadata"]["name"] = "sdg-half"
    wrong, away = (
        place.storage_secret(AWS_SECRET_ACCESS_KEY="wrong"),
        place.storage_secret(AWS_S3_ENDPOINT=f"http://{place.cluster.node_address()}:1"),
    )
    wrong["metadata"]["name"], away["metadata"]["name"] = "sdg-wrong", "sdg-away"
    outside = [*_policy(place, "jobs", "forbidden"), *_policy(place, "pods", "no-pods"), _volume(place)]
    place.apply(incomplete, wrong, away, _claim(place), *outside)
    yield place
    for body in outside:
        place.kubectl("delete", body["kind"], body["metadata"]["name"], "--wait=false")


def _policy(place: Place, resource: str, run: str) -> list[dict[str, Any]]:
    """An administrator's policy against these children of one run."""
    name = f"{place.namespace}-{resource}"
    api = "admissionregistration.k8s.io/v1"
    group = {"jobs": "batch", "pods": ""}[resource]
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    label = "sdg-operator.io/name"
    of_run = f"!('{label}' in object.metadata.labels) || object.metadata.labels['{label}'] != '{run}'"
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": of_run, "message": f"no {resource} of this name here"}],
    }
    bind = {"policyName": name, "validationActions": ["Deny"]}
    return [
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": policy},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": bind},
    ]


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


def test_every_cause_is_told(troubled: Place, subtests: pytest.Subtests) -> None:
    place = troubled
    images = {"images": ["localhost/*", _proxy_image(place)]}
    with operating(place, allowed={**images, "teacherSecrets": _SECRETS, "storageSecrets": _STORES}):
        place.taxonomy()
        place.taxonomy("broken", broken=True)
        table = causes(place)
        for name, (spec, _, _) in table.items():
            place.run(name, **spec)
        place.until_reason("Unschedulable", "by-hand")
        [job] = place.all("jobs", "sdg-operator.io/name=by-hand,sdg-operator.io/role=generate")
        place.kubectl("patch", "job", job["metadata"]["name"], '--patch={"spec":{"suspend":true}}')
        for name, (_, reason, words) in table.items():
            with subtests.test(reason, run=name):
                status = place.until_reason(reason, name)
                assert words in status["message"]
                assert status["state"] == "queued"
                assert why(status) == reason
