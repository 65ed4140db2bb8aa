"""The recorded objects are such as our CRDs know, and Flux's expressions say of each what the documents say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed, wait_for
from hack.generate.chart import ROOT
from sdg_operator.api.kinds import KINDS
from tests.integration.chart.recorded import GROUP, NAMES, install_kinds, recorded, to_create


@pytest.fixture(scope="module")
def kinds(api_server: ApiAccess) -> ApiAccess:
    install_kinds(api_server)
    return api_server


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_object_is_one_that_the_api_server_would_give(kinds: ApiAccess, name: str) -> None:
    wanted = to_create(name)
    create = ("create", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-")
    given = json.loads(kinds.kubectl(*create, stdin=json.dumps(wanted)))
    assert given.get("status") == wanted.get("status")


def test_every_state_is_recorded() -> None:
    seen = {(each["kind"], each.get("status", {}).get("state")) for each in map(recorded, NAMES)}
    states = ("completed", "failed")
    runs = {("DataGeneration", state) for state in (None, "queued", "running", "canceled", *states)}
    assert seen == runs | {("Taxonomy", state) for state in (None, "queued", *states)}
    reasons = {recorded(name)["status"]["failure"]["reason"] for name in NAMES if name.startswith("run-failed")}
    assert len(reasons) > 1, "refused at once, and failed at work"


FLUX = {
    "run-queued": "InProgress",
    "run-running": "InProgress",
    "run-suspended": "InProgress",
    "run-completed": "Current",
    "run-canceled": "Current",
    "run-failed": "Failed",
    "run-failed-at-work": "Failed",
    "taxonomy-checking": "InProgress",
    "taxonomy-ready": "Current",
    "taxonomy-invalid": "Failed",
}
EXAMPLES = {"DataGeneration": "until-runs-end.yaml", "Taxonomy": "team.yaml"}


def policy(kind: str) -> list[dict[str, Any]]:
    """Of an API server that refuses each object of a kind, and names the first of Flux's expressions that holds for it.

    In Flux's order, and by the language itself: CEL is the API server's too.
    """
    *_, example = yaml.safe_load_all((ROOT / "examples" / "flux" / EXAMPLES[kind]).read_text())
    [of_kind] = example["spec"]["healthCheckExprs"]
    assert (of_kind["apiVersion"], of_kind["kind"]) == ("sdg-operator.io/v1alpha1", kind)
    asked = {key: f"[object.status].all(status, {of_kind[key]})" for key in ("inProgress", "failed", "current")}
    answer = (
        f"{asked['inProgress']} ? 'InProgress' : {asked['failed']} ? 'Failed' : {asked['current']} ? 'Current' : 'None'"
    )
    plural = next(each.plural for each in KINDS if each.name == kind)
    rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [f"recorded{plural}"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "!has(object.status)", "messageExpression": f"'flux: ' + ({answer})"}],
    }
    name = f"flux-{plural}"
    base = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    return [
        {**base, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {
            **base,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]


@pytest.fixture(scope="module")
def flux(kinds: ApiAccess) -> Iterator[ApiAccess]:
    policies = yaml.safe_dump_all([each for kind in EXAMPLES for each in policy(kind)])
    kinds.kubectl("apply", "--filename=-", stdin=policies)
    wait_for("the policies", 120, lambda: bool(said(kinds, "run-queued")) and bool(said(kinds, "taxonomy-ready")))
    yield kinds
    kinds.kubectl("delete", "--wait=false", "--filename=-", stdin=policies)


def said(server: ApiAccess, name: str) -> str:
    try:
        server.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(to_create(name)))
    except StepFailed as refused:
        return str(refused).partition("flux: ")[2].strip()
    return ""


@pytest.mark.parametrize(("name", "want"), FLUX.items(), ids=FLUX)
def test_flux_says_of_an_object_what_these_expressions_say(flux: ApiAccess, name: str, want: str) -> None:
    assert said(flux, name) == want
