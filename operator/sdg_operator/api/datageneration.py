"""The DataGeneration kind: one run, like a Job. Its spec never changes but for suspend and cancel."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from sdg_operator.api.common import (
    ApiModel,
    BucketKey,
    Condition,
    DnsName,
    Folder,
    Image,
    ImageRef,
    LabelMap,
    ObjectName,
    OwnPlacement,
    Placement,
    Resources,
    SecretName,
    State,
    Timestamp,
)
from sdg_operator.api.quantity import Quantity
from sdg_operator.api.rules import WORDS, exactly_one, frozen_except, keyed_by, rules

PipelineName = Literal["simple", "full", "llama"]
ModelFamily = Literal["merlinite", "granite", "mixtral", "mistral", "llama", "blank"]


_NO_NUL = r"^[^\x00]*$"
"""No program can be started with it."""
_Digest = Annotated[
    str,
    Field(
        pattern=r"^sha256:[0-9a-f]{64}$",
        max_length=71,
        json_schema_extra={
            WORDS: "a digest is sha256: and 64 digits from 0 to f, as in status.snapshot of the Taxonomy"
        },
    ),
]
_Word = Annotated[str, Field(max_length=1024, pattern=_NO_NUL)]


class TaxonomyRef(ApiModel):
    """The Taxonomy to use, in the same namespace."""

    name: ObjectName = Field(description="Name of the Taxonomy.")
    digest: _Digest | None = Field(
        default=None, description="Use exactly this snapshot, even if the source has changed since."
    )


class DataSource(ApiModel):
    """One thing to merge into the result: another run, or a train file in the bucket. Exactly one."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(
            "dataGeneration",
            "skillsKey",
            "knowledgeKey",
            message="set exactly one of dataGeneration, skillsKey and knowledgeKey in each item",
        )
    )

    data_generation: ObjectName | None = Field(default=None, description="Name of a finished DataGeneration.")
    skills_key: BucketKey | None = Field(default=None, description="Key of a skills train file (jsonl).")
    knowledge_key: BucketKey | None = Field(default=None, description="Key of a knowledge train file (jsonl).")


_NO_TWINS = rules(
    ("self.all(one, self.exists_one(other, other == one))", "each item of dataSources is another one: remove the twin")
)


class EnvVar(ApiModel):
    """An environment variable with a literal value."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            json_schema_extra={WORDS: "a variable's name has letters, digits and '_', and begins with no digit"},
        ),
    ] = Field(description="Name of the variable.")
    value: Annotated[str, Field(max_length=2048, pattern=_NO_NUL)] = Field(
        description="Value of the variable, as it is: $(NAME) is not replaced."
    )


class HubModel(ApiModel):
    """A model that the server downloads itself."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="Name on the hub.")
    token_secret_name: SecretName | None = Field(default=None, description="Secret with the key HF_TOKEN.")


class ServedModel(ApiModel):
    """Where the served model's weights come from. Exactly one."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one("pvc", "image", "hub", message="set exactly one of pvc, image and hub")
    )

    pvc: DnsName | None = Field(default=None, description="PersistentVolumeClaim, mounted read-only at /models.")
    image: Image | None = Field(default=None, description="Image volume, mounted read-only at /models.")
    hub: HubModel | None = Field(default=None, description="Downloaded by the server.")


class TeacherServer(ApiModel):
    """A teacher that is served next to the engine in the same pod. Made for vLLM as published."""

    image: Image = Field(description="Image of an OpenAI-compatible server.")
    model: ServedModel | None = Field(default=None, description="Weights; absent where the image brings them.")
    model_name: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="Name that requests ask for.")
    command: Annotated[list[_Word], Field(max_length=16)] = Field(
        default=[],
        description="Entry point (the image's own).",
    )
    args: Annotated[list[_Word], Field(max_length=64)] = Field(
        default=[],
        description="Arguments, instead of vllm serve's usual ones: model, --served-model-name, --port.",
    )
    env: Annotated[list[EnvVar], Field(max_length=32, json_schema_extra=keyed_by("name"))] = Field(
        default=[], description="Environment of the server."
    )
    port: Annotated[int, Field(ge=1024, le=65_535)] | None = Field(
        default=None, description="Port it listens on (8000)."
    )
    health_path: (
        Annotated[
            str, Field(pattern=r"^/", max_length=255, json_schema_extra={WORDS: "a path begins with a slash: /health"})
        ]
        | None
    ) = Field(default=None, description="Path of its probes (/health).")
    resources: Resources = Field(default=Resources(), description="GPUs and the like of the server.")
    shm_size: Quantity | None = Field(
        default=None, description="Size of /dev/shm, for example 8Gi; needed for more than one GPU."
    )
    start_timeout_seconds: Annotated[int, Field(ge=10, le=86_400)] | None = Field(
        default=None, description="How long loading the model may take (1800); then the server is restarted."
    )


class Teacher(ApiModel):
    """Who answers. Exactly one of an endpoint's Secret and a server in the pod."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(
            "secretName", "server", message="set exactly one of secretName (an endpoint) and server (served in the pod)"
        )
    )

    secret_name: SecretName | None = Field(
        default=None, description="Secret with endpoint, model_name and optionally api_token and ca.crt."
    )
    server: TeacherServer | None = Field(default=None, description="A model served next to the engine.")


