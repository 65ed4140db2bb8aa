"""What one pass saw: everything that a decision may rest on, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus
from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.reconcile.cluster import EventView, JobView, PodView
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.storage.records import (
    LeafRecord,
    Manifest,
    MixPlan,
    RunInputs,
    ShardProgress,
    SnapshotIndex,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be seen or done, in words for the user."""

    reason: Reason
    message: str
    final: bool = False
    """No waiting can cure it."""


FoundT = TypeVar("FoundT")


@dataclass(frozen=True)  # slots forbid calling the alias with its type argument
class Look(Generic[FoundT]):
    """The outcome of a look outside: what was found, or why not. `None` in both: there was no need to look."""

    found: FoundT | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the bucket says of a run."""

    records: tuple[LeafRecord, ...] = ()
    progress: tuple[ShardProgress, ...] = ()
    manifest: Manifest | None = None
    manifest_digest: str | None = None
    manifest_fault: str | None = None
    """Why the manifest that is there cannot be believed: a file is missing or has another size."""


@dataclass(frozen=True, slots=True)
class TaxonomyFound:
    """The Taxonomy that a run refers to."""

    name: str
    uid: str
    generation: int
    spec: TaxonomySpec
    status: TaxonomyStatus
    source_revision: str | None = None
    """ETag of the bucket source as it is now; None for Git."""


@dataclass(frozen=True, slots=True)
class TeacherFound:
    endpoint: str
    model: str
    has_token: bool = False
    has_ca: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """What `spec.dataSources` adds to a result."""

    plan: MixPlan = field(default_factory=lambda: MixPlan(sources=()))
    file_bytes: int = 0
    """Size of the files."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an acceptance rests on. Looked at only until the run is accepted, in this order up to the first problem."""

    storage: Look[str] = Look()
    """The bucket's name."""
    taxonomy: Look[TaxonomyFound] = Look()
    index: Look[SnapshotIndex] = Look()
    teacher: Look[TeacherFound] = Look()
    pipeline_files: Look[Mapping[str, str]] = Look()
    reuse: Look[tuple[LeafRecord, ...]] = Look()
    merge: Look[Merge] = Look()


@dataclass(frozen=True, slots=True)
class Signal:
    """When something new was last seen of a run, by the operator's own clock."""

    last: datetime
    patience_seconds: float = 120.0
    """How long silence is normal for this run."""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One look at a DataGeneration."""

    owner: Owner
    generation: int
    created: datetime
    """By the API server's clock."""
    spec: DataGenerationSpec
    status: DataGenerationStatus
    settings: Settings
    deleting: bool = False
    queue_name: str | None = None
    queue_priority: str | None = None
    surroundings: Surroundings = Surroundings()
    job: JobView | None = None
    """The Job that has the name of the attempt at hand."""
    jobs: tuple[JobView, ...] = ()
    """All Jobs with this run's labels; looked up once it has ended."""
    pods: tuple[PodView, ...] = ()
    """All pods of this run, over all attempts."""
    events: tuple[EventView, ...] = ()
    queue_message: str = ""
    """What Kueue says of the Job's Workload."""
    refused: Problem | None = None
    """Why the API server did not take the Job that this pass asked for."""
    inputs: RunInputs | None = None
    merge_plan: MixPlan | None = None
    """What `status.mergeDigest` names; read once all pods are gone."""
    mix_plan: bytes | None = None
    """The frozen choice that `status.mixDigest` names."""
    ledger: Look[Ledger] = Look()
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class TaxonomySeen:
    """One look at a Taxonomy."""

    owner: Owner
    generation: int
    spec: TaxonomySpec
    status: TaxonomyStatus
    settings: Settings
    deleting: bool = False
    check_request: str | None = None
    """Value of the annotation that asks for a check."""
    wanted_after: datetime | None = None
    """A run that was created then waits for a later check (API server's clock); the latest one."""
    wanted_since: datetime | None = None
    """When the first of the runs that wait was created."""
    secrets: Look[frozenset[str]] = Look()
    """Secrets that the check needs and that are there."""
    source_revision: Look[str] = Look()
    """ETag of the bucket source as it is now."""
    snapshot_lost: bool = False
    """The snapshot of a usable Taxonomy was removed, or its Secret names another bucket now."""
    job: JobView | None = None
    pods: tuple[PodView, ...] = ()
    events: tuple[EventView, ...] = ()
    queue_message: str = ""
    refused: Problem | None = None
    report: str | None = None
    """Termination message of the validate container."""
