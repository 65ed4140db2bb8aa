"""Both kinds as the API server knows them: names, models and the columns of ``kubectl get``."""

from dataclasses import dataclass

from sdg_operator.api.common import ApiModel
from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; a wide one is shown by ``-o wide`` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of ours."""

    name: str
    plural: str
    short_name: str
    description: str
    spec: type[ApiModel]
    status: type[ApiModel]
    columns: tuple[Column, ...]
    rules: tuple[tuple[str, str], ...] = ()
    """CEL rules that need the object's name, each with its message."""


_AGE = Column("Age", ".metadata.creationTimestamp", "When it was created.", "date")
_STATE = Column("State", ".status.state", "queued, running, completed, failed or canceled.")
_MESSAGE = Column("Message", ".status.message", "The state in a sentence.", wide=True)

TAXONOMY = Kind(
    name="Taxonomy",
    plural="taxonomies",
    short_name="tax",
    description=(
        "A taxonomy (folders with qna.yaml files) in the bucket or in Git. It is checked when it changes; runs use "
        "the checked snapshot."
    ),
    spec=TaxonomySpec,
    status=TaxonomyStatus,
    columns=(
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the newest content can be used."),
        _STATE,
        Column("Leaves", ".status.leaves.total", "Leaves found.", "integer"),
        Column("Checked", ".status.lastSourceCheckTime", "When the source was last checked.", "date"),
        _AGE,
        Column("Revision", ".status.checkedRevision", "ETag or commit that was checked.", wide=True),
        Column("Snapshot", ".status.snapshot.digest", "Digest of the latest good snapshot.", wide=True),
        _MESSAGE,
    ),
)

DATA_GENERATION = Kind(
    name="DataGeneration",
    plural="datagenerations",
    short_name="dg",
    description=(
        "One run that makes synthetic training data from a taxonomy, or merges the results of earlier runs. Like a "
        "Job it runs once: its spec cannot be changed except suspend and cancel."
    ),
    spec=DataGenerationSpec,
    status=DataGenerationStatus,
    columns=(
        _STATE,
        Column("Percent", ".status.progress.percent", "Share of the expected samples that are made.", "integer"),
        Column("Leaves", ".status.progress.leaves", "Leaves done of all leaves."),
        Column("Samples", ".status.progress.samples", "Samples made.", "integer"),
        Column("Taxonomy", ".spec.taxonomyRef.name", "The Taxonomy it uses."),
        _AGE,
        Column("Attempt", ".status.attempt.number", "Number of the latest attempt.", "integer", wide=True),
        _MESSAGE,
    ),
    rules=(
        (
            "!has(self.spec.reuse) || self.spec.reuse.name != self.metadata.name",
            "spec.reuse names this run itself: name the run whose finished leaves are to be taken over",
        ),
        (
            "!has(self.spec.dataSources) || self.spec.dataSources.all(source, !has(source.dataGeneration) || "
            "source.dataGeneration != self.metadata.name)",
            "spec.dataSources names this run itself: name the runs whose results are to be merged",
        ),
    ),
)

KINDS = (TAXONOMY, DATA_GENERATION)