class Engine(ApiModel):
    """What makes the samples."""

    image: Image | None = Field(default=None, description="Image that keeps the engine contract.")
    resources: Resources | None = Field(
        default=None, description="Resources of the engine's container; those not named are the administrator's."
    )


class Pipeline(ApiModel):
    """InstructLab flow. Exactly one."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(
            "name",
            "configMapName",
            message="set exactly one of name (a pipeline of the library) and configMapName (your own)",
        )
    )

    name: PipelineName | None = Field(default=None, description="A pipeline of the library.")
    config_map_name: DnsName | None = Field(
        default=None,
        description="ConfigMap with knowledge.yaml, freeform_skills.yaml, grounded_skills.yaml and their prompts.",
    )


class Generation(ApiModel):
    """How samples are made."""

    scale_factor: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Samples a seed example, in pipelines that scale: simple, or your own."
    )
    batch_size: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Rows of a leaf that make one batch, the unit of checkpoints."
    )
    max_concurrency: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None, description="Bound on answers asked for at once: over all shards, of teacher.server for each."
    )
    max_tokens: Annotated[int, Field(ge=16, le=131_072)] | None = Field(default=None, description="Bound on an answer.")
    model_family: ModelFamily | None = Field(
        default=None, description="Chat template and system prompt of the teacher."
    )
    system_prompt: Annotated[str, Field(max_length=8192)] | None = Field(
        default=None, description="System prompt written into the training samples."
    )


class Preview(ApiModel):
    """Make only a few samples a leaf, to look at."""

    samples_per_leaf: Annotated[int, Field(ge=1, le=100)] = Field(description="Samples a leaf.")


class Reuse(ApiModel):
    """Take over finished leaves of another run."""

    name: ObjectName = Field(description="Name of the other DataGeneration.")


class Output(ApiModel):
    """Where the result goes."""

    secret_name: SecretName | None = Field(
        default=None, description="Storage Secret of the result, and of all that dataSources names."
    )
    prefix: Folder | None = Field(default=None, description="Folder in the bucket (synthetic_data).")


LeafGlob = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        json_schema_extra=rules(
            (
                "!self.startsWith('/')",
                "a leaf's path begins at the taxonomy's root, without a slash: knowledge/science/*",
            ),
        ),
    ),
]


_ONLY_TO_GENERATE = (
    "teacher",
    "engine",
    "pipeline",
    "leaves",
    "preview",
    "reuse",
    "parallelism",
    "startDeadlineSeconds",
    "activeDeadlineSeconds",
    "maxFailedLeaves",
    "maxFruitlessAttempts",
)
_ONLY_TO_ASK = ("scaleFactor", "batchSize", "maxConcurrency", "maxTokens", "modelFamily")


def _rules_of_a_run(schema: JsonDict) -> None:
    schema.update(
        rules(
            (
                "has(self.taxonomyRef) || (has(self.dataSources) && size(self.dataSources) > 0)",
                "set taxonomyRef (make samples), dataSources (merge what was made before), or both",
            ),
            (
                f"has(self.taxonomyRef) || !({' || '.join(f'has(self.{name})' for name in _ONLY_TO_GENERATE)})",
                f"without taxonomyRef nothing is generated: set it, or remove {', '.join(_ONLY_TO_GENERATE)}",
            ),
            (
                "has(self.taxonomyRef) || !has(self.generation) || "
                f"!({' || '.join(f'has(self.generation.{name})' for name in _ONLY_TO_ASK)})",
                "without taxonomyRef nothing is generated: set it, or leave in generation systemPrompt alone, the only "
                "part that a merge uses",
            ),
            (
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "a canceled run cannot be un-canceled: create another DataGeneration (spec.reuse takes over what is "
                "finished)",
            ),
        )
    )
    frozen_except(
        schema,
        frozenset({"suspend", "cancel"}),
        "cannot be changed: a DataGeneration is one run; create another (spec.reuse takes over what is finished)",
    )


class DataGenerationSpec(ApiModel):
    """One run. Immutable except suspend and cancel."""

    model_config = ConfigDict(json_schema_extra=_rules_of_a_run)

    taxonomy_ref: TaxonomyRef | None = Field(default=None, description="The Taxonomy to make samples from.")
    data_sources: Annotated[list[DataSource], Field(max_length=20, json_schema_extra=_NO_TWINS)] = Field(
        default=[], description="Other runs and train files of the same bucket to merge into the result, at most 20."
    )
    teacher: Teacher | None = Field(default=None, description="Who answers; the administrator's default where absent.")
    engine: Engine | None = Field(default=None, description="What makes the samples.")
    pipeline: Pipeline | None = Field(default=None, description="InstructLab flow.")
    generation: Generation | None = Field(default=None, description="How samples are made.")
    leaves: Annotated[list[LeafGlob], Field(max_length=64)] = Field(
        default=[], description="Make only leaves whose folder matches one of these globs (knowledge/science/*)."
    )
    preview: Preview | None = Field(default=None, description="Make only a few samples a leaf.")
    reuse: Reuse | None = Field(default=None, description="Take over finished leaves of another run.")
    output: Output | None = Field(default=None, description="Where the result goes.")
    parallelism: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Engines at work at once, each on its own share of the leaves."
    )
    placement: OwnPlacement = Field(default=Placement(), description="Where the pods go.")
    start_deadline_seconds: Annotated[int, Field(ge=10, le=604_800)] | None = Field(
        default=None, description="Fail when a pod holds a node for so long without having started."
    )
    active_deadline_seconds: Annotated[int, Field(ge=10, le=31_536_000)] | None = Field(
        default=None, description="Fail when all attempts together were active for so long."
    )
    max_failed_leaves: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="Leaves that may fail by their own fault; 0 by default."
    )
    max_fruitless_attempts: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Attempts in a row that may add no finished leaf before the run fails; 3 by default."
    )
    suspend: bool | None = Field(default=None, description="Stop and free the GPUs; go on when false again.")
    cancel: bool | None = Field(default=None, description="End the run and keep what was made; cannot be taken back.")


class ResolvedTeacher(ApiModel):
    """The teacher as frozen at acceptance."""

    secret_name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Endpoint's Secret.")
    endpoint: Annotated[str, Field(max_length=1024)] = Field(description="Base URL.")
    model: Annotated[str, Field(max_length=255)] = Field(description="Model name.")
    server: TeacherServer | None = Field(default=None, description="Server in the pod.")
    has_token: bool = Field(default=False, description="Whether the Secret has api_token.")
    has_ca: bool = Field(default=False, description="Whether the Secret has ca.crt.")


class ResolvedNetworkPolicy(ApiModel):
    """What the run's NetworkPolicy lets its pods reach."""

    ports: Annotated[list[int], Field(max_length=64)] = Field(default=[], description="TCP ports, beside DNS.")
    cidrs: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)] = Field(
        default=[], description="Addresses; all where empty."
    )


