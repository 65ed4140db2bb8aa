"""The NetworkPolicy of a run: nobody reaches its pods, and they reach DNS and what the administrator has listed."""

from ipaddress import ip_network
from typing import Final

from sdg_operator.api.datageneration import ResolvedNetworkPolicy
from sdg_operator.builders.pod import Json, owned_by
from sdg_operator.reconcile.names import KIND_LABEL, NAME_LABEL, UID_LABEL, Owner, policy_name

# As a pod asks, and as its Service hands it on: OpenShift's DNS pods listen on 5353, and that is what is judged there.
_DNS: Final[list[Json]] = [{"port": port, "protocol": name} for port in (53, 5353) for name in ("UDP", "TCP")]


def build_network_policy(owner: Owner, policy: ResolvedNetworkPolicy) -> Json:
    """The manifest, ready to be sent. A teacher beside its engine is in the same pod, which no policy concerns."""
    listed: Json = {"ports": [{"port": port, "protocol": "TCP"} for port in policy.ports]}
    if policy.cidrs:
        # A setting may be an address alone, which is no CIDR to the API server.
        listed["to"] = [{"ipBlock": {"cidr": str(ip_network(cidr))}} for cidr in policy.cidrs]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": policy_name(owner),
            "namespace": owner.namespace,
            "labels": {KIND_LABEL: owner.kind, NAME_LABEL: owner.name, UID_LABEL: owner.uid},
            "ownerReferences": [owned_by(owner)],
        },
        "spec": {
            "podSelector": {"matchLabels": {UID_LABEL: owner.uid}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            # Without a port a rule would be for all of them.
            "egress": [{"ports": _DNS}, *([listed] if policy.ports else [])],
        },
    }
