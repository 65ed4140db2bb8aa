"""What the administrator does not allow is refused already at apply, in words; everything else passes.

And it is what the operator itself refuses, no more and no less.
"""

import json
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed, wait_for
from hack.version import VERSION
from sdg_operator.api.datageneration import DataGenerationSpec
from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec
from sdg_operator.reconcile import resolve
from tests.integration.chart import asking
from tests.integration.chart.charting import find, render

VALUES: dict[str, Any] = {
    "fullnameOverride": "limits",
    "watchNamespaces": ["policy-limits"],
    "admissionPolicy": {"enabled": True},
    "settings": {
        "allowed": {
            "images": ["registry.example.com/ai/*", "vllm/vllm-openai:v0.1?"],
            "storageSecrets": ["sdg-storage", "team-bucket"],
            "gitSecrets": ["git-token"],
            "fields": ["teacher", "engine", "output", "generation", "pipeline", "placement", "storage"],
        }
    },
}

STRICT: dict[str, Any] = {
    "fullnameOverride": "stricter",
    "watchNamespaces": ["policy-strict"],
    "admissionPolicy": {"enabled": True},
    "settings": {
        "images": {"engine": "engine.example.com/own:1"},
        "allowed": {
            "images": ["registry-[ab1-3].example.com/*", "x/[!ab]*:1", "literal[1]", "open[end"],
            "storageSecrets": ["sdg-storage", "team-bucket"],
            "fields": ["output", "engine"],
        },
    },
}
"""Of another release, which serves a namespace of its own."""


RELEASES = (VALUES, STRICT)


def policies(values: dict[str, Any]) -> str:
    """The policies of the chart, and what binds them."""
    return yaml.safe_dump_all(o for o in render(values) if o["kind"].startswith("ValidatingAdmissionPolicy"))


@pytest.fixture(scope="module")
def limited(api_server: ApiAccess) -> Iterator[ApiAccess]:
    namespaces = [values["watchNamespaces"][0] for values in RELEASES]
    for namespace, values in zip(namespaces, RELEASES, strict=True):
        api_server.kubectl("create", "namespace", namespace)
        api_server.kubectl("create", "--filename=-", stdin=policies(values))
    # A policy works some moments after it is there; an object that it refuses tells.
    for namespace in namespaces:
        for kind, spec in (("DataGeneration", {"engine": {"image": "x"}}), ("Taxonomy", {"storageSecretName": "x"})):
            asked = partial(refusal, api_server, kind, spec, namespace=namespace)
            wait_for("the policies", 120, lambda asked=asked: "administrator of sdg-operator" in asked())  # type: ignore[misc]
    yield api_server
    for namespace, values in zip(namespaces, RELEASES, strict=True):
        api_server.kubectl("delete", "--wait=false", "--filename=-", stdin=policies(values))
        api_server.kubectl("delete", "namespace", namespace, "--wait=false")


BASE: dict[str, dict[str, Any]] = {
    "DataGeneration": {"taxonomyRef": {"name": "birds"}},
    "Taxonomy": {"source": {"bucket": {"key": "taxonomies/taxonomy.tar.gz"}}},
}


