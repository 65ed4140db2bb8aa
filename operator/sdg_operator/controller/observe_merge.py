"""What `spec.dataSources` names: the frozen choice of other runs' samples, and users' own training files."""

from collections.abc import Iterable
from functools import partial
from typing import Final, Literal

from pydantic import ValidationError

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus, DataSource
from sdg_operator.clients.protocols import Kubernetes, NotFound, ObjectStores, Resource, SecretRef
from sdg_operator.controller.observe_bucket import look_at_object, look_in
from sdg_operator.controller.observe_frozen import look_at_frozen
from sdg_operator.controller.parsing import ONE_AT_A_TIME
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Merge, Problem
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import KNOWLEDGE_FLOW, MergeFile, MixPlan, Origin, RunInputs
from sdg_operator.storage.store import Store

MAX_SOURCES: Final = 20_000
_MAX_FILES: Final = 1000
_MAX_FLOWS: Final = 16 << 20
"""Together less than the frozen choice of samples may have: a leaf takes some 700 bytes there. Each file is looked at
before the run is accepted."""


async def look_at_merge(
    api: Kubernetes, stores: ObjectStores, owner: Owner, spec: DataGenerationSpec, secret: SecretRef
) -> Look[Merge]:
    """What the data sources add, in their order."""
    whole = Merge()
    for source in spec.data_sources:
        if source.data_generation:
            name = source.data_generation
            try:
                part = await _merged_run(api, stores, owner, name, secret)
            except ValidationError:
                text = (
                    f"DataGeneration {name}, named by spec.dataSources, cannot be read by this version of the operator."
                )
                part = Look(problem=Problem(Reason.SOURCE_NOT_READY, text))
        else:
            part = await _merged_file(stores, source, secret)
        if part.found is None:
            return part
        whole = _joined(whole, part.found)
        if _too_much(whole.plan):
            text = (
                f"What spec.dataSources names, with all that merged runs merged, is more than {MAX_SOURCES} leaves, "
                f"{_MAX_FILES} files or {_MAX_FLOWS >> 20} MiB of pipelines; name fewer, or the training files of some "
                "(skillsKey, knowledgeKey)."
            )
            return Look(problem=Problem(Reason.INVALID_SPEC, text, final=True))
    return Look(whole)


def _joined(whole: Merge, part: Merge) -> Merge:
    """What two sources share is there once: a merge of merges may meet the same leaves again and again."""
    before, more = whole.plan, part.plan
    sources = {source.data.key: source for source in before.sources}
    for source in more.sources:
        sources.setdefault(source.data.key, source)
    plan = MixPlan(
        sources=tuple(sources.values()),
        origins=before.origins | more.origins,
        files=tuple(dict.fromkeys((*before.files, *more.files))),
    )
    return Merge(plan, whole.file_bytes + part.file_bytes)


def _too_much(plan: MixPlan) -> bool:
    flows = sum(len(text) for origin in plan.origins.values() for text in origin.pipeline_files.values())
    return len(plan.sources) > MAX_SOURCES or len(plan.files) > _MAX_FILES or flows > _MAX_FLOWS


async def _merged_file(stores: ObjectStores, source: DataSource, secret: SecretRef) -> Look[Merge]:
    key = source.skills_key or source.knowledge_key or ""
    kind: Literal["skills", "knowledge"] = "skills" if source.skills_key else "knowledge"
    return await _pinned(stores, (MergeFile(key=key, kind=kind),), secret)


async def _pinned(stores: ObjectStores, files: Iterable[MergeFile], secret: SecretRef) -> Look[Merge]:
    """Pin users' files as they are now; a run that merged them took them as they were, and so does who merges it."""
    pinned, whole = [], 0
    for file in files:
        look = await look_in(stores, secret, partial(look_at_object, key=file.key), "A file of spec.dataSources")
        if look.found is None:
            return Look(problem=look.problem)
        whole += look.found.size
        pinned.append(file if file.etag else file.model_copy(update={"size": look.found.size, "etag": look.found.etag}))
    return Look(Merge(MixPlan(sources=(), files=tuple(pinned)), whole))


async def _merged_run(api: Kubernetes, stores: ObjectStores, owner: Owner, name: str, secret: SecretRef) -> Look[Merge]:
    try:
        body = await api.get(Resource.DATA_GENERATIONS, owner.namespace, name)
    except NotFound:
        text = f"DataGeneration {name}, named by spec.dataSources, does not exist in namespace {owner.namespace}."
        return Look(problem=Problem(Reason.SOURCE_NOT_FOUND, text))
    status = DataGenerationStatus.model_validate(body.get("status") or {})
    resolved, digest = status.resolved, status.mix_digest
    if status.state not in TERMINAL_STATES:
        text = f"DataGeneration {name}, named by spec.dataSources, has not ended yet."
        return Look(problem=Problem(Reason.SOURCE_NOT_READY, text))
    if resolved is None or digest is None:
        text = f"DataGeneration {name}, named by spec.dataSources, ended without a sample."
        return Look(problem=Problem(Reason.SOURCE_NOT_FOUND, text, final=True))
    if resolved.storage_secret_name != secret.name:
        text = f"DataGeneration {name} lies in another bucket (Secret {resolved.storage_secret_name})."
        return Look(problem=Problem(Reason.INVALID_SPEC, text, final=True))
    layout = RunLayout.of(resolved.prefix, body["metadata"]["uid"])
    what = f"The folder of DataGeneration {name}"
    return await _frozen(stores, secret, layout, (digest, status.inputs_digest or ""), what)


async def _frozen(
    stores: ObjectStores, secret: SecretRef, layout: RunLayout, digests: tuple[str, str], what: str
) -> Look[Merge]:
    """Read a run's frozen choice of samples and its frozen inputs: what they add to a merge."""
    look = await look_in(stores, secret, partial(_read_frozen, layout=layout, digests=digests), what)
    if look.found is None:
        return Look(problem=look.problem)
    files = await _pinned(stores, look.found.files, secret)
    if files.found is None:
        return Look(problem=files.problem)
    whole = look.found.model_copy(update={"files": files.found.plan.files})
    return Look(Merge(whole, files.found.file_bytes))


def _read_frozen(store: Store, layout: RunLayout, digests: tuple[str, str]) -> Look[MixPlan]:
    frozen = []
    for digest in digests:
        look = look_at_frozen(store, layout, digest)
        if look.found is None:
            return Look(problem=look.problem)
        frozen.append(look.found)
    with ONE_AT_A_TIME:
        mix, inputs = MixPlan.model_validate_json(frozen[0]), RunInputs.model_validate_json(frozen[1])
    return Look(_as_merged(mix, inputs, layout.root))


def _as_merged(mix: MixPlan, inputs: RunInputs, root: str) -> MixPlan:
    """What a run's mix gives to another run: its own samples keep the pipeline that they were made with."""
    settings = inputs.settings
    flow = {name: text for name, text in settings.pipeline_files.items() if name == KNOWLEDGE_FLOW}
    return MixPlan(
        sources=tuple(source.model_copy(update={"origin": source.origin or root}) for source in mix.sources),
        origins=mix.origins | {root: Origin(pipeline=settings.pipeline, pipeline_files=flow)},
        files=mix.files,
    )
