"""Typed inputs of Jobs: a run's from its frozen settings alone, a check's from the settings as they are now."""

from ipaddress import ip_network

from sdg_operator.api.datageneration import Resolved
from sdg_operator.api.settings import Settings
from sdg_operator.reconcile.jobs import GenerateJob, JobHeader, MixJob, PodSettings, ValidateJob
from sdg_operator.reconcile.snapshot import RunSeen, TaxonomySeen
from sdg_operator.storage.layout import RunLayout, report_key
from sdg_operator.taxonomy.request import BucketObject, GitCredential, GitTree, Limits, Network, Source, ValidateRequest

_GIT_FOLDER = "/var/run/secrets/sdg/git"
_CA_FILE = "/etc/sdg/ca/ca.crt"
_REPORT_SECONDS = 60
"""What a check keeps back of its deadline to write its report."""
_WORK_RESERVE_BYTES = 64 << 20
"""For what a check writes beside files that have a limit: indexes of packs, certificates."""


def run_pods(resolved: Resolved) -> PodSettings:
    """What all pods of a run share."""
    return PodSettings(
        image_pull_policy=resolved.image_pull_policy or "IfNotPresent",
        image_pull_secrets=tuple(resolved.image_pull_secrets),
        placement=resolved.placement,
        http_proxy=resolved.http_proxy,
        https_proxy=resolved.https_proxy,
        no_proxy=resolved.no_proxy,
        ca_config_map=resolved.ca_config_map,
        run_as_user=resolved.run_as_user,
        fs_group=resolved.fs_group,
        labels=dict(resolved.pod_labels),
        network_policy=resolved.network_policy,
    )


def check_pods(settings: Settings) -> PodSettings:
    """What the pods of checks share: the administrator's settings as they are now."""
    return PodSettings(
        image_pull_policy=settings.images.pull_policy,
        image_pull_secrets=tuple(settings.images.pull_secrets),
        placement=settings.defaults.placement,
        http_proxy=settings.proxy.http_proxy,
        https_proxy=settings.proxy.https_proxy,
        no_proxy=settings.proxy.no_proxy,
        ca_config_map=settings.proxy.ca_config_map,
        run_as_user=settings.pod_security.run_as_user,
        fs_group=settings.pod_security.fs_group,
        labels=dict(settings.pod_labels),
    )


def generate_job(seen: RunSeen, shards: int) -> GenerateJob:
    """The Job of the open generate attempt."""
    resolved, plan = seen.status.resolved, seen.status.plan
    if resolved is None or resolved.teacher is None or plan is None:
        raise ValueError("a run that generates has resolved settings with a teacher, and a plan")
    return GenerateJob(
        header=JobHeader(
            seen.owner,
            "generate",
            seen.status.attempt.number,
            resolved.queue_name,
            resolved.queue_priority_class_name,
        ),
        pod=run_pods(resolved),
        shards=shards,
        run_root=RunLayout.of(resolved.prefix, seen.owner.uid).root,
        work_bytes=plan.work_bytes,
        storage_secret=resolved.storage_secret_name,
        engine_image=resolved.engine_image,
        runner_image=resolved.runner_image,
        engine_resources=resolved.engine_resources,
        runner_resources=resolved.runner_resources,
        teacher=resolved.teacher,
        teacher_patience_seconds=resolved.teacher_patience_seconds,
    )


def mix_job(seen: RunSeen) -> MixJob:
    """The Job of the open mix attempt."""
    resolved, plan = seen.status.resolved, seen.status.plan
    if resolved is None or plan is None:
        raise ValueError("a run that mixes has resolved settings and a plan")
    return MixJob(
        header=JobHeader(seen.owner, "mix", seen.status.attempt.mix_number, resolved.auxiliary_queue_name),
        pod=run_pods(resolved),
        run_root=RunLayout.of(resolved.prefix, seen.owner.uid).root,
        work_bytes=plan.work_bytes,
        storage_secret=resolved.storage_secret_name,
        image=resolved.mix_image,
        resources=resolved.mix_resources,
    )


def validate_job(seen: TaxonomySeen) -> ValidateJob:
    """The Job of the open check."""
    settings, spec = seen.settings, seen.spec
    limits = settings.taxonomies
    header = JobHeader(seen.owner, "validate", seen.status.attempt, settings.queues.auxiliary)
    secrets = tuple(c.secret_name for c in spec.credentials)
    request = ValidateRequest(
        source=_source(seen),
        report_key=report_key(seen.owner.uid, seen.status.attempt),
        credentials=tuple(
            GitCredential(url_prefix=c.url_prefix, folder=f"{_GIT_FOLDER}/{n}") for n, c in enumerate(spec.credentials)
        ),
        limits=Limits(
            archive_bytes=limits.max_archive_bytes,
            download_bytes=limits.max_upload_bytes,
            entries=limits.max_entries,
            leaves=limits.max_leaves,
            file_bytes=limits.max_file_bytes,
            taxonomy_bytes=limits.max_taxonomy_bytes,
            repository_bytes=limits.max_repository_bytes,
            document_bytes=limits.max_document_bytes,
            git_seconds=limits.git_seconds,
            total_seconds=max(15, limits.deadline_seconds - _REPORT_SECONDS),
        ),
        network=Network(
            allowed_hosts=tuple(limits.allowed_hosts),
            denied_ranges=tuple(ip_network(text) for text in limits.denied_ranges),
        ),
        lint=limits.lint,
        ca_file=_CA_FILE if settings.proxy.ca_config_map else None,
    )
    return ValidateJob(
        header=header,
        pod=check_pods(settings),
        image=settings.images.runner,
        resources=settings.defaults.runner_resources,
        request=request.model_dump_json(by_alias=True, exclude_none=True),
        storage_secret=spec.storage_secret_name or settings.defaults.storage_secret,
        git_secrets=secrets,
        # The archive as uploaded, a repository in two packs at most, the documents and the snapshot that holds them.
        work_bytes=limits.max_upload_bytes
        + limits.max_taxonomy_bytes
        + 2 * (limits.max_repository_bytes + limits.max_document_bytes)
        + _WORK_RESERVE_BYTES,
        deadline_seconds=limits.deadline_seconds,
    )


def _source(seen: TaxonomySeen) -> Source:
    bucket, git = seen.spec.source.bucket, seen.spec.source.git
    if bucket is not None:
        return Source(bucket=BucketObject(key=bucket.key))
    if git is not None:
        return Source(git=GitTree(url=git.url, ref=git.ref, path=git.path or None, base_ref=git.base_ref))
    raise ValueError("a Taxonomy has a bucket or a git source")