class Resolved(ApiModel):
    """Every setting of the run, frozen at acceptance; later attempts are built from this alone."""

    storage_secret_name: Annotated[str, Field(max_length=253)] = Field(description="Storage Secret.")
    prefix: Annotated[str, Field(max_length=255)] = Field(description="Folder in the bucket.")
    engine_image: ImageRef = Field(description="Engine image.")
    runner_image: ImageRef = Field(description="Image of fetch and sync.")
    mix_image: ImageRef = Field(description="Image of the mix.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="Pull policy."
    )
    image_pull_secrets: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=8)] = Field(
        default=[], description="Pull Secrets."
    )
    teacher: ResolvedTeacher | None = Field(default=None, description="Teacher; absent for a merge.")
    pipeline: Annotated[str, Field(max_length=253)] = Field(description="Pipeline, or custom.")
    pipeline_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="Digest of a custom one."
    )
    scale_factor: int = Field(description="Samples a seed example, in pipelines that scale.")
    batch_size: int = Field(description="Rows of a leaf that make one batch, the unit of checkpoints.")
    max_concurrency: int = Field(description="Answers asked for at once.")
    max_tokens: int = Field(description="Bound on an answer.")
    model_family: Annotated[str, Field(max_length=32)] = Field(description="Chat template.")
    system_prompt: Annotated[str, Field(max_length=8192)] | None = Field(default=None, description="System prompt.")
    preview: int | None = Field(default=None, description="Samples a leaf of a preview.")
    parallelism: int = Field(description="Engines at once.")
    engine_resources: Resources = Field(description="Resources of the engine.")
    mix_resources: Resources = Field(description="Resources of the mix.")
    runner_resources: Resources = Field(default=Resources(), description="Resources of fetch and sync.")
    http_proxy: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="HTTP_PROXY.")
    https_proxy: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="HTTPS_PROXY.")
    no_proxy: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="NO_PROXY.")
    ca_config_map: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="ConfigMap with CA certificates."
    )
    run_as_user: int | None = Field(default=None, description="uid of the pods.")
    fs_group: int | None = Field(default=None, description="fsGroup of the pods.")
    pod_labels: LabelMap = Field(default={}, description="The administrator's further labels.")
    auxiliary_queue_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Kueue LocalQueue of the mix."
    )
    pod_hour_price: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="What a pod's GPUs cost an hour, by the administrator's prices."
    )
    placement: Placement = Field(description="Where the pods go.")
    queue_name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Kueue LocalQueue.")
    queue_priority_class_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Kueue WorkloadPriorityClass."
    )
    network_policy: ResolvedNetworkPolicy | None = Field(
        default=None, description="The run's NetworkPolicy; none if absent."
    )
    max_failed_leaves: int = Field(description="Leaves that may fail.")
    max_fruitless_attempts: int = Field(description="Attempts without progress.")
    start_deadline_seconds: int | None = Field(default=None, description="Start deadline.")
    active_deadline_seconds: int | None = Field(default=None, description="Active deadline.")
    job_ttl_seconds: int = Field(description="How long finished Jobs stay.")
    node_lost_timeout_seconds: int = Field(description="When a pod on a lost node is given up.")
    teacher_patience_seconds: int | None = Field(
        default=None, description="How long the engine bears a teacher that gives no good answer."
    )


