"""The administrator's settings: defaults for every run, and what users may choose.

Helm renders the file from its values; `sdg_operator.api.settings_file` reads it.
"""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sdg_operator.api import settings_checks
from sdg_operator.api.common import (
    DNS_NAME,
    DnsName,
    Folder,
    ImageRef,
    LabelMap,
    OwnPlacement,
    Placement,
    Resources,
    SecretName,
)
from sdg_operator.api.datageneration import ModelFamily, PipelineName
from sdg_operator.taxonomy.request import ALLOWED_HOST, Lint

_Proxy = Annotated[str, AfterValidator(settings_checks.proxy), Field(min_length=1, max_length=1024)]
_Resources = Annotated[Resources, settings_checks.refusing(settings_checks.resources)]
_Placement = Annotated[OwnPlacement, settings_checks.refusing(settings_checks.placement)]
_Labels = Annotated[LabelMap, settings_checks.refusing(settings_checks.labels)]
_Prices = Annotated[
    dict[str, Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]],
    Field(max_length=32),
    settings_checks.refusing(settings_checks.devices),
]
_QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_NAME)]
"""It becomes the value of a label."""
_NoProxy = Annotated[str, Field(max_length=4096, pattern=r"^[ -~]*$")]
_AllowedHost = Annotated[str, Field(max_length=300, pattern=ALLOWED_HOST)]
_Bytes = Annotated[int, Field(ge=1024, le=1 << 50)]
_Count = Annotated[int, Field(ge=1, le=10_000_000)]
_Id = Annotated[int, Field(le=2_147_483_647)]


