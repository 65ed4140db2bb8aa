"""The generate Job: one pod a shard, with the engine and what carries its files.

In order: `fetch` (init) fills the work folder; `teacher` (sidecar, only where the pod serves its own model) comes up;
`sync` (sidecar) carries files to the bucket; `engine` (main) works. Sidecars end in reverse order, so `sync`, the last,
is ended first and has the whole grace period to flush, however slow the teacher is to end.
"""

from typing import Final

from sdg_operator.builders import teacher
from sdg_operator.builders.failures import OUTAGES, failure_policy
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
from sdg_operator.engine.contract import ACK_SECONDS_ENV, TEACHER_PATIENCE_ENV, WORK_ENV
from sdg_operator.reconcile.jobs import GenerateJob

_ACK_SECONDS: Final = 900
"""How long a finished engine waits, with its GPU, for a store that is away: its end would lose what is not uploaded."""
_TMP: Final = "1Gi"
"""Room in an engine's /tmp: the contract asks for none, but libraries expect one, and the root is read-only."""
_RETRIES: Final = 3
"""Of one shard within one attempt; the next attempt goes on from the ledger."""
_INDEX: Final = "$(JOB_COMPLETION_INDEX)"


def build_generate(generate: GenerateJob) -> Json:
    """The Job of one generate attempt."""
    volumes = [
        scratch("work", generate.work_bytes),
        # Of its own: the engine must not see what sync is about to upload.
        scratch("spool", generate.work_bytes),
        scratch("tmp", _TMP),
        secret("storage", generate.storage_secret),
    ]
    sidecars = [_sync(generate)]
    if generate.teacher.server:
        serving, more = teacher.server(generate.teacher.server, generate.pod)
        sidecars.insert(0, serving)
        volumes += more
    else:
        volumes += authorities(generate.pod)[0]
    volumes += teacher.engine_volumes(generate.teacher)[0]
    spec: Json = {
        "completionMode": "Indexed",
        "completions": generate.shards,
        "parallelism": generate.shards,
        "podReplacementPolicy": "Failed",
        **_retries(generate.shards),
    }
    pod: Json = {"initContainers": [_fetch(generate), *sidecars], "containers": [_engine(generate)], "volumes": volumes}
    return job(generate.header, generate.pod, spec, pod)


def _retries(shards: int) -> Json:
    """How often a failed pod is followed by another. One shard of several may fail for good while the others go on.

    Where there is but one, its limit is the Job's: with a limit for each index Kubernetes keeps a failed pod until the
    next one is made, and in a namespace that is being deleted none is made, so that it would stay for ever.
    """
    if shards == 1:
        return {"backoffLimit": _RETRIES, "podFailurePolicy": failure_policy("FailJob", OUTAGES)}
    return {"backoffLimitPerIndex": _RETRIES, "podFailurePolicy": failure_policy("FailIndex", OUTAGES)}


def _carrier(generate: GenerateJob, name: str, module: str) -> Json:
    """fetch and sync: the only containers of the pod with storage credentials."""
    _, mounts = authorities(generate.pod)
    return {
        **container(name, generate.runner_image, generate.pod, generate.runner_resources),
        "command": ["python", "-m", module],
        "args": [
            f"--work={WORK}",
            f"--run-root={generate.run_root}",
            f"--attempt={generate.header.attempt}",
            f"--shard={_INDEX}",
        ],
        "env": [env("TMPDIR", "/tmp"), NODE, *network_env(generate.pod)],  # noqa: S108 - a volume
        "volumeMounts": [
            mount("work", WORK),
            mount("spool", "/tmp"),  # noqa: S108 - a volume
            mount("storage", STORAGE_FOLDER, read_only=True),
            *mounts,
        ],
    }


def _fetch(generate: GenerateJob) -> Json:
    return _carrier(generate, "fetch", "sdg_operator.storage.fetch")


def _sync(generate: GenerateJob) -> Json:
    carrier = _carrier(generate, "sync", "sdg_operator.storage.sync")
    pod_name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {
        # The node must have room for the spool as well: it may come to hold as much as the work folder.
        **with_ephemeral_storage(carrier, generate.work_bytes),
        "restartPolicy": "Always",
        "args": [*carrier["args"], "--pod=$(POD_NAME)"],
        "env": [pod_name, *carrier["env"]],
    }


def _engine(generate: GenerateJob) -> Json:
    """Any image that keeps the engine contract: its own entry point, no storage credentials."""
    _, authority_mounts = authorities(generate.pod)
    _, secret_mounts = teacher.engine_volumes(generate.teacher)
    main = container("engine", generate.engine_image, generate.pod, generate.engine_resources)
    return {
        **with_ephemeral_storage(main, generate.work_bytes),
        "env": [
            env(WORK_ENV, WORK),
            env("HOME", "/tmp"),  # noqa: S108 - a volume; under any uid there is no other
            env(ACK_SECONDS_ENV, str(_ACK_SECONDS)),
            *teacher.engine_env(generate.teacher),
            *([env(TEACHER_PATIENCE_ENV, str(patience))] if (patience := generate.teacher_patience_seconds) else []),
            *network_env(generate.pod),
        ],
        "volumeMounts": [
            mount("work", WORK),
            mount("tmp", "/tmp"),  # noqa: S108 - a volume
            *secret_mounts,
            *authority_mounts,
        ],
    }
