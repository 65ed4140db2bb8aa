"""What a decision asks for: actions in order, then the status, then when to look again."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.api.taxonomy import TaxonomyStatus
from sdg_operator.reconcile.jobs import Job


@dataclass(frozen=True, slots=True)
class CreateJob:
    """POST, and before it that of its pods' NetworkPolicy, where they get one. If the name is taken, the next pass sees
    whose it is."""

    job: Job


@dataclass(frozen=True, slots=True)
class DeleteNetworkPolicy:
    """DELETE of a run's NetworkPolicy, once the run has ended."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """DELETE in the background with the uid as precondition; its pods end by themselves and are waited for."""

    name: str
    uid: str
    reason: str
    """For the log and the event: why."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """DELETE of a pod whose Job is gone, with the uid as precondition. It has its grace, as if its Job had ended it."""

    name: str
    uid: str
    reason: str
    """For the log: why."""


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Let go of a Job that is done with: set its TTL, take its watch label off. Best effort."""

    name: str
    uid: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class PutObject:
    """Write an object of the run's ledger. Writing the same bytes again is harmless."""

    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class PutObjects:
    """Write many objects of the run's ledger, several at a time and in any order."""

    objects: tuple[PutObject, ...]


@dataclass(frozen=True, slots=True)
class CopySnapshot:
    """Bring a snapshot into the run's own bucket, where its Secret is another than the Taxonomy's."""

    digest: str
    from_secret: str
    to_secret: str


Action = CreateJob | DeleteJob | DeleteNetworkPolicy | DeletePod | ReleaseJob | PutObject | PutObjects | CopySnapshot


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event about the resource, published once its status is written."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


StatusT = TypeVar("StatusT", DataGenerationStatus, TaxonomyStatus)


@dataclass(frozen=True)  # slots forbid calling the alias with its type argument
class Plan(Generic[StatusT]):
    """The outcome of a decision. Actions come first: if one fails, the status is not written and the pass is replayed.

    What must be on record before it happens (an attempt's number) is written by one pass and done by the next, so a
    plan never has both.
    """

    status: StatusT
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    again_seconds: float | None = None
    """Look again after so long, also without an event; None leaves it to events and the resync."""


@dataclass(frozen=True, slots=True)
class Again:
    """A pass's answer to the queue: look at this key again after so many seconds (0: at once)."""

    after_seconds: float
