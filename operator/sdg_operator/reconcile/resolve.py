"""Which settings a run gets: its spec laid over the administrator's defaults, within what they allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from sdg_operator.api.common import Placement, Resources
from sdg_operator.api.datageneration import (
    DataGenerationSpec,
    Resolved,
    ResolvedNetworkPolicy,
    ResolvedTeacher,
    TeacherServer,
)
from sdg_operator.api.settings import NetworkPolicy, OverridableField, Settings
from sdg_operator.api.taxonomy import TaxonomySpec
from sdg_operator.reconcile.names import is_reserved
from sdg_operator.reconcile.price import pod_hour_price
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Problem, TeacherFound

_DEFAULT_LOADING_SECONDS: Final = 1800
"""Where the spec of a served model is silent."""
_BESIDE_LOADING_SECONDS: Final = 600
"""What a start takes beside the loading of the model: images to pull, leaves to fetch, a dead server to be noticed."""
_WHO = "The administrator of the operator can change that in its settings"


@dataclass(frozen=True, slots=True)
class Choice:
    """The names that must be looked up before a run can be resolved."""

    storage_secret: str
    teacher_secret: str | None
    server: TeacherServer | None
    pipeline: str
    pipeline_config_map: str | None
    queue_name: str | None = None
    queue_priority: str | None = None


def storage_secret(spec: DataGenerationSpec, taxonomy_secret: str | None, settings: Settings) -> str:
    """The storage Secret of a run: its own, else its Taxonomy's, else the default."""
    own = spec.output.secret_name if spec.output else None
    return own or taxonomy_secret or settings.defaults.storage_secret


def taxonomy_storage(spec: TaxonomySpec, settings: Settings) -> str:
    """The storage Secret of a Taxonomy: where its source and its snapshots lie."""
    return spec.storage_secret_name or settings.defaults.storage_secret


def choose(
    spec: DataGenerationSpec,
    taxonomy_secret: str | None,
    settings: Settings,
    queue_name: str | None = None,
    queue_priority: str | None = None,
) -> Choice:
    """Return what the spec asks for; whether it may, `refusal` says."""
    server = spec.teacher.server if spec.teacher else None
    teacher_secret = (spec.teacher.secret_name if spec.teacher else None) or settings.defaults.teacher_secret
    config_map = spec.pipeline.config_map_name if spec.pipeline else None
    name = (spec.pipeline.name if spec.pipeline else None) or settings.defaults.pipeline
    return Choice(
        storage_secret=storage_secret(spec, taxonomy_secret, settings),
        teacher_secret=None if server else teacher_secret,
        server=server,
        pipeline="custom" if config_map else name,
        pipeline_config_map=config_map,
        queue_name=queue_name,
        queue_priority=queue_priority,
    )


def refusal(spec: DataGenerationSpec, settings: Settings) -> Problem | None:
    """Return why the administrator's settings do not allow this spec; None where they do."""
    for text in _refusals(spec, settings):
        return Problem(Reason.NOT_ALLOWED, f"{text}. {_WHO}.", final=True)
    return None


def taxonomy_refusal(spec: TaxonomySpec, settings: Settings) -> Problem | None:
    """Return why the administrator's settings do not allow this Taxonomy; None where they do."""
    allowed = settings.allowed
    texts = [
        *(
            _secret(spec.storage_secret_name, "spec.storageSecretName", allowed.storage_secrets)
            if spec.storage_secret_name
            else ()
        ),
        *(text for c in spec.credentials for text in _secret(c.secret_name, "spec.credentials", allowed.git_secrets)),
    ]
    return Problem(Reason.NOT_ALLOWED, f"{texts[0]}. {_WHO}.", final=True) if texts else None


