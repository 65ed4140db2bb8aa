"""Both kinds in the hands of kubectl: apply, explain, get and field selectors."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed, succeeds, wait_for
from hack.cluster.tools import tool
from hack.generate.crds import crd
from sdg_operator.api.kinds import KINDS, Kind

ROOT = Path(__file__).parents[3]
TAXONOMY = """
apiVersion: sdg-operator.io/v1alpha1
kind: Taxonomy
metadata: {name: birds}
spec:
  source: {git: {url: https://example.com/birds.git, ref: main}}
  credentials: [{urlPrefix: https://example.com/, secretName: one}]
"""
RUN = """
apiVersion: sdg-operator.io/v1alpha1
kind: DataGeneration
metadata: {name: birds-1}
spec: {taxonomyRef: {name: birds}, leaves: [knowledge/*]}
"""


class Kubectl(Protocol):
    """Runs kubectl in the test's namespace."""

    def __call__(self, *arguments: str, stdin: str | None = None) -> str: ...


@pytest.fixture
def kubectl(api_server: ApiAccess, namespace: str) -> Kubectl:
    """Run kubectl in the test's namespace."""

    def run(*arguments: str, stdin: str | None = None) -> str:
        return api_server.kubectl(f"--namespace={namespace}", *arguments, stdin=stdin)

    return run


@pytest.fixture
def explain(api_server: ApiAccess, kubectl: Kubectl) -> Callable[[str], str]:
    """Run kubectl explain, once the API server has published both kinds: a moment after they are established."""
    command: list[str | Path] = [tool("kubectl"), f"--kubeconfig={api_server.kubeconfig}", "explain"]
    for kind in KINDS:
        wait_for(f"{kind.plural} are published", 120, partial(succeeds, [*command, kind.plural]))
    return lambda path: kubectl("explain", path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_client_side_apply_has_room_for_the_crd(kind: Kind) -> None:
    """Client-side apply keeps a copy in an annotation, and all annotations together have 262,144 bytes."""
    document = yaml.safe_load((ROOT / "crds" / f"sdg-operator.io_{kind.plural}.yaml").read_text())
    assert len(json.dumps(document)) < 262_144 / 2


@pytest.mark.parametrize("how", [["apply"], ["apply", "--server-side"]], ids=["client-side", "server-side"])
def test_apply_twice_then_change(kubectl: Kubectl, how: list[str]) -> None:
    kubectl(*how, "-f-", stdin=TAXONOMY)
    kubectl(*how, "-f-", stdin=TAXONOMY)
    kubectl(*how, "-f-", stdin=TAXONOMY.replace("ref: main", "ref: next"))
    taxonomy = json.loads(kubectl("get", "tax", "birds", "-o", "json"))
    assert taxonomy["spec"]["source"]["git"]["ref"] == "next"
    assert taxonomy["metadata"]["generation"] == 2


@pytest.mark.parametrize("how", [["apply"], ["apply", "--server-side"]], ids=["client-side", "server-side"])
def test_applying_a_run_again_is_taken_and_a_change_is_explained(kubectl: Kubectl, how: list[str]) -> None:
    kubectl(*how, "-f-", stdin=RUN)
    kubectl(*how, "-f-", stdin=RUN)
    with pytest.raises(StepFailed, match=r"spec\.leaves: Forbidden: cannot be changed: a DataGeneration is one run"):
        kubectl(*how, "-f-", stdin=RUN.replace("knowledge/*", "knowledge/**"))


def test_two_appliers_share_a_list_of_credentials(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--field-manager=one", "-f-", stdin=TAXONOMY)
    second = yaml.safe_load(TAXONOMY)
    second["spec"]["credentials"] = [{"urlPrefix": "https://docs.example.com/", "secretName": "two"}]
    kubectl("apply", "--server-side", "--field-manager=two", "-f-", stdin=yaml.safe_dump(second))
    taxonomy = json.loads(kubectl("get", "tax", "birds", "-o", "json"))
    assert [item["secretName"] for item in taxonomy["spec"]["credentials"]] == ["one", "two"]


def test_two_appliers_of_one_field_conflict(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--field-manager=one", "-f-", stdin=TAXONOMY)
    with pytest.raises(StepFailed, match='conflict with "one"'):
        kubectl(
            "apply",
            "--server-side",
            "--field-manager=two",
            "-f-",
            stdin=TAXONOMY.replace("ref: main", "ref: next"),
        )


def _objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path of every object of a schema, with the descriptions of its fields."""
    properties = schema.get("properties", schema.get("items", {}).get("properties", {}))
    if properties:
        yield path, {name: child["description"] for name, child in properties.items()}
    for name, child in properties.items():
        yield from _objects(child, f"{path}.{name}")


def _explained(text: str) -> dict[str, str]:
    """Return the description of each field that ``kubectl explain`` lists."""
    _, *fields = re.split(r"^  (\w+)\t<.*$", text.partition("FIELDS:")[2], flags=re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in zip(fields[::2], fields[1::2], strict=True)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_explain_describes_every_field(explain: Callable[[str], str], kind: Kind) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    assert kind.description[:40] in explain(kind.plural)
    for part in ("spec", "status"):
        for path, described in _objects(properties[part], f"{kind.plural}.{part}"):
            said = _explained(explain(path))
            assert said.keys() == described.keys(), path
            for name, description in described.items():
                assert " ".join(description.split()) in said[name], f"{path}.{name}"


def test_explain_reads_well_deep_inside(explain: Callable[[str], str]) -> None:
    text = explain("dg.spec.teacher.server.model.pvc")
    assert "PersistentVolumeClaim, mounted read-only at /models." in text


def test_get_shows_state_progress_taxonomy_and_wide_the_message(kubectl: Kubectl) -> None:
    kubectl("apply", "-f-", stdin=RUN)
    status = {
        "status": {
            "state": "running",
            "message": "Generating data for taxonomy path knowledge->birds: 12% 12/100 (total qna processed 1/147)",
            "progress": {"percent": 12, "leaves": "1/147", "samples": 12},
            "attempt": {"number": 2},
        }
    }
    kubectl("patch", "dg", "birds-1", "--subresource=status", "--type=merge", "-p", json.dumps(status))

    head, row = kubectl("get", "dg").splitlines()[:2]
    assert head.split() == ["NAME", "STATE", "PERCENT", "LEAVES", "SAMPLES", "TAXONOMY", "AGE"]
    assert row.split()[:-1] == ["birds-1", "running", "12", "1/147", "12", "birds"]
    wide_head, wide_row = kubectl("get", "dg", "-o", "wide").splitlines()[:2]
    assert wide_head.split()[-2:] == ["ATTEMPT", "MESSAGE"]
    assert wide_row.endswith("(total qna processed 1/147)")


def test_get_shows_a_taxonomy_s_readiness(kubectl: Kubectl) -> None:
    kubectl("apply", "-f-", stdin=TAXONOMY)
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    status = {"status": {"state": "completed", "leaves": {"total": 3}, "conditions": [ready]}}
    kubectl("patch", "tax", "birds", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    head, row = kubectl("get", "tax").splitlines()[:2]
    assert head.split() == ["NAME", "READY", "STATE", "LEAVES", "CHECKED", "AGE"]
    assert row.split()[:4] == ["birds", "True", "completed", "3"]


def test_runs_are_found_by_state_and_all_kinds_by_category(kubectl: Kubectl) -> None:
    for name, state in (("one", "running"), ("two", "completed")):
        kubectl("apply", "-f-", stdin=RUN.replace("birds-1", name))
        patch = json.dumps({"status": {"state": state}})
        kubectl("patch", "dg", name, "--subresource=status", "--type=merge", "-p", patch)
    kubectl("apply", "-f-", stdin=TAXONOMY)
    selected = kubectl("get", "dg", "-o", "name", "--field-selector=status.state!=completed,status.state!=failed")
    assert selected.split() == ["datageneration.sdg-operator.io/one"]
    assert "taxonomy.sdg-operator.io/birds" in kubectl("get", "sdg", "-o", "name")


def test_a_spec_update_cannot_write_the_status(kubectl: Kubectl) -> None:
    with_status = yaml.safe_load(RUN) | {"status": {"state": "completed"}}
    kubectl("apply", "-f-", stdin=yaml.safe_dump(with_status))
    assert "status" not in json.loads(kubectl("get", "dg", "birds-1", "-o", "json"))