class SettingsModel(BaseModel):
    """Part of the settings. Unknown keys are refused: a misspelt setting must not be silently ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


def _check_range(value: str) -> str:
    ip_network(value)  # its ValueError says what is wrong
    return value


AddressRange = Annotated[str, AfterValidator(_check_range), Field(max_length=64)]

OverridableField = Literal[
    "teacher", "engine", "pipeline", "generation", "output", "parallelism", "placement", "deadlines", "storage"
]


class Images(SettingsModel):
    """Images of the containers that the operator starts."""

    engine: ImageRef = Field(description="Default engine, and the mix.")
    runner: ImageRef = Field(description="validate, fetch and sync.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(default="IfNotPresent", description="Pull policy.")
    pull_secrets: list[SecretName] = Field(
        default=[], max_length=8, description="Pull Secrets in the users' namespaces."
    )


class Allowed(SettingsModel):
    """What users may choose beyond the defaults. A refusal has reason NotAllowed."""

    images: list[ImageRef] = Field(
        default=[], description="Globs of images beyond the default ones: of engines, teacher servers and models."
    )
    storage_secrets: list[SecretName] = Field(default=["sdg-storage"], description="Storage Secrets that may be named.")
    teacher_secrets: list[SecretName] = Field(default=["sdg-teacher"], description="Teacher Secrets that may be named.")
    git_secrets: list[SecretName] = Field(default=[], description="Git Secrets that may be named.")
    model_secrets: list[SecretName] = Field(default=[], description="Secrets with a model hub's token.")
    fields: list[OverridableField] = Field(
        default=[
            "engine",
            "generation",
            "output",
            "parallelism",
            "pipeline",
            "placement",
            "teacher",
            "deadlines",
            "storage",
        ],
        description="Groups of spec fields that may be set at all.",
    )


class Defaults(SettingsModel):
    """What a run uses where its spec is silent."""

    storage_secret: SecretName = Field(default="sdg-storage", description="Storage Secret.")
    teacher_secret: SecretName = Field(default="sdg-teacher", description="Teacher Secret.")
    prefix: Folder = Field(default="synthetic_data", description="Folder of results in the bucket.")
    pipeline: PipelineName = Field(default="full", description="A pipeline of the library.")
    scale_factor: int = Field(
        default=30, ge=1, le=1000, description="Samples a seed example, in pipelines that scale: simple, or users' own."
    )
    batch_size: int = Field(
        default=32, ge=1, le=1024, description="Rows of a leaf that make one batch, the unit of checkpoints."
    )
    max_concurrency: int = Field(
        default=1024,
        ge=1,
        le=4096,
        description="Answers asked for at once: over all shards, of teacher.server for each.",
    )
    max_tokens: int = Field(default=4096, ge=16, le=131_072, description="Bound on an answer.")
    model_family: ModelFamily = Field(default="mixtral", description="Chat template of the teacher.")
    parallelism: int = Field(default=1, ge=1, le=64, description="Engines at once.")
    engine_resources: _Resources = Field(
        default=Resources(requests={"cpu": "500m", "memory": "1Gi"}, limits={"cpu": 2, "memory": "4Gi"}),
        description="Resources of the engine; GPUs belong to teacher.server.",
    )
    mix_resources: _Resources = Field(
        default=Resources(requests={"cpu": "500m", "memory": "1Gi"}, limits={"cpu": 2, "memory": "4Gi"}),
        description="Resources of the mix.",
    )
    runner_resources: _Resources = Field(
        default=Resources(requests={"cpu": "50m", "memory": "128Mi"}, limits={"cpu": 1, "memory": "512Mi"}),
        description="Resources of validate, fetch and sync.",
    )
    placement: _Placement = Field(
        default=Placement(), description="Where pods go; a run's own placement is laid over it."
    )
    max_failed_leaves: int = Field(default=0, ge=0, le=10_000, description="Leaves that may fail by their own fault.")
    max_fruitless_attempts: int = Field(
        default=3, ge=0, le=100, description="Attempts in a row that may add no finished leaf."
    )
    start_deadline_seconds: int | None = Field(
        default=3600,
        ge=10,
        le=604_800,
        description="Fail when a pod holds a node for so long without having started; at least ten minutes more than a "
        "served model may take to load. No deadline where null.",
    )
    active_deadline_seconds: int | None = Field(
        default=None, ge=10, le=31_536_000, description="Fail when all attempts together were active for so long."
    )
    teacher_patience_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="How long an engine bears a teacher that gives no good answer; where absent 900, and with "
        "teacher.server ten minutes more than it may take to load.",
    )


class Queues(SettingsModel):
    """Kueue."""

    auxiliary: _QueueName | None = Field(
        default=None, description="LocalQueue of validate and mix Jobs; none where absent."
    )


class Taxonomies(SettingsModel):
    """How taxonomies are checked."""

    interval_seconds: int = Field(
        default=60, ge=10, le=86_400, description="How often a source in a bucket is looked at; Git is before each run."
    )
    deadline_seconds: int = Field(default=900, ge=30, le=86_400, description="A check that takes longer is stopped.")
    lint: Lint = Field(
        default="Warn",
        description="What a fault of form in a qna.yaml (yamllint) is: a warning, or a refusal as InstructLab has it.",
    )
    allowed_hosts: list[_AllowedHost] = Field(
        default=[],
        description="Hosts of Git servers, as globs, that may have a private address (all public ones are allowed). "
        "http://HOST: it may also be reached over plain http, without credentials. HOST:PORT: this port only. "
        "localhost, or an address, as it stands: it may be used though it is a loopback or link-local one.",
    )
    denied_ranges: list[AddressRange] = Field(
        default=[],
        description="Addresses that a Git server may not have, beyond those that none may (loopback, link-local and a "
        "cloud's metadata service).",
    )
    max_archive_bytes: _Bytes = Field(default=1_073_741_824, description="Largest taxonomy, unpacked.")
    max_upload_bytes: _Bytes = Field(
        default=268_435_456, description="Largest taxonomy, packed as it lies in the bucket."
    )
    max_entries: _Count = Field(default=50_000, description="Most files and folders of a taxonomy.")
    max_leaves: _Count = Field(default=5_000, description="Most leaves of a taxonomy.")
    max_file_bytes: _Bytes = Field(default=1_048_576, description="Largest qna.yaml.")
    max_taxonomy_bytes: _Bytes = Field(
        default=67_108_864, description="Largest sum of all qna.yaml; a check holds them in memory."
    )
    max_repository_bytes: _Bytes = Field(default=536_870_912, description="Largest Git repository, as fetched.")
    max_document_bytes: _Bytes = Field(default=268_435_456, description="Largest sum of documents.")
    git_seconds: int = Field(default=300, ge=1, le=86_400, description="Most time for one command of Git, a fetch say.")


class Limits(SettingsModel):
    """Bounds on the operator's own work."""

    workers: int = Field(
        default=64, ge=1, le=256, description="Resources looked at, at once; most of them wait for an answer."
    )
    s3_timeout_seconds: int = Field(
        default=10, ge=1, le=300, description="Bound on one call of the operator to a store."
    )
    denied_ranges: list[AddressRange] = Field(
        default=[
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/127", "fe80::/10"),
            *("fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
        ],
        description="Addresses that a user's store may not have (loopback and clouds' metadata services as default).",
    )
    progress_interval_seconds: int = Field(
        default=10, ge=1, le=300, description="How often progress is read and written; 20 runs a second at most."
    )
    resync_seconds: int = Field(
        default=300, ge=10, le=86_400, description="Every active resource is looked at at least so often."
    )
    job_ttl_seconds: int = Field(default=86_400, ge=0, le=31_536_000, description="How long finished Jobs stay.")
    node_lost_timeout_seconds: int = Field(
        default=300, ge=5, le=86_400, description="When a pod on a lost node is given up."
    )


class Proxy(SettingsModel):
    """Environment of every container that needs the network."""

    http_proxy: _Proxy | None = Field(default=None, description="HTTP_PROXY.")
    https_proxy: _Proxy | None = Field(default=None, description="HTTPS_PROXY.")
    no_proxy: _NoProxy | None = Field(default=None, description="NO_PROXY.")
    ca_config_map: DnsName | None = Field(
        default=None,
        description="ConfigMap in users' namespaces with the key ca.crt, which takes the place of the public "
        "authorities (for Git and teachers it is beside them).",
    )


class Prices(SettingsModel):
    """What GPUs cost; a run says what its pods cost an hour."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(
        default="USD", description="Currency of the prices (ISO 4217)."
    )
    gpu_hour: _Prices = Field(
        default={}, description="Price of one device for an hour, by resource name: {nvidia.com/gpu: 2.5}."
    )


class PodSecurity(SettingsModel):
    """What builders put into the pods' securityContext beyond the restricted profile."""

    run_as_user: _Id | None = Field(default=None, ge=1, description="uid; absent lets OpenShift or the image choose.")
    fs_group: _Id | None = Field(default=None, ge=0, description="fsGroup; absent lets the cluster choose.")


class NetworkPolicy(SettingsModel):
    """A NetworkPolicy for each run."""

    create: bool = Field(
        default=False, description="Make one: nobody reaches the run's pods, and they reach only what is listed here."
    )
    ports: list[Annotated[int, Field(ge=1, le=65_535)]] = Field(
        default=[443], max_length=64, description="TCP ports of buckets, teachers and proxies; DNS may always be asked."
    )
    cidrs: list[AddressRange] = Field(
        default=[], max_length=64, description="Addresses at which they may be reached; all where empty."
    )


class Settings(SettingsModel):
    """The whole file."""

    images: Images = Field(description="Images.")
    defaults: Defaults = Field(default=Defaults(), description="Defaults of every run.")
    allowed: Allowed = Field(default=Allowed(), description="What users may choose.")
    queues: Queues = Field(default=Queues(), description="Kueue.")
    taxonomies: Taxonomies = Field(default=Taxonomies(), description="Checks of taxonomies.")
    limits: Limits = Field(default=Limits(), description="Bounds on the operator's own work.")
    proxy: Proxy = Field(default=Proxy(), description="Proxies and CA bundle.")
    prices: Prices = Field(default=Prices(), description="What GPUs cost.")
    pod_security: PodSecurity = Field(default=PodSecurity(), description="securityContext of the pods.")
    pod_labels: _Labels = Field(default={}, description="Further labels of every Job and pod.")
    network_policy: NetworkPolicy = Field(default=NetworkPolicy(), description="A NetworkPolicy for each run.")
