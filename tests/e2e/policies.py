"""What administrators put beside us that has a say in our Jobs and pods: policies of the API server."""

import json
from typing import Any, Final

from hack.cluster.steps import wait_for
from tests.e2e.place import Place

Json = dict[str, Any]

_GROUP: Final = "admissionregistration.k8s.io"
_API_GROUPS: Final = {"jobs": "batch", "pods": ""}


def denying(place: Place, resource: str, name: str) -> list[dict[str, Any]]:
    """A policy against the jobs or pods of the resource of ours that has this name."""
    of_it = _of(name)
    return _with_binding(
        place,
        "ValidatingAdmission",
        "v1",
        f"deny-{resource}",
        {
            "matchConstraints": _matched(place, resource),
            "validations": [{"expression": f"!({of_it})", "message": f"no {resource} of this name here"}],
        },
        {"validationActions": ["Deny"]},
    )


def changing(place: Place, resource: str, name: str, role: str, patches: str) -> list[dict[str, Any]]:
    """A policy that changes jobs or pods as they are made: those of the resource of ours that has this name.

    `role`: only those that generate, say; all where it is empty. `patches`: a list of JSON patches, in CEL.
    """
    spec = {
        "matchConstraints": _matched(place, resource),
        "matchConditions": [{"name": "ours", "expression": _of(name, role)}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patches}}],
    }
    return _with_binding(place, "MutatingAdmission", _offered(place), f"change-{resource}-{name}", spec, {})


def enforce(place: Place, bodies: list[Json], resource: str, name: str, role: str = "") -> None:
    """Write a policy about the jobs or pods of a resource of ours, and wait until it is in force: the API server takes
    it up only some time after."""
    before = _admitted(place, resource, name, role)
    place.apply(*bodies)
    what = f"the policy for {resource} of {name} to be in force"
    wait_for(what, 120, lambda: _admitted(place, resource, name, role) != before)


def _admitted(place: Place, resource: str, name: str, role: str) -> tuple[Json, Json] | None:
    """The spec of a pod and the annotations that the API server would make now; None if it refuses the job or pod."""
    labels = {"sdg-operator.io/name": name, **({"sdg-operator.io/role": role} if role else {})}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "some", "image": "some", "securityContext": security, "env": [{"name": "A", "value": "b"}]}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,  # its volume would have another name each time
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [container | {"name": "first"}],
        "containers": [container],
    }
    kind, version = ("Job", "batch/v1") if resource == "jobs" else ("Pod", "v1")
    spec = {"template": {"spec": pod}} if resource == "jobs" else pod
    meta = {"name": "would-be", "labels": labels, "annotations": {"some": "text"}}
    body = json.dumps({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec})
    said = place.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=body, check=False)
    if not said:
        return None
    made = json.loads(said)
    return (made["spec"]["template"] if resource == "jobs" else made)["spec"], made["metadata"]["annotations"]


def add(path: str, value: str) -> str:
    """A JSON patch, in CEL, that adds a value, in CEL."""
    return f'JSONPatch{{op: "add", path: "{path}", value: {value}}}'


def _of(name: str, role: str = "") -> str:
    wanted = {"sdg-operator.io/name": name} | ({"sdg-operator.io/role": role} if role else {})
    labels = "object.metadata.labels"
    each = (f"'{key}' in {labels} && {labels}['{key}'] == '{value}'" for key, value in wanted.items())
    return " && ".join((f"has({labels})", *each))


def _offered(place: Place) -> str:
    """The version in which the API server has policies that change objects."""
    for version in ("v1", "v1beta1"):
        served = place.cluster.kubectl("get", "--raw", f"/apis/{_GROUP}/{version}", check=False)
        if '"mutatingadmissionpolicies"' in served:
            return version
    raise AssertionError("this API server has no MutatingAdmissionPolicy")


def _matched(place: Place, resource: str) -> dict[str, Any]:
    rule = {
        "apiGroups": [_API_GROUPS[resource]],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": [resource],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    return {"resourceRules": [rule], "namespaceSelector": here}


def _with_binding(
    place: Place, kind: str, version: str, name: str, spec: dict[str, Any], binding: dict[str, Any]
) -> list[dict[str, Any]]:
    meta, api = {"name": f"{place.namespace}-{name}"}, f"{_GROUP}/{version}"
    bound = {"policyName": meta["name"], **binding}
    return [
        {"apiVersion": api, "kind": f"{kind}Policy", "metadata": meta, "spec": spec},
        {"apiVersion": api, "kind": f"{kind}PolicyBinding", "metadata": meta, "spec": bound},
    ]
