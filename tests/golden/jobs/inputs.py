"""Inputs of the golden Jobs: what a user and an administrator may ask for, from the least to all of it."""

from sdg_operator.api.common import Placement, Resources, Toleration
from sdg_operator.api.datageneration import (
    EnvVar,
    HubModel,
    ResolvedNetworkPolicy,
    ResolvedTeacher,
    ServedModel,
    TeacherServer,
)
from sdg_operator.api.settings import Defaults
from sdg_operator.reconcile.jobs import GenerateJob, Job, JobHeader, MixJob, PodSettings, ValidateJob
from sdg_operator.reconcile.names import Kind, Owner, Role

_UID = "5f0c1e9e-3c7a-4e0f-9a55-0d5a3c1b7e21"
_RUN_ROOT = f"synthetic_data/{_UID}"
_GIB = 2**30
_ENGINE = "registry.example/sdg-engine:1.0"
_RUNNER = "registry.example/sdg-runner:1.0"
_ENGINE_RESOURCES = Defaults().engine_resources
_RUNNER_RESOURCES = Defaults().runner_resources

EVERYTHING = PodSettings(
    image_pull_policy="Always",
    image_pull_secrets=("registry-key",),
    placement=Placement(
        node_selector={"gpu": "h100"},
        tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
        priority_class_name="batch-low",
        runtime_class_name="nvidia",
        labels={"team.example/name": "birds"},
        annotations={"team.example/contact": "birds@example.org"},
    ),
    http_proxy="http://proxy.example:3128",
    https_proxy="http://proxy.example:3128",
    no_proxy=".svc,.cluster.local",
    ca_config_map="trusted-ca",
    run_as_user=1234,
    fs_group=5678,
    labels={"cost-center.example/id": "42"},
)


def _header(kind: Kind, role: Role, queue: str | None = None) -> JobHeader:
    name = "birds" if kind == "Taxonomy" else "birds-1"
    priority = "urgent" if queue else None
    return JobHeader(Owner(kind, "team-birds", name, _UID), role, attempt=2, queue_name=queue, queue_priority=priority)


def _generate(
    teacher: ResolvedTeacher,
    pod: PodSettings,
    *,
    shards: int = 1,
    queue: str | None = None,
    patience: int | None = None,
) -> GenerateJob:
    return GenerateJob(
        header=_header("DataGeneration", "generate", queue),
        pod=pod,
        shards=shards,
        run_root=_RUN_ROOT,
        work_bytes=_GIB,
        storage_secret="sdg-storage",
        engine_image=_ENGINE,
        runner_image=_RUNNER,
        engine_resources=_ENGINE_RESOURCES,
        runner_resources=_RUNNER_RESOURCES,
        teacher=teacher,
        teacher_patience_seconds=patience,
    )


def _served(server: TeacherServer) -> ResolvedTeacher:
    return ResolvedTeacher(
        endpoint=f"http://127.0.0.1:{server.port or 8000}/v1", model=server.model_name, server=server
    )


_ENDPOINT = ResolvedTeacher(
    secret_name="sdg-teacher", endpoint="https://teacher.example/v1", model="mixtral", has_token=True, has_ca=True
)
# As vLLM's own documentation serves a model: image and entry point as published, two GPUs, weights from a volume.
_VLLM = TeacherServer(
    image="docker.io/vllm/vllm-openai:v0.11.0",
    model=ServedModel(pvc="models"),
    model_name="mixtral",
    args=["/models/mixtral", "--served-model-name", "mixtral", "--tensor-parallel-size", "2"],
    env=[EnvVar(name="VLLM_LOGGING_LEVEL", value="INFO")],
    resources=Resources(limits={"nvidia.com/gpu": 2, "memory": "96Gi"}, requests={"cpu": 8}),
    shm_size="16Gi",
    start_timeout_seconds=3600,
)
_FROM_HUB = TeacherServer(
    image="docker.io/vllm/vllm-openai:v0.11.2",
    model=ServedModel(hub=HubModel(name="example/small", token_secret_name="hub-token")),
    model_name="small",
    port=9000,
    health_path="/ready",
)
_OWN_COMMAND = TeacherServer(
    image="registry.example/small-teacher:1",
    model=ServedModel(image="registry.example/weights:1"),
    model_name="small",
    command=["serve", "/models"],
)


def _validate(secrets: tuple[str, ...], pod: PodSettings) -> ValidateJob:
    return ValidateJob(
        header=_header("Taxonomy", "validate"),
        pod=pod,
        image=_RUNNER,
        resources=_RUNNER_RESOURCES,
        request='{"formatVersion":1}',
        storage_secret="sdg-storage",
        git_secrets=secrets,
        work_bytes=2 * _GIB,
        deadline_seconds=900,
    )


def _mix(pod: PodSettings) -> MixJob:
    return MixJob(
        header=_header("DataGeneration", "mix"),
        pod=pod,
        run_root=_RUN_ROOT,
        work_bytes=_GIB,
        storage_secret="sdg-storage",
        image=_ENGINE,
        resources=_ENGINE_RESOURCES,
    )


JOBS: dict[str, Job] = {
    "generate-endpoint": _generate(_ENDPOINT, PodSettings()),
    "generate-everything": _generate(_ENDPOINT, EVERYTHING, shards=4, queue="gpus", patience=3600),
    "generate-vllm": _generate(_served(_VLLM), PodSettings(), shards=2),
    "generate-hub": _generate(_served(_FROM_HUB), EVERYTHING),
    "generate-own-command": _generate(_served(_OWN_COMMAND), PodSettings()),
    "validate-bucket": _validate((), PodSettings()),
    "validate-git": _validate(("git-https", "git-ssh"), EVERYTHING),
    "mix": _mix(PodSettings()),
    "mix-everything": _mix(EVERYTHING),
}

OWNER = Owner("DataGeneration", "team-birds", "birds-1", _UID)
POLICY = ResolvedNetworkPolicy(ports=[443, 9000], cidrs=["10.1.0.0/16"])
