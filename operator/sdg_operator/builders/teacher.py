"""The teacher: a served model beside the engine, made for vLLM as published; or an endpoint's token and CA."""

from typing import Final

from sdg_operator.api.datageneration import ResolvedTeacher, ServedModel, TeacherServer
from sdg_operator.builders.pod import Json, authorities, container, env, literal, mount, network_env, scratch
from sdg_operator.engine.contract import (
    TEACHER_CA_FILE_ENV,
    TEACHER_MODEL_ENV,
    TEACHER_TOKEN_FILE_ENV,
    TEACHER_URL_ENV,
)
from sdg_operator.reconcile.jobs import PodSettings
from sdg_operator.reconcile.resolve import loading_seconds

_FOLDER: Final = "/var/run/secrets/sdg/teacher"
_HOME: Final = "/home/teacher"
_MODELS: Final = "/models"
_PROBE_SECONDS: Final = 5
DEFAULT_PORT: Final = 8000
DEFAULT_HEALTH_PATH: Final = "/health"


def engine_env(teacher: ResolvedTeacher) -> list[Json]:
    """How the engine reaches its teacher. The token is a file, so that a rotated one is read without a restart."""
    known = [env(TEACHER_URL_ENV, teacher.endpoint), env(TEACHER_MODEL_ENV, teacher.model)]
    if teacher.secret_name is not None and teacher.has_token:
        known.append(env(TEACHER_TOKEN_FILE_ENV, f"{_FOLDER}/api_token"))
    if teacher.secret_name is not None and teacher.has_ca:
        known.append(env(TEACHER_CA_FILE_ENV, f"{_FOLDER}/ca.crt"))
    return known


def engine_volumes(teacher: ResolvedTeacher) -> tuple[list[Json], list[Json]]:
    """Volumes and mounts of an endpoint's Secret: of its keys only those that the engine may see."""
    if teacher.secret_name is None:
        return [], []
    items = [{"key": key, "path": key} for key in ("api_token", "ca.crt")]
    # Both keys are optional: an endpoint may need no token and have a public certificate.
    volume = {"name": "teacher-secret", "secret": {"secretName": teacher.secret_name, "items": items, "optional": True}}
    return [volume], [mount("teacher-secret", _FOLDER, read_only=True)]


def server(teacher: TeacherServer, pod: PodSettings) -> tuple[Json, list[Json]]:
    """The sidecar that serves the model, and its volumes.

    It has GPUs and its own token only. A server that never starts keeps the pod Pending: the start-up probe ends it,
    and the operator sees it restart.
    """
    port = teacher.port or DEFAULT_PORT
    probe = {"httpGet": {"path": teacher.health_path or DEFAULT_HEALTH_PATH, "port": port}}
    start_seconds = loading_seconds(teacher.start_timeout_seconds)
    volumes, mounts = authorities(pod)
    volumes = [*volumes, scratch("teacher-home"), scratch("teacher-tmp")]
    mounts = [*mounts, mount("teacher-home", _HOME), mount("teacher-tmp", "/tmp")]  # noqa: S108 - a volume
    if teacher.shm_size:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": teacher.shm_size}})
        mounts.append(mount("shm", "/dev/shm"))  # noqa: S108 - shared memory of several GPUs
    weights = _weights(teacher, pod)
    if weights:
        volumes.append(weights)
        mounts.append(mount("models", _MODELS, read_only=True))
    serving = {
        **container("teacher", teacher.image, pod, teacher.resources, read_only=False),
        "restartPolicy": "Always",
        "args": list(teacher.args),
        "env": [
            *_caches(),
            *network_env(pod),
            *_hub_token(teacher),
            *(env(item.name, item.value) for item in teacher.env),
        ],
        "ports": [{"name": "teacher", "containerPort": port}],
        "startupProbe": {
            **probe,
            "periodSeconds": _PROBE_SECONDS,
            "failureThreshold": -(-start_seconds // _PROBE_SECONDS),
        },
        # A busy server answers late; only one that is silent for minutes is ended.
        "livenessProbe": {**probe, "periodSeconds": 15, "timeoutSeconds": 10, "failureThreshold": 12},
        "volumeMounts": mounts,
    }
    if teacher.command:
        serving["command"] = list(teacher.command)
    elif teacher.model is not None and not teacher.args:
        # With its command: what vLLM's older images start by themselves passes over a model that is named so.
        serving["command"] = ["vllm", "serve"]
        serving["args"] = _usual_args(teacher, port, teacher.model)
    return serving, volumes


def _usual_args(teacher: TeacherServer, port: int, model: ServedModel) -> list[str]:
    """What ``vllm serve`` needs."""
    weights = model.hub.name if model.hub else _MODELS
    return [literal(weights), "--served-model-name", literal(teacher.model_name), "--port", str(port)]


def _caches() -> list[Json]:
    """HOME and every cache that vLLM, PyTorch, Triton and the hub's client use, on a volume that any uid may write.

    USER, for PyTorch asks for the name of a uid that OpenShift chose and no passwd file knows.
    """
    folders = {
        "HF_HOME": "huggingface",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "TRITON_CACHE_DIR": "triton",
        "TORCHINDUCTOR_CACHE_DIR": "inductor",
    }
    return [
        env("HOME", _HOME),
        env("USER", "sdg"),
        *(env(name, f"{_HOME}/{folder}") for name, folder in folders.items()),
    ]


def _weights(teacher: TeacherServer, pod: PodSettings) -> Json | None:
    model = teacher.model
    if model and model.pvc:
        return {"name": "models", "persistentVolumeClaim": {"claimName": model.pvc, "readOnly": True}}
    if model and model.image:
        return {"name": "models", "image": {"reference": model.image, "pullPolicy": pod.image_pull_policy}}
    return None


def _hub_token(teacher: TeacherServer) -> list[Json]:
    if not (teacher.model and teacher.model.hub and teacher.model.hub.token_secret_name):
        return []
    key = {"name": teacher.model.hub.token_secret_name, "key": "HF_TOKEN"}
    return [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}}]
