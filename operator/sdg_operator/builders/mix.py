"""The mix Job: one pod, CPU only; the GPUs are free by then."""

from typing import Final

from sdg_operator.builders.failures import failure_policy
from sdg_operator.builders.pod import (
    NODE,
    STORAGE_FOLDER,
    WORK,
    Json,
    authorities,
    container,
    env,
    job,
    mount,
    network_env,
    scratch,
    secret,
    with_ephemeral_storage,
)
from sdg_operator.engine.contract import WORK_ENV
from sdg_operator.reconcile.jobs import MixJob

_RETRIES: Final = 2
"""Within one attempt, for a node's troubles; what no retry can cure ends the Job at once."""


def build_mix(mix: MixJob) -> Json:
    """The Job of one mix attempt."""
    volumes, mounts = authorities(mix.pod)
    main = {
        **with_ephemeral_storage(container("mix", mix.image, mix.pod, mix.resources), mix.work_bytes),
        "command": ["python", "-m", "sdg_operator.engine.mix"],
        "args": [f"--work={WORK}", f"--run-root={mix.run_root}"],
        "env": [env(WORK_ENV, WORK), env("TMPDIR", "/tmp"), NODE, *network_env(mix.pod)],  # noqa: S108 - a volume
        "volumeMounts": [
            mount("work", WORK),
            mount("tmp", "/tmp"),  # noqa: S108 - a volume
            mount("storage", STORAGE_FOLDER, read_only=True),
            *mounts,
        ],
    }
    spec: Json = {
        "backoffLimit": _RETRIES,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": failure_policy("FailJob"),
    }
    pod: Json = {
        "containers": [main],
        "volumes": [
            scratch("work", mix.work_bytes),
            scratch("tmp", mix.work_bytes),
            secret("storage", mix.storage_secret),
            *volumes,
        ],
    }
    return job(mix.header, mix.pod, spec, pod)
