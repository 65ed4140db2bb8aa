"""Runs that have a NetworkPolicy, where the network enforces it: they reach what is listed, and nobody reaches them."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.steps import wait_for
from tests.e2e.operator import Operator
from tests.e2e.place import Place

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900, func_only=True)]

_TEACHER: Final = 8000
"""A pod's port, which is what a policy is about, not that of its Service."""
_NAME: Final = "kube-router"
_LABELS: Final = {"app": _NAME}
_ENFORCE: Final = """\
kube-router --run-router=false --run-service-proxy=false --run-firewall=true --v=1 &
trap 'kill $!; wait $!' TERM
wait $!
for chain in INPUT FORWARD OUTPUT; do
  iptables -S $chain | sed -n '/-j KUBE-ROUTER/s/^-A/-D/p' | xargs -rL1 iptables
done
"""
"""When it ends, other tests have their network as it was: what it leaves behind, no chain of the system's asks."""
_READ: Final = {
    "": ["namespaces", "pods", "services", "nodes", "endpoints"],
    "networking.k8s.io": ["networkpolicies"],
    "discovery.k8s.io": ["endpointslices"],
}


def _kube_router(image: str) -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": image,
        "command": ["sh", "-c", _ENFORCE],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 20244}, "periodSeconds": 1},
    }
    pod = {
        "hostNetwork": True,
        "serviceAccountName": _NAME,
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": _NAME, "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }


def _rights() -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [k], "resources": v, "verbs": ["get", "list", "watch"]} for k, v in _READ.items()]
    account = {"kind": "ServiceAccount", "metadata": {"name": _NAME, "namespace": "kube-system"}}
    role = {"kind": "ClusterRole", "metadata": {"name": _NAME}, "rules": rules}
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _NAME},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _NAME},
        "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": "kube-system"}],
    }
    return [{"apiVersion": "v1", **account}, *({"apiVersion": f"{group}/v1", **each} for each in (role, binding))]


@pytest.fixture(scope="module", autouse=True)
def _enforced(cluster: Cluster, operator: Operator) -> Iterator[None]:
    """The cluster's network enforces policies, which by itself it does not."""
    image = load_images(cluster, [_NAME])[_NAME]
    objects = [*_rights(), _kube_router(image)]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "--filename=-", stdin=listed)
    try:
        cluster.kubectl("--namespace=kube-system", "rollout", "status", f"daemonset/{_NAME}", "--timeout=180s")
        yield
    finally:
        cluster.kubectl("delete", "--filename=-", "--cascade=foreground", "--timeout=120s", stdin=listed)
        operator.install()


def close(operator: Operator, place: Place, *ports: int) -> None:
    """Have runs get a policy with the bucket's port and these, which are to be had from pods alone."""
    bucket = urlsplit(place.s3_access["podEndpoint"]).port
    node = json.loads(operator.cluster.kubectl("get", "nodes", "--output=json"))["items"][0]
    operator.install(networkPolicy={"create": True, "ports": [bucket, *ports], "cidrs": [node["spec"]["podCIDR"]]})


def policies(place: Place) -> list[str]:
    return place.kubectl("get", "networkpolicies", "--output=name").split()


def test_a_run_reaches_what_is_listed_and_nothing_else(operator: Operator, place: Place) -> None:
    close(operator, place)
    place.taxonomy(leaves=2)
    place.run("without-teacher")
    place.until("waiting", lambda s: s.get("message", "").startswith("Waiting for the teacher"), "without-teacher")
    close(operator, place, _TEACHER)
    place.run("with-teacher")
    place.until_completed(leaves=2, name="with-teacher")
    # It has its policy from its beginning: what was allowed since then is for those that came later.
    assert place.records("without-teacher") == []
    assert len(policies(place)) == 1
    place.change("without-teacher", cancel=True)
    assert place.until_ended("without-teacher")["state"] == "canceled"
    assert policies(place) == [], "the policies of runs that have ended are gone"


def lets_in(place: Place, address: str) -> bool:
    """Whether a served teacher at this address can be reached from another pod of the namespace."""
    connect = f"import socket; print(socket.socket().connect_ex(({address!r}, {_TEACHER})))"
    return place.kubectl("exec", "deployment/answers", "--", "python", "-c", connect).strip() == "0"


def test_nobody_reaches_a_run(operator: Operator, place: Place) -> None:
    close(operator, place)
    place.taxonomy(leaves=2)
    place.run(teacher=place.served_teacher(args=["--median", "8"]))
    place.until("answered", lambda s: int(s.get("progress", {}).get("samples", 0)) > 0)
    (pod,) = place.all("pods", "sdg-operator.io/role=generate")
    address = pod["status"]["podIP"]
    assert not lets_in(place, address)
    # It is the policy that keeps others away, and not that nobody listens.
    place.kubectl("delete", "networkpolicies", "--all")
    wait_for("another pod to be let in", 60, lambda: lets_in(place, address))
    place.until_completed(leaves=2)
