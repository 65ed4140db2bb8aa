"""The validate Job: one small pod, the only one that meets Git and its credentials."""

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
from sdg_operator.reconcile.jobs import ValidateJob
from sdg_operator.taxonomy.request import REQUEST_ENV

_GIT_FOLDER: Final = "/var/run/secrets/sdg/git"
_RETRIES: Final = 0
"""The operator repeats a check by itself, as another Job; so one Job has one pod, and one report."""


def build_validate(check: ValidateJob) -> Json:
    """The Job of one check of a Taxonomy."""
    volumes, mounts = authorities(check.pod)
    git = [(f"git-{n}", name, f"{_GIT_FOLDER}/{n}") for n, name in enumerate(check.git_secrets)]
    main = {
        **with_ephemeral_storage(container("validate", check.image, check.pod, check.resources), check.work_bytes),
        "command": ["python", "-m", "sdg_operator.taxonomy.validate"],
        "env": [
            env(REQUEST_ENV, check.request),
            env("HOME", f"{WORK}/home"),
            env("TMPDIR", "/tmp"),  # noqa: S108 - a volume
            NODE,
            *network_env(check.pod),
        ],
        "volumeMounts": [
            mount("work", WORK),
            mount("tmp", "/tmp"),  # noqa: S108 - a volume
            mount("storage", STORAGE_FOLDER, read_only=True),
            *(mount(volume, folder, read_only=True) for volume, _, folder in git),
            *mounts,
        ],
    }
    spec: Json = {
        "backoffLimit": _RETRIES,
        "activeDeadlineSeconds": check.deadline_seconds,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": failure_policy("FailJob"),
    }
    pod: Json = {
        "containers": [main],
        "volumes": [
            scratch("work", check.work_bytes),
            scratch("tmp"),
            secret("storage", check.storage_secret),
            *(secret(volume, name) for volume, name, _ in git),
            *volumes,
        ],
    }
    return job(check.header, check.pod, spec, pod)