def _groups(spec: DataGenerationSpec) -> Iterator[tuple[OverridableField, str]]:
    deadlines = (spec.start_deadline_seconds, spec.active_deadline_seconds)
    if spec.teacher is not None:
        yield "teacher", "spec.teacher"
    if spec.engine is not None:
        yield "engine", "spec.engine"
    if spec.pipeline is not None:
        yield "pipeline", "spec.pipeline"
    if spec.generation is not None:
        yield "generation", "spec.generation"
    if spec.output is not None:
        yield "output", "spec.output"
    if spec.parallelism is not None:
        yield "parallelism", "spec.parallelism"
    if spec.placement != Placement():
        yield "placement", "spec.placement"
    if deadlines != (None, None):
        yield "deadlines", "spec.startDeadlineSeconds and spec.activeDeadlineSeconds"
    if spec.output is not None and spec.output.secret_name is not None:
        yield "storage", "spec.output.secretName"


def _refusals(spec: DataGenerationSpec, settings: Settings) -> Iterator[str]:
    allowed = settings.allowed
    for group, field in _groups(spec):
        if group not in allowed.fields:
            yield f"{field} must not be set: {group} is not among the fields that runs may override"
    if spec.output and spec.output.secret_name:
        yield from _secret(spec.output.secret_name, "spec.output.secretName", allowed.storage_secrets)
    if spec.teacher and spec.teacher.secret_name:
        yield from _secret(spec.teacher.secret_name, "spec.teacher.secretName", allowed.teacher_secrets)
    if spec.engine and spec.engine.image:
        yield from _image(spec.engine.image, "spec.engine.image", settings)
    if spec.teacher and (server := spec.teacher.server):
        yield from _image(server.image, "spec.teacher.server.image", settings)
        if server.model and server.model.image:
            yield from _image(server.model.image, "spec.teacher.server.model.image", settings)
        if server.model and server.model.hub and (token := server.model.hub.token_secret_name):
            yield from _secret(token, "spec.teacher.server.model.hub.tokenSecretName", allowed.model_secrets)
    for key in (*spec.placement.labels, *spec.placement.annotations):
        if is_reserved(key):
            yield f"spec.placement must not set {key!r}: its prefix is reserved"


def _secret(name: str, field: str, allowed: list[str]) -> Iterator[str]:
    if name not in allowed:
        yield f"{field} names Secret {name!r}; allowed are: {', '.join(sorted(allowed)) or 'none'}"


def _image(image: str, field: str, settings: Settings) -> Iterator[str]:
    globs = [settings.images.engine, *settings.allowed.images]
    if not any(image == glob or fnmatchcase(image, glob) for glob in globs):
        yield f"{field} {image!r} is not among the allowed images ({', '.join(globs)})"


def resolved_teacher(choice: Choice, found: TeacherFound | None) -> ResolvedTeacher | None:
    """Return the teacher as it is frozen; None where nothing was found."""
    if choice.server:
        port = choice.server.port or 8000
        return ResolvedTeacher(
            endpoint=f"http://127.0.0.1:{port}/v1", model=choice.server.model_name, server=choice.server
        )
    if found is None:
        return None
    return ResolvedTeacher(
        secret_name=choice.teacher_secret,
        endpoint=found.endpoint,
        model=found.model,
        has_token=found.has_token,
        has_ca=found.has_ca,
    )


