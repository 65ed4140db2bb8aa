"""What a run is made from was frozen with it: whatever changes in mid-run, the next attempt is as the first."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.steps import wait_for
from sdg_operator.api.settings import Defaults
from tests.e2e.operator import Operator
from tests.e2e.place import Place

_CRD = "datagenerations.sdg-operator.io"
_OTHER = {
    "storageSecret": "sdg-away",
    "teacherSecret": "sdg-absent",
    "prefix": "elsewhere",
    "pipeline": "full",
    "scaleFactor": 9,
    "batchSize": 2,
    "maxConcurrency": 7,
    "maxTokens": 999,
    "modelFamily": "granite",
    "parallelism": 3,
    **{f"{role}Resources": {"limits": {"memory": "3Gi"}} for role in ("engine", "mix", "runner")},
    "placement": {"labels": {"other": "yes"}},
    "maxFailedLeaves": 5,
    "maxFruitlessAttempts": 9,
    "startDeadlineSeconds": 999,
    "activeDeadlineSeconds": 9999,
    "teacherPatienceSeconds": 99,
}
"""Another value for each default."""
_IN_CRD = {"maxTokens": 777, "maxConcurrency": 3}
"""Defaults of `spec.generation`: the API server puts them into every run that it reads, however old."""


def own_pipeline() -> dict[str, str]:
    """The library's simple pipeline as a ConfigMap's data: its prompts beside it instead of in folders above it."""
    found = importlib.util.find_spec("instructlab.sdg")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "pipelines" / "simple"
    flows = {file.name: file.read_text() for file in folder.glob("*.yaml")}
    paths = {path for text in flows.values() for path in re.findall(r"\.\./\.\./configs/\S+\.yaml", text)}
    prompts = {Path(path).name: (folder / path).resolve().read_text() for path in paths}
    return {name: re.sub(r"\.\./\.\./configs/\w+/", "", text) for name, text in flows.items()} | prompts


@pytest.fixture
def mended(operator: Operator) -> Iterator[None]:
    """Puts the settings and the CRD back as they were: both are the chart's."""
    before = read_crd(operator)["spec"]
    yield
    operator.install()
    assert read_crd(operator)["spec"] == before


def read_crd(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(operator.cluster.kubectl("get", "crd", _CRD, "--output=json"))
    return found


def change_crd(operator: Operator) -> None:
    """Give fields that the run has left to the administrator's defaults one of their own."""
    crd = read_crd(operator)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for name, value in _IN_CRD.items():
        spec["properties"]["generation"]["properties"][name]["default"] = value
    meta = {key: crd["metadata"][key] for key in ("name", "labels", "annotations")}
    body = {key: crd[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": meta}
    # As Helm: it takes back nothing that somebody else has changed.
    ours = ["--server-side", "--field-manager=helm", "--force-conflicts"]
    operator.cluster.kubectl("apply", *ours, "--filename=-", stdin=json.dumps(body))


def attempts(place: Place) -> dict[int, str]:
    """Number → what was asked of the cluster for each generate attempt that is there, without its number."""
    found = {}
    for job in place.all("jobs", "sdg-operator.io/role=generate"):
        number = job["metadata"]["labels"]["sdg-operator.io/attempt"]
        spec = job["spec"]
        template = spec["template"]
        for label in ("batch.kubernetes.io/controller-uid", "controller-uid"):
            template["metadata"]["labels"].pop(label, None)
        text = json.dumps([spec["completions"], spec["parallelism"], template], sort_keys=True)
        name = job["metadata"]["name"]
        text = text.replace(f'"{name}"', '"JOB"').replace(f"--attempt={number}", "--attempt=N")
        found[int(number)] = text.replace(f'"sdg-operator.io/attempt": "{number}"', '"attempt": "N"')
    return found


def test_nothing_that_is_changed_in_mid_run_changes_the_run(mended: None, place: Place, operator: Operator) -> None:
    assert _OTHER.keys() == Defaults.model_json_schema(by_alias=True)["properties"].keys(), "every default is changed"
    place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": own_pipeline()})
    place.hold(1, 2)
    place.begin(leaves=3, pipeline={"configMapName": "flows"})
    frozen, inputs, first = place.status()["resolved"], place.read(place.layout().inputs), attempts(place)[1]
    place.kubectl("patch", "configmap", "flows", f"--patch={json.dumps({'data': {'freeform_skills.yaml': 'x'}})}")
    place.apply(place.teacher_secret(model_name="other"))
    operator.install(defaults=_OTHER, images={"engine": "localhost/none:2", "runner": "localhost/none:2"})
    change_crd(operator)
    wait_for(
        "the CRD's defaults in the run, as the API server gives it",
        60,
        lambda: place.get("datagenerations", "run")["spec"]["generation"].items() >= _IN_CRD.items(),
    )
    place.kubectl("delete", "jobs", "--selector=sdg-operator.io/role=generate")
    place.until_attempt(2)
    place.until("made", lambda _: 2 in attempts(place))
    assert attempts(place)[2] == first
    place.release()
    status = place.until_completed(leaves=3)
    assert status["attempt"]["number"] == 2
    assert status["resolved"] == frozen
    assert place.read(place.layout().inputs) == inputs
