"""What administrators put beside us that has a say in our Jobs and pods: policies of the API server."""

from typing import Any, Final

from tests.e2e.place import Place

_GROUP: Final = "admissionregistration.k8s.io"
_API_GROUPS: Final = {"jobs": "batch", "pods": ""}
_LABEL: Final = "sdg-operator.io/name"


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


def changing(place: Place, resource: str, name: str, mutation: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy that changes the jobs or pods of the resource of ours that has this name, as they are made."""
    spec = {
        "matchConstraints": _matched(place, resource),
        "matchConditions": [{"name": "ours", "expression": _of(name)}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [mutation],
    }
    return _with_binding(place, "MutatingAdmission", _offered(place), f"change-{resource}-{name}", spec, {})


def patched(*patches: str) -> dict[str, Any]:
    """JSON patches, in CEL."""
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{', '.join(patches)}]"}}


def laid_over(expression: str) -> dict[str, Any]:
    """An object, in CEL, that is applied as by server-side apply."""
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def _of(name: str) -> str:
    return (
        f"has(object.metadata.labels) && '{_LABEL}' in object.metadata.labels && "
        f"object.metadata.labels['{_LABEL}'] == '{name}'"
    )


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
