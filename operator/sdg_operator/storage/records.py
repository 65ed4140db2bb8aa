"""What the records in the bucket say. Each carries a format version; readers ignore keys they do not know."""

from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field
from pydantic.alias_generators import to_camel

ItemT = TypeVar("ItemT")
Many = Annotated[tuple[ItemT, ...], FailFast()]
"""A list. Reading ends at its first fault, for the account of a fault takes a hundred times the bytes of its item."""
Named = Annotated[dict[str, ItemT], FailFast()]
"""Texts or records by their name; as `Many` is."""
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
LeafKind = Literal["knowledge", "grounded", "freeform"]
INDEX_BYTES = 8 * 1024 * 1024
"""Most that the index of a snapshot takes. The operator reads it into its memory; a check makes no larger one."""

REASON_CHARACTERS: Final = 100
MESSAGE_CHARACTERS: Final = 2000
"""Most that a leaf's record says of why the leaf cannot be made."""

KNOWLEDGE_FLOW: Final = "knowledge.yaml"
"""The flow file for knowledge leaves in a pipeline's folder."""


class Record(BaseModel):
    """A JSON document with camelCase keys. Unknown keys are ignored, so an older reader survives a newer writer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """Canonical bytes: equal records give equal bytes."""
        return (self.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n").encode()


class Versioned(Record):
    format_version: Literal[1] = 1


class SnapshotLeaf(Record):
    """One leaf of a snapshot, as the check saw it."""

    id: str
    """Name in keys and files (`layout.leaf_id`)."""
    path: str
    """The service's form, ``knowledge->science->birds``."""
    folder: str
    """Folder inside the snapshot, ``taxonomy/knowledge/science/birds``."""
    kind: LeafKind
    digest: Digest
    """Digest of all that the leaf itself gives: its qna.yaml and its documents."""
    seeds: int
    documents: Many[str] = ()
    """Document files inside the snapshot (``documents/<id>/<name>``)."""
    document_bytes: int = 0


class DocumentRepository(Record):
    """A repository of documents, with what its ``commit`` meant at the time of the check."""

    url: str
    asked: str
    """The ``commit`` of the qna.yaml: a commit, a branch or a tag."""
    commit: str
    leaves: Many[str]
    """Ids of the leaves that use it."""


class SnapshotIndex(Versioned):
    """``index.json`` of a snapshot: its leaves in order of their id, and where their documents are from."""

    leaves: Many[SnapshotLeaf]
    repositories: Many[DocumentRepository] = ()


class SampleSettings(Record):
    """All settings that the samples of a leaf depend on. Part of every leaf's input digest."""

    pipeline: str = "full"
    """``simple``, ``full``, ``llama``, or ``custom`` for the files that the run's inputs carry."""
    pipeline_files: Named[str] = {}
    """Flow files of a custom pipeline, name → text."""
    scale_factor: int = 30
    batch_size: int = 32
    max_tokens: int = 4096
    model: str
    model_family: str = "mixtral"
    system_prompt: str | None = None
    preview: int | None = None
    """Stop a leaf after this many samples; None makes all."""


class LeafInput(Record):
    """A leaf that this run makes."""

    id: str
    path: str
    kind: LeafKind
    input_digest: Digest
    """Digest of leaf, documents, engine and `SampleSettings`: equal digests mean interchangeable samples."""
    expected_samples: int


class RunIdentity(Record):
    namespace: str
    name: str
    uid: str


class RunInputs(Versioned):
    """``.run/inputs.json``: everything a run depends on, frozen when it was accepted."""

    run: RunIdentity
    snapshot: Digest | None = None
    """Digest of the pinned snapshot; None for a run that only merges."""
    engine: str
    """Engine image, as resolved."""
    settings: SampleSettings
    max_concurrency: int = 256
    """Bound on choices asked of one teacher at once."""
    own_teachers: bool | None = None
    """True where a teacher is served beside each shard, which then has the whole bound; else the shards share it."""
    leaves: Many[LeafInput] = ()


class AttemptPlan(Versioned):
    """``.run/attempts/<n>.json``: the leaves still missing, dealt out to shards. Shards are disjoint."""

    attempt: int
    shards: Many[Many[str]]
    done: int = 0
    """Leaves of the run that had samples before this attempt."""


class FileRef(Record):
    key: Annotated[str, Field(max_length=1024)]
    size: int
    sha256: str
    lines: int


class Tokens(Record):
    prompt: int = 0
    completion: int = 0

    def plus(self, other: "Tokens") -> "Tokens":
        return Tokens(prompt=self.prompt + other.prompt, completion=self.completion + other.completion)


class AnswerCounts(Record):
    """What was not as it should be in a teacher's answers. All are choices, but for the last four: requests."""

    thinking: int = 0
    """Had thinking in them, which was cut off (or in a field of its own)."""
    cut_off: int = 0
    """Ended before they were whole: at the limit of tokens, by a filter or an error. What was whole was used."""
    empty: int = 0
    """Had no text, also when asked again."""
    unparsed: int = 0
    """Had text in which the pipeline found no sample."""
    unreadable: int = 0
    """Status 200 and no answer: an error, HTML, an event stream, broken JSON or UTF-8."""
    asked_again: int = 0
    """Sent once more, for whatever reason."""
    timed_out: int = 0
    """Given up unanswered; the teacher may have done them all the same."""
    shortened: int = 0
    """Asked again for fewer tokens or fewer choices: the context was too small, or something cut them twice."""

    def plus(self, other: "AnswerCounts") -> "AnswerCounts":
        mine, theirs = dict(self), dict(other)
        return AnswerCounts(**{name: count + theirs[name] for name, count in mine.items()})