class Plan(ApiModel):
    """What the run will ask for, before any GPU is."""

    leaves: int = Field(default=0, description="Leaves to make.")
    expected_samples: int = Field(default=0, description="Samples expected.")
    teacher_requests: int = Field(default=0, description="Requests to the teacher, about.")
    reused_leaves: int = Field(default=0, description="Leaves taken over from another run.")
    work_bytes: int = Field(default=0, description="Size of the work folder of a pod.")


class RunProgress(ApiModel):
    """How far the run is."""

    percent: int = Field(default=0, description="Of all expected samples.")
    leaves: Annotated[str, Field(max_length=32)] = Field(default="0/0", description="Leaves done of all, for people.")
    leaves_done: int = Field(default=0, description="Leaves done.")
    leaves_total: int = Field(default=0, description="Leaves of the run.")
    samples: int = Field(default=0, description="Samples made.")
    expected_samples: int = Field(default=0, description="Samples expected.")
    tokens: int = Field(default=0, description="Tokens that the teacher made.")
    seconds_left: int | None = Field(default=None, description="Estimated seconds until the end.")
    last_signal_time: Timestamp | None = Field(default=None, description="When something new was last seen (RFC 3339).")


class SampleMetrics(ApiModel):
    """Rows of the train files, as the service counts them."""

    knowledge: int = Field(default=0, description="Rows of knowledge_train_msgs.jsonl.")
    skills: int = Field(default=0, description="Rows of skills_train_msgs.jsonl.")
    total: int = Field(default=0, description="Both.")


class TokenMetrics(ApiModel):
    """Tokens as the teacher counted them."""

    prompt: int = Field(default=0, description="Tokens of prompts.")
    completion: int = Field(default=0, description="Tokens of answers.")
    total: int = Field(default=0, description="Both.")


class DataMetrics(ApiModel):
    """What came out."""

    samples: SampleMetrics = Field(default=SampleMetrics(), description="Rows of the train files.")
    tokens: TokenMetrics = Field(default=TokenMetrics(), description="Tokens.")


class Cost(ApiModel):
    """What the run has taken of the cluster so far, over all attempts."""

    gpu_seconds: int = Field(default=0, description="Seconds that pods held GPUs, times the GPUs of a pod.")
    wasted_gpu_seconds: int = Field(
        default=0, description="Of these, beside an engine not at work, and in attempts that made no sample."
    )
    tokens_per_second: int | None = Field(
        default=None, description="Tokens that the teacher made for it in a second of active time."
    )
    price: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="What its GPUs cost so far, by the administrator's prices."
    )
    counted_until: Timestamp | None = Field(default=None, description="Until when GPU-seconds are counted (RFC 3339).")


