"""The recorded objects are such as our CRDs know, and Flux's expressions say of each what the documents say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed, wait_for
from tests.integration.chart.charting import ROOT
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
}


def expressions() -> dict[str, str]:
    """Those of the Flux example."""
    team = yaml.safe_load((ROOT / "examples" / "flux" / "until-runs-end.yaml").read_text())
    [of_runs] = team["spec"]["healthCheckExprs"]
    assert (of_runs["apiVersion"], of_runs["kind"]) == ("sdg-operator.io/v1alpha1", "DataGeneration")
    return {key: of_runs[key] for key in ("inProgress", "failed", "current")}


@pytest.fixture(scope="module")
def flux(kinds: ApiAccess) -> Iterator[ApiAccess]:
    """An API server that refuses each run, and names the first of Flux's expressions that holds for it.

    In Flux's order, and by the language itself: CEL is the API server's too.
    """
    asked = {key: f"[object.status].all(status, {expression})" for key, expression in expressions().items()}
    answer = (
        f"{asked['inProgress']} ? 'InProgress' : {asked['failed']} ? 'Failed' : {asked['current']} ? 'Current' : 'None'"
    )
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["recordeddatagenerations"],
    }
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "!has(object.status)", "messageExpression": f"'flux: ' + ({answer})"}],
    }
    binding = {"policyName": "flux", "validationActions": ["Deny"]}
    for kind, content in (("ValidatingAdmissionPolicy", spec), ("ValidatingAdmissionPolicyBinding", binding)):
        metadata = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "flux"}}
        kinds.kubectl("apply", "--filename=-", stdin=json.dumps({**metadata, "spec": content}))
    wait_for("the policy", 30, lambda: bool(said(kinds, "run-queued")))
    yield kinds
    kinds.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "flux")


def said(server: ApiAccess, name: str) -> str:
    try:
        server.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(to_create(name)))
    except StepFailed as refused:
        return str(refused).partition("flux: ")[2].strip()
    return ""


@pytest.mark.parametrize(("name", "want"), FLUX.items(), ids=FLUX)
def test_flux_waits_for_the_end_of_a_run_by_these_expressions(flux: ApiAccess, name: str, want: str) -> None:
    assert said(flux, name) == want