def refusal(server: ApiAccess, kind: str, spec: dict[str, Any], *, namespace: str = "policy-limits") -> str:
    """The API server's words of refusal; empty if it takes the object."""
    metadata = {"name": f"try-{secrets.token_hex(4)}", "namespace": namespace}
    spec = {**BASE[kind], **spec}
    return asking.refusal(
        server, {"apiVersion": "sdg-operator.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    )


def server(**more: Any) -> dict[str, Any]:
    return {"teacher": {"server": {"image": "vllm/vllm-openai:v0.11", "modelName": "m", **more}}}


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "nothing set": ("DataGeneration", {}, ""),
    "the default engine by name": ("DataGeneration", {"engine": {"image": f"sdg-engine:{VERSION}"}}, ""),
    "an image below an allowed path": ("DataGeneration", {"engine": {"image": "registry.example.com/ai/e:2"}}, ""),
    "an image beside it": ("DataGeneration", {"engine": {"image": "registry.example.com/air/e:2"}}, "allowed ones"),
    "a dot is no wildcard": ("DataGeneration", {"engine": {"image": "registryXexample.com/ai/e"}}, "allowed ones"),
    "an allowed name in a longer one": ("DataGeneration", {"engine": {"image": "x/sdg-engine:1"}}, "allowed ones"),
    "an allowed server": ("DataGeneration", server(), ""),
    "a server of another version": (
        "DataGeneration", {"teacher": {"server": {"image": "vllm/vllm-openai:v0.2", "modelName": "m"}}}, "allowed ones",
    ),
    "weights from an image that is not allowed": (
        "DataGeneration", server(model={"image": "weights:1"}), "allowed ones",
    ),
    "weights from an allowed image": ("DataGeneration", server(model={"image": "registry.example.com/ai/w:1"}), ""),
    "a hub's Secret": (
        "DataGeneration", server(model={"hub": {"name": "m", "tokenSecretName": "mine"}}), "tokenSecretName",
    ),
    "an allowed bucket": ("DataGeneration", {"output": {"secretName": "team-bucket"}}, ""),
    "another bucket": ("DataGeneration", {"output": {"secretName": "root-bucket"}}, "one of sdg-storage, team-bucket"),
    "another teacher": ("DataGeneration", {"teacher": {"secretName": "mine"}}, "spec.teacher.secretName must be"),
    "a field that is not to be set": ("DataGeneration", {"parallelism": 8}, "the group parallelism"),
    "a deadline, likewise": ("DataGeneration", {"activeDeadlineSeconds": 60}, "the group deadlines"),
    "a taxonomy's own bucket": ("Taxonomy", {"storageSecretName": "team-bucket"}, ""),
    "a taxonomy's other bucket": ("Taxonomy", {"storageSecretName": "root-bucket"}, "spec.storageSecretName must be"),
    "a Git Secret": (
        "Taxonomy", {"credentials": [{"urlPrefix": "https://git.example.com/", "secretName": "git-token"}]}, "",
    ),
    "another Secret for Git": (
        "Taxonomy", {"credentials": [{"urlPrefix": "https://git.example.com/", "secretName": "sdg-teacher"}]}, "Git Se",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "said"), CASES.values(), ids=CASES)
def test_limits_at_apply(limited: ApiAccess, kind: str, spec: dict[str, Any], said: str) -> None:
    answer = refusal(limited, kind, spec)
    if said:
        assert said in answer
        assert "the administrator of sdg-operator can change that" in answer
    else:
        assert answer == ""


def test_a_taxonomy_that_was_allowed_once_may_still_be_labelled(api_server: ApiAccess, namespace: str) -> None:
    """And checked again, by its annotation; but not be changed."""
    values = {**STRICT, "fullnameOverride": "tightened", "watchNamespaces": [namespace]}
    body = {"apiVersion": "sdg-operator.io/v1alpha1", "kind": "Taxonomy", "metadata": {"name": "old"}}
    spec = {**BASE["Taxonomy"], "storageSecretName": "root-bucket"}
    here = f"--namespace={namespace}"
    api_server.kubectl("create", here, "--filename=-", stdin=json.dumps({**body, "spec": spec}))
    api_server.kubectl("create", "--filename=-", stdin=policies(values))
    wait_for("the policy", 120, lambda: bool(refusal(api_server, "Taxonomy", spec, namespace=namespace)))
    api_server.kubectl("annotate", here, "taxonomy", "old", "sdg-operator.io/check-requested=now")
    patch = {"spec": {"source": {"bucket": {"key": "another.tar.gz"}}}}
    with pytest.raises(StepFailed, match=r"storageSecretName must be one of"):
        api_server.kubectl("patch", here, "taxonomy", "old", "--type=merge", "--patch", json.dumps(patch))
    api_server.kubectl("delete", "--wait=false", "--filename=-", stdin=policies(values))


MORE: list[tuple[str, dict[str, Any]]] = [
    ("DataGeneration", {"output": {"prefix": "elsewhere"}}),
    ("DataGeneration", {"output": {"secretName": "sdg-storage"}}),
    ("DataGeneration", {"placement": {}}),
    ("DataGeneration", {"placement": {"tolerations": [], "labels": {}}}),
    ("DataGeneration", {"placement": {"nodeSelector": {"disk": "fast"}}}),
    ("DataGeneration", {"placement": {"priorityClassName": "low"}}),
    ("DataGeneration", {"placement": {"labels": {"team": "birds"}}}),
    ("DataGeneration", {"placement": {"labels": {"kueue.x-k8s.io/priority-class": "high"}}}),
    ("DataGeneration", {"placement": {"annotations": {"a.kubernetes.io/b": "c"}}}),
    ("DataGeneration", {"placement": {"annotations": {"akubernetes.io/b": "c"}}}),
    ("DataGeneration", {"startDeadlineSeconds": 60}),
    ("DataGeneration", {"teacher": {"secretName": "sdg-teacher"}}),
    ("DataGeneration", {"pipeline": {"name": "simple"}}),
    ("DataGeneration", {"generation": {"scaleFactor": 2}}),
    ("Taxonomy", {}),
    *(
        ("DataGeneration", {"engine": {"image": image}})
        for image in (
            "registry-a.example.com/x:1",
            "registry-2.example.com/x:1",
            "registry-4.example.com/x:1",
            "registry-ab.example.com/x:1",
            "registry-[ab1-3].example.com/x:1",
            "x/c:1",
            "x/a:1",
            "x/:1",
            "literal1",
            "openend",
            "engine.example.com/own:1",
        )
    ),
]
ALIKE = [*((kind, spec) for kind, spec, _ in CASES.values()), *MORE]


@pytest.mark.parametrize(
    ("namespace", "values"), [("policy-limits", VALUES), ("policy-strict", STRICT)], ids=["limits", "stricter"]
)
def test_the_api_server_refuses_what_the_operator_refuses(
    limited: ApiAccess, namespace: str, values: dict[str, Any]
) -> None:
    """The real policy against the operator's own decision, on the same specs and by the same values of the chart."""
    rendered = find(render(values), "ConfigMap")["data"]["settings.yaml"]
    settings = Settings.model_validate(yaml.safe_load(rendered))

    def operators(kind: str, spec: dict[str, Any]) -> bool:
        if kind == "Taxonomy":
            return resolve.taxonomy_refusal(TaxonomySpec.model_validate(BASE[kind] | spec), settings) is not None
        return resolve.refusal(DataGenerationSpec.model_validate(BASE[kind] | spec), settings) is not None

    differing = [
        (kind, spec, answer)
        for kind, spec in ALIKE
        if bool(answer := refusal(limited, kind, spec, namespace=namespace)) != operators(kind, spec)
    ]
    assert differing == []
