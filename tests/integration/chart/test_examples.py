"""Every example, and every object that a document shows, is taken by a real API server to the letter."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.generate.chart import CHART, ROOT
from tests.integration.chart.charting import container, render

# Taxonomies, kustomize's own file and kube-state-metrics' settings are no objects of the API; of the last, see
# tests/unit/controller/test_metrics.py.
NO_OBJECTS = ("qna.yaml", "kustomization.yaml", "custom-resource-state.yaml")
NAMESPACES = ("argocd", "flux-system")
FILES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if path.name not in NO_OBJECTS)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SHOWN = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL))
]


@pytest.fixture(scope="module")
def kinds(foreign_kinds: ApiAccess) -> ApiAccess:
    wanted = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    foreign_kinds.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    return foreign_kinds


def take(server: ApiAccess, objects: list[dict[str, Any]]) -> None:
    text = yaml.safe_dump_all(objects)
    said = server.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text)
    assert len(said.splitlines()) == len(objects) > 0


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT / "examples")) for file in FILES])
def test_an_example_is_taken(kinds: ApiAccess, file: Path) -> None:
    take(kinds, list(yaml.safe_load_all(file.read_text())))


def values_of_examples() -> dict[str, dict[str, Any]]:
    """What the examples give the chart, by Argo CD and by Flux."""
    argo = yaml.safe_load((ROOT / "examples" / "argocd" / "operator.yaml").read_text())
    source, release = yaml.safe_load_all((ROOT / "examples" / "flux" / "operator.yaml").read_text())
    assert source["kind"] == release["spec"]["chart"]["spec"]["sourceRef"]["kind"]
    paths = (argo["spec"]["source"]["path"], release["spec"]["chart"]["spec"]["chart"])
    assert {(ROOT / path).resolve() for path in paths} == {CHART}
    return {"argocd": argo["spec"]["source"]["helm"]["valuesObject"], "flux": release["spec"]["values"]}


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_the_values_of_an_example_are_those_of_the_chart(tool: str) -> None:
    objects = render(values_of_examples()[tool])
    assert container(objects)["image"].startswith("registry.example.com/ai/sdg-operator:")


def test_the_keys_for_argo_cd_are_merged_as_their_file_says(kinds: ApiAccess) -> None:
    file = ROOT / "examples" / "argocd" / "argocd-cm.yaml"
    said = re.findall(r"^#   kubectl (patch .+)$", file.read_text(), flags=re.MULTILINE)
    kinds.kubectl(
        "create", "configmap", "argocd-cm", "--namespace=argocd", "--from-literal=url=https://argocd.example.com"
    )
    for command in said:
        kinds.kubectl(*command.replace("examples/", f"{ROOT}/examples/").split())
    merged = yaml.safe_load(kinds.kubectl("get", "configmap", "argocd-cm", "--namespace=argocd", "--output=yaml"))
    assert merged["data"] == yaml.safe_load(file.read_text())["data"] | {"url": "https://argocd.example.com"}


def test_the_quickstart_is_applied_as_a_folder(kinds: ApiAccess) -> None:
    said = kinds.kubectl("apply", "--dry-run=server", "--filename", str(ROOT / "examples" / "quickstart"))
    assert len(said.splitlines()) == 2


def test_the_teams_folder_is_a_kustomization(kinds: ApiAccess) -> None:
    said = kinds.kubectl("apply", "--dry-run=server", "--kustomize", str(ROOT / "examples" / "gitops"))
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("block", SHOWN)
def test_what_a_document_shows_is_taken(kinds: ApiAccess, block: str) -> None:
    for number, shown in enumerate(yaml.safe_load_all(block)):
        if not isinstance(shown, dict) or "spec" not in shown:
            continue
        kind = shown.get("kind", "Taxonomy" if "source" in shown["spec"] else "DataGeneration")
        if kind in ("Taxonomy", "DataGeneration"):
            base = {"apiVersion": "sdg-operator.io/v1alpha1", "kind": kind}
            metadata = {"name": f"shown-{number}", "namespace": "default"}
            take(kinds, [{**base, "metadata": metadata, "spec": shown["spec"]}])


def test_the_network_policies_are_for_the_pods_of_runs() -> None:
    """By the labels of the pods that the operator makes."""
    policies = list(yaml.safe_load_all((ROOT / "examples" / "network-policy" / "runs.yaml").read_text()))
    made = [yaml.safe_load(file.read_text()) for file in (ROOT / "tests" / "golden" / "jobs").glob("*.yaml")]
    pods = [each["spec"]["template"] for each in made if each["kind"] == "Job"]
    roles = {pod["metadata"]["labels"]["sdg-operator.io/role"] for pod in pods}
    closed, *opened = [policy["spec"]["podSelector"] for policy in policies]
    assert set(closed["matchExpressions"][0]["values"]) == roles
    assert {selector["matchLabels"]["sdg-operator.io/role"] for selector in opened} == roles