def resolve(
    spec: DataGenerationSpec,
    settings: Settings,
    choice: Choice,
    teacher: ResolvedTeacher | None,
    pipeline_digest: str | None,
) -> Resolved:
    """Freeze every setting of a run."""
    d, s, g = settings.defaults, settings, spec.generation
    engine = spec.engine
    engine_resources = laid_over(d.engine_resources, engine.resources if engine else None)

    def given(name: str, default: int) -> int:
        value = getattr(g, name) if g else None
        return default if value is None else int(value)

    return Resolved(
        storage_secret_name=choice.storage_secret,
        prefix=((spec.output.prefix if spec.output else None) or d.prefix).strip("/"),
        engine_image=(engine.image if engine else None) or s.images.engine,
        runner_image=s.images.runner,
        mix_image=s.images.engine,
        image_pull_policy=s.images.pull_policy,
        image_pull_secrets=list(s.images.pull_secrets),
        teacher=teacher,
        pipeline=choice.pipeline,
        pipeline_digest=pipeline_digest,
        scale_factor=given("scale_factor", d.scale_factor),
        batch_size=given("batch_size", d.batch_size),
        max_concurrency=given("max_concurrency", d.max_concurrency),
        max_tokens=given("max_tokens", d.max_tokens),
        model_family=(g.model_family if g else None) or d.model_family,
        system_prompt=g.system_prompt if g else None,
        preview=spec.preview.samples_per_leaf if spec.preview else None,
        parallelism=spec.parallelism or d.parallelism,
        engine_resources=engine_resources,
        mix_resources=d.mix_resources,
        runner_resources=d.runner_resources,
        http_proxy=s.proxy.http_proxy,
        https_proxy=s.proxy.https_proxy,
        no_proxy=s.proxy.no_proxy,
        ca_config_map=s.proxy.ca_config_map,
        run_as_user=s.pod_security.run_as_user,
        fs_group=s.pod_security.fs_group,
        pod_labels=dict(s.pod_labels),
        pod_hour_price=pod_hour_price(engine_resources, choice.server, s.prices),
        placement=overlay(d.placement, spec.placement),
        queue_name=choice.queue_name,
        queue_priority_class_name=choice.queue_priority,
        network_policy=_network_policy(s.network_policy),
        auxiliary_queue_name=s.queues.auxiliary,
        max_failed_leaves=d.max_failed_leaves if spec.max_failed_leaves is None else spec.max_failed_leaves,
        max_fruitless_attempts=d.max_fruitless_attempts
        if spec.max_fruitless_attempts is None
        else spec.max_fruitless_attempts,
        start_deadline_seconds=spec.start_deadline_seconds or _start_deadline(d.start_deadline_seconds, choice.server),
        active_deadline_seconds=spec.active_deadline_seconds or d.active_deadline_seconds,
        job_ttl_seconds=s.limits.job_ttl_seconds,
        node_lost_timeout_seconds=s.limits.node_lost_timeout_seconds,
        teacher_patience_seconds=d.teacher_patience_seconds or _patience(choice.server),
    )


def _network_policy(settings: NetworkPolicy) -> ResolvedNetworkPolicy | None:
    if not settings.create:
        return None
    return ResolvedNetworkPolicy(ports=list(settings.ports), cidrs=list(settings.cidrs))


def _patience(server: TeacherServer | None) -> int | None:
    """As long as a served model needs to start again after it has died, with what its probes take to find out."""
    return None if server is None else _start_seconds(server)


def _start_deadline(default: int | None, server: TeacherServer | None) -> int | None:
    """The administrator's deadline, but never so short that a served model cannot use its own time to load."""
    return default if default is None or server is None else max(default, _start_seconds(server))


def _start_seconds(server: TeacherServer) -> int:
    return loading_seconds(server.start_timeout_seconds) + _BESIDE_LOADING_SECONDS


def loading_seconds(given: int | None) -> int:
    """How long a served model may load before its start-up probe restarts it."""
    return given or _DEFAULT_LOADING_SECONDS


def laid_over(default: Resources, own: Resources | None) -> Resources:
    """A run's resources laid over the administrator's, one by one: what the run names it has as it says, limit and
    request alike. So who asks for a GPU alone still has the bounds that a quota may want of each container."""
    if own is None:
        return default
    named = own.limits.keys() | own.requests.keys()
    return Resources(
        limits={**{name: amount for name, amount in default.limits.items() if name not in named}, **own.limits},
        requests={**{name: amount for name, amount in default.requests.items() if name not in named}, **own.requests},
    )


def overlay(default: Placement, own: Placement) -> Placement:
    """A run's placement laid over the administrator's: maps are merged, lists joined, single values replaced."""
    return Placement(
        node_selector={**default.node_selector, **own.node_selector},
        tolerations=[*default.tolerations, *(t for t in own.tolerations if t not in default.tolerations)],
        priority_class_name=own.priority_class_name or default.priority_class_name,
        runtime_class_name=own.runtime_class_name or default.runtime_class_name,
        labels={**default.labels, **own.labels},
        annotations={**default.annotations, **own.annotations},
    )
