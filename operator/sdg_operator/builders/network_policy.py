"""The NetworkPolicy of a run: nobody reaches its pods, and they reach DNS and what the administrator has listed."""

from typing import Final

from sdg_operator.api.datageneration import ResolvedNetworkPolicy
from sdg_operator.builders.pod import Json, owned_by
from sdg_operator.reconcile.names import KIND_LABEL, NAME_LABEL, UID_LABEL, Owner, policy_name

_DNS: Final[list[Json]] = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]


def build_network_policy(owner: Owner, policy: ResolvedNetworkPolicy) -> Json:
    """The manifest, ready to be sent. A teacher beside its engine is in the same pod, which no policy concerns."""
    listed: Json = {"ports": [{"port": port, "protocol": "TCP"} for port in policy.ports]}
    if policy.cidrs:
        listed["to"] = [{"ipBlock": {"cidr": cidr}} for cidr in policy.cidrs]
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
