"""The API server's budgets for rules: that of a CRD, told from its bounds, and that of an object as it is written.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions
"""

import json
from typing import Any

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import StepFailed
from hack.generate.crds import Schema, crd
from sdg_operator.api.kinds import KINDS, Kind
from tests.integration.api.filled import fields, fields_set, filled
from tests.integration.api.kube import Kube


def strained(node: Any, times: int) -> Any:
    """A schema whose every rule is asked several times over."""
    if isinstance(node, list):
        return [strained(item, times) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("rule"), str):
        return node | {"rule": " && ".join([f"({node['rule']})"] * times)}
    return {name: strained(child, times) for name, child in node.items()}


def _strained_crd(kind: Kind, times: int) -> Schema:
    """A kind's CRD in another group, so that ours stays as it is."""
    made: Schema = strained(crd(kind), times)
    made["spec"]["group"] = "strained.example.com"
    made["metadata"]["name"] = f"{kind.plural}.strained.example.com"
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_rule_and_all_together_take_at_most_half_of_what_the_server_allows(
    api_server: ApiAccess, kind: Kind
) -> None:
    api_server.kubectl("create", "--dry-run=server", "-f-", stdin=json.dumps(_strained_crd(kind, 2)))


def test_a_rule_that_costs_too_much_would_be_named(api_server: ApiAccess) -> None:
    with pytest.raises(StepFailed, match="estimated rule cost exceeds budget"):
        api_server.kubectl("create", "--dry-run=server", "-f-", stdin=json.dumps(_strained_crd(KINDS[0], 8)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_largest_objects_can_be_made_and_written_again_with_the_largest_status(
    api_server: ApiAccess, kube: Kube, kind: Kind
) -> None:
    for found in filled(crd(kind), largest=True):
        made = kube.create(kind.name, {"metadata": found["metadata"], "spec": found["spec"]})
        try:
            kube.replace(kind.name, made, made["spec"])
            text = json.dumps(made | {"status": found["status"]})
            api_server.kubectl("replace", "--subresource=status", "-n", kube.namespace, "-f-", stdin=text)
        finally:
            kube.delete(kind.name, made)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_these_objects_have_every_field(kind: Kind) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    for part in ("spec", "status"):
        having = {path for found in filled(crd(kind)) for path in fields_set(schema[part], found[part], part)}
        assert having == set(fields(schema[part], part))
