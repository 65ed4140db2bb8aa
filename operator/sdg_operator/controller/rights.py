"""Every right that the operator needs, and why. docs/rights.md says it to administrators; a test compares them."""

from dataclasses import dataclass
from typing import Final

from sdg_operator.clients.resources import Resource


@dataclass(frozen=True, slots=True)
class Right:
    resource: Resource
    verbs: tuple[str, ...]
    reason: str
    subresource: str = ""
    named: bool = False
    """Granted for the names that the administrator lists, never for all."""
    optional: bool = False
    """Without it the operator works, and says less."""
    leader_only: bool = False
    """Needed with --leader-elect, in the operator's own namespace."""
    network_policies: bool = False
    """Needed only where `settings.networkPolicy.create` is set."""
    one: bool = False
    """About one object alone, the Lease; creating cannot be bound to a name."""


RIGHTS: Final = (
    Right(Resource.TAXONOMIES, ("get", "list", "watch"), "to see what users ask for"),
    Right(Resource.DATA_GENERATIONS, ("get", "list", "watch"), "to see what users ask for"),
    Right(Resource.TAXONOMIES, ("update",), "to say what was found", subresource="status"),
    Right(Resource.DATA_GENERATIONS, ("update",), "to say how a run goes", subresource="status"),
    Right(
        Resource.JOBS,
        ("get", "list", "watch", "create", "patch", "delete"),
        "to check, generate and mix; patch only sets the TTL of a finished Job and takes its watch label off",
    ),
    Right(
        Resource.PODS,
        ("list", "watch", "delete"),
        "to say why a pod does not run, and to wait until it is gone; "
        "delete only ends one whose Job was deleted without it",
    ),
    Right(Resource.EVENTS, ("list",), "to say why a pod cannot be made or started, in the cluster's own words"),
    Right(
        Resource.PUBLISHED_EVENTS,
        ("get", "create", "patch"),
        "to publish events; patch counts repeated ones",
        optional=True,
    ),
    Right(Resource.CONFIG_MAPS, ("get",), "to read a run's own pipeline"),
    Right(
        Resource.SECRETS,
        ("get",),
        "to reach the bucket of a run, and to see whether the Secrets of teacher and Git are complete; "
        "by name, no list or watch",
        named=True,
    ),
    Right(Resource.WORKLOADS, ("list",), "to say why Kueue lets a run wait", optional=True),
    Right(
        Resource.NETWORK_POLICIES,
        ("get", "create", "delete"),
        "to close the pods of runs in; get only sees whose a policy is that is to go",
        network_policies=True,
    ),
    Right(Resource.LEASES, ("create",), "to agree with the other replica who works", leader_only=True),
    Right(
        Resource.LEASES,
        ("get", "update"),
        "to agree with the other replica who works",
        leader_only=True,
        one=True,
    ),
)