class LeafRecord(Versioned):
    """``.run/leaves/<leaf>/<attempt>-<pod>.json``: a leaf is done, or cannot be made by its own fault. The truth."""

    leaf: Annotated[str, Field(max_length=255)]
    input_digest: Digest
    attempt: int
    pod: Annotated[str, Field(max_length=253)]
    outcome: Literal["done", "failed"]
    samples: int = 0
    expected_samples: int = 0
    tokens: Tokens = Tokens()
    prompts_given_up: int = 0
    answers: AnswerCounts = AnswerCounts()
    data: FileRef | None = None
    """The samples; always there when done."""
    reason: Annotated[str, Field(max_length=REASON_CHARACTERS)] | None = None
    message: Annotated[str, Field(max_length=MESSAGE_CHARACTERS)] | None = None


class ShardProgress(Versioned):
    """``.run/progress/<attempt>-<shard>.json``: where one shard stands."""

    attempt: int
    shard: int
    pod: str
    phase: str
    leaf: str | None = None
    """Path (``->`` form) of the leaf that moved last."""
    leaf_samples: int = 0
    leaf_expected: int = 0
    samples: int = 0
    expected: int = 0
    """Samples that the engine expects of its leaves, the better the more of their chunks it has counted; 0: unknown."""
    estimated: int = 0
    """Samples that were expected, before the run, of the leaves that this engine was given; 0: unknown."""
    leaves_done: int = 0
    leaves_total: int = 0
    tokens: Tokens = Tokens()
    seconds_left: int | None = None
    waiting: str | None = None
    """What the teacher says while it gives no good answer; None while it works."""
    sequence: int = 0
    """Grows with each change; the reader's own clock decides what is stale."""


class MixSource(Record):
    """Samples of one leaf, from this run or a merged one."""

    leaf: str
    path: str
    kind: LeafKind
    expected_samples: int
    samples: int
    tokens: Tokens = Tokens()
    prompts_given_up: int = 0
    answers: AnswerCounts = AnswerCounts()
    data: FileRef
    origin: str | None = None
    """Which of the plan's origins made it; None for this run's own pipeline."""


class Origin(Record):
    """The pipeline of a merged run, as far as mixing its samples needs it."""

    pipeline: str
    pipeline_files: Named[str] = {}
    """Of a custom pipeline: the flow for knowledge, which names the rows that are no questions."""


class FailedLeaf(Record):
    leaf: str
    path: str
    reason: str
    message: str


class MergeFile(Record):
    """A train file whose rows a merge adds to the file of its kind, each made like the rows of samples."""

    key: str
    kind: Literal["knowledge", "skills"]
    size: int | None = None
    """Bytes that it had when it was chosen; None in plans of an operator that did not look."""
    etag: str | None = None
    """The store's mark of its content then."""


class MixPlan(Versioned):
    """``.run/mix.json``: the frozen choice of what to mix. Mixing reads only what this names."""

    sources: Many[MixSource]
    origins: Named[Origin] = {}
    """By the root of the merged run."""
    files: Many[MergeFile] = ()
    failed: Many[FailedLeaf] = ()
    missing: Many[str] = ()
    """Paths of leaves that were not made (a canceled or failed run)."""


class ManifestFile(Record):
    path: str
    size: int
    sha256: str
    lines: int


class SampleCounts(Record):
    knowledge: int = 0
    skills: int = 0
    total: int = 0


class ManifestLeaf(Record):
    path: str
    kind: LeafKind
    expected: int
    actual: int


class TrainingRows(Record):
    """What a trainer should know of a training file's rows.

    Tokens are an estimate of all contents of a row's messages together (``engine/tokens.py``). A model's own tokenizer
    gives much the same for English, half to twice as many for other languages; its chat template adds some a message.
    """

    path: str
    """Name of the file: the `ManifestFile` with the same path has its size and lines."""
    knowledge: int = 0
    """Rows made of samples of knowledge leaves."""
    skills: int = 0
    """Rows made of samples of skills."""
    merged: int = 0
    """Rows of training files that were merged, whatever they are of."""
    longest_row: int = 0
    """Tokens of the longest row."""
    longest_line: int = 0
    """Where that row is: its line, counted from 1; 0 in an empty file."""
    long_rows: int = 0
    """Rows with more than 4,096 tokens, which is about what trainers take."""


class Manifest(Versioned):
    """``manifest.json``, written last: every file of the result, and what it was made from."""

    run: RunIdentity
    snapshot: Digest | None = None
    engine: str
    settings: SampleSettings
    versions: Named[str]
    files: Many[ManifestFile]
    samples: SampleCounts
    tokens: Tokens
    prompts_given_up: int = 0
    """Prompts that the teacher would not answer, so that their samples are missing."""
    answers: AnswerCounts = AnswerCounts()
    leaves: Many[ManifestLeaf]
    failed: Many[FailedLeaf] = ()
    missing: Many[str] = ()
    merged: Many[FileRef] = ()
    """Training files of users that were merged, as they were read."""
    training: Many[TrainingRows] = ()
    """The two training files, knowledge first."""
    warnings: Many[str] = ()
    """What whoever trains with the result should know, in words: leaves of whose samples none can be mixed, rows that
    are too long, a kind that another drowns."""