class OutputStatus(ApiModel):
    """Where the result lies."""

    bucket: Annotated[str, Field(max_length=255)] = Field(description="Bucket.")
    prefix: Annotated[str, Field(max_length=512)] = Field(description="Folder of this run.")
    manifest_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="sha256 of manifest.json."
    )


class Failure(ApiModel):
    """Why the run failed."""

    reason: Annotated[str, Field(max_length=128)] = Field(description="One word.")
    message: Annotated[str, Field(max_length=4096)] = Field(description="What happened and what to do.")
    leaf: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="The leaf, if it was one.")


Phase = Literal["Pending", "Generating", "Mixing", "Finished"]


class Attempt(ApiModel):
    """The attempt at hand. Written before its Job is made, so that a crash can never start two."""

    number: int = Field(default=0, description="Number of the latest generate attempt.")
    mix_number: int = Field(default=0, description="Number of the latest mix attempt.")
    fruitless: int = Field(default=0, description="Attempts in a row that added no finished leaf.")
    leaves_before: int = Field(default=0, description="Leaf records there were when the attempt began.")
    samples_before: int = Field(default=0, description="Samples there were when the attempt began.")
    useful_gpu_seconds_before: int = Field(
        default=0, description="GPU-seconds that were not wasted when the attempt began."
    )
    job_uid: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="uid of the Job of this attempt, once made."
    )
    mix_job_uid: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="uid of the Job of this mix attempt, once made."
    )
    mix_failures: int = Field(default=0, description="Mix attempts that failed by a fault that a retry may cure.")
    outages: int = Field(default=0, description="Attempts without progress that ended as teacher or store were away.")
    disruptions: int = Field(default=0, description="Attempts without progress that were taken away by others.")
    worked: bool = Field(default=False, description="Whether the teacher has ever given a sample of this run.")
    active_since: Timestamp | None = Field(
        default=None, description="Since when this attempt has been active (RFC 3339)."
    )
    active_seconds: int = Field(default=0, description="Active time of the earlier attempts.")
    not_before: Timestamp | None = Field(default=None, description="The next attempt waits until then (RFC 3339).")


class DataGenerationStatus(ApiModel):
    """Where the run stands; written by the operator alone."""

    conditions: Annotated[list[Condition], Field(max_length=8, json_schema_extra=keyed_by("type"))] = Field(
        default=[], description="Complete, Failed, Suspended, Progressing, Stalled."
    )
    observed_generation: int | None = Field(
        default=None,
        description="metadata.generation that this is about; absent once ended.",
    )
    state: State | None = Field(default=None, description="queued, running, completed, failed or canceled.")
    message: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="The state in a sentence.")
    phase: Phase | None = Field(default=None, description="What the operator is doing; for support, not for scripts.")
    start_time: Timestamp | None = Field(default=None, description="First time running.")
    completion_time: Timestamp | None = Field(default=None, description="When it ended.")
    snapshot_digest: Annotated[str, Field(max_length=71)] | None = Field(default=None, description="Pinned snapshot.")
    resolved: Resolved | None = Field(default=None, description="Frozen settings.")
    inputs_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="sha256 of the frozen inputs (.run/inputs.json)."
    )
    plan: Plan | None = Field(default=None, description="What the run asks for.")
    attempt: Attempt = Field(default=Attempt(), description="The attempt at hand.")
    cancel_time: Timestamp | None = Field(default=None, description="When the operator first saw cancel (RFC 3339).")
    storage_trouble_since: Timestamp | None = Field(
        default=None, description="Since when the bucket or its Secret cannot be used (RFC 3339)."
    )
    outcome: Literal["completed", "failed", "canceled"] | None = Field(
        default=None, description="The state that the run will end in once its samples are mixed."
    )
    merge_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="sha256 of the frozen choice of what spec.dataSources adds."
    )
    mix_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="sha256 of the frozen choice of samples (.run/mix.json)."
    )
    progress: RunProgress | None = Field(default=None, description="How far it is.")
    data_metrics: DataMetrics | None = Field(default=None, description="What came out.")
    warnings: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=8)] = Field(
        default=[], description="What whoever trains with the result should know; the manifest has all of it."
    )
    cost: Cost | None = Field(default=None, description="What it has taken of the cluster.")
    output: OutputStatus | None = Field(default=None, description="Where the result lies.")
    failure: Failure | None = Field(default=None, description="Why it failed.")
