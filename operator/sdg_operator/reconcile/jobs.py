"""What a builder needs to make each Job: everything decided, nothing looked up."""

from dataclasses import dataclass, field

from sdg_operator.api.common import Placement, Resources
from sdg_operator.api.datageneration import ResolvedNetworkPolicy, ResolvedTeacher
from sdg_operator.reconcile.names import Owner, Role, job_labels, job_name


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What all pods of a resource share."""

    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    placement: Placement = field(default_factory=Placement)
    """With the user's further labels and annotations of Jobs and pods."""
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_config_map: str | None = None
    """ConfigMap with the key ca.crt."""
    run_as_user: int | None = None
    fs_group: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    """The administrator's further labels of Jobs and pods."""
    network_policy: ResolvedNetworkPolicy | None = None
    """What the pods may reach; no NetworkPolicy where absent."""


@dataclass(frozen=True, slots=True)
class JobHeader:
    """Whose a Job is and what it is called."""

    owner: Owner
    role: Role
    attempt: int
    """Number of the check, the generate attempt or the mix attempt; from 1."""
    queue_name: str | None = None
    """Kueue LocalQueue; label `names.QUEUE_LABEL` on the Job where given."""
    queue_priority: str | None = None
    """Kueue's WorkloadPriorityClass; label `names.QUEUE_PRIORITY_LABEL` on the Job where given."""

    @property
    def name(self) -> str:
        return job_name(self.owner, self.role, self.attempt)

    @property
    def namespace(self) -> str:
        return self.owner.namespace

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the Job and of its pods."""
        return job_labels(self.owner, self.role, self.attempt)


@dataclass(frozen=True, slots=True)
class ValidateJob:
    """One check of a Taxonomy."""

    header: JobHeader
    pod: PodSettings
    image: str
    resources: Resources
    request: str
    """`taxonomy.request.ValidateRequest` as JSON, for the variable SDG_VALIDATE."""
    storage_secret: str
    git_secrets: tuple[str, ...]
    """Mounted at /var/run/secrets/sdg/git/<position>/."""
    work_bytes: int
    """Size limit of the work folder."""
    deadline_seconds: int
    """activeDeadlineSeconds of the Job."""


@dataclass(frozen=True, slots=True)
class GenerateJob:
    """One generate attempt: an Indexed Job with one pod a shard."""

    header: JobHeader
    pod: PodSettings
    shards: int
    run_root: str
    """Folder of the run in the bucket, ``synthetic_data/<uid>``."""
    work_bytes: int
    storage_secret: str
    engine_image: str
    runner_image: str
    engine_resources: Resources
    runner_resources: Resources
    teacher: ResolvedTeacher
    teacher_patience_seconds: int | None = None
    """How long the engine bears a teacher without a good answer; its own default where absent."""


@dataclass(frozen=True, slots=True)
class MixJob:
    """One mix attempt."""

    header: JobHeader
    pod: PodSettings
    run_root: str
    work_bytes: int
    storage_secret: str
    image: str
    resources: Resources


Job = ValidateJob | GenerateJob | MixJob
