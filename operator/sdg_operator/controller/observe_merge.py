"""What `spec.dataSources` names: the frozen choice of other runs' samples, and users' own training files."""

from collections.abc import Iterable
from functools import partial
from typing import Literal

from pydantic import ValidationError

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus, DataSource
from sdg_operator.clients.protocols import Kubernetes, NotFound, ObjectStores, Resource, SecretRef
from sdg_operator.controller.observe_bucket import look_at_frozen, look_at_object, look_in
from sdg_operator.reconcile.names import Owner
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Look, Merge, Problem
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import KNOWLEDGE_FLOW, MergeFile, MixPlan, Origin, RunInputs


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
        before, more = whole.plan, part.found.plan
        plan = MixPlan(
            sources=(*before.sources, *more.sources),
            origins=before.origins | more.origins,
            files=(*before.files, *more.files),
        )
        whole = Merge(plan, whole.file_bytes + part.found.file_bytes)
    return Look(whole)


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
    frozen = []
    for digest in digests:
        look = await look_in(stores, secret, partial(look_at_frozen, layout=layout, digest_=digest), what)
        if look.found is None:
            return Look(problem=look.problem)
        frozen.append(look.found)
    mix, inputs = MixPlan.model_validate_json(frozen[0]), RunInputs.model_validate_json(frozen[1])
    files = await _pinned(stores, mix.files, secret)
    if files.found is None:
        return Look(problem=files.problem)
    whole = _as_merged(mix, inputs, layout.root).model_copy(update={"files": files.found.plan.files})
    return Look(Merge(whole, files.found.file_bytes))


def _as_merged(mix: MixPlan, inputs: RunInputs, root: str) -> MixPlan:
    """What a run's mix gives to another run: its own samples keep the pipeline that they were made with."""
    settings = inputs.settings
    flow = {name: text for name, text in settings.pipeline_files.items() if name == KNOWLEDGE_FLOW}
    return MixPlan(
        sources=tuple(source.model_copy(update={"origin": source.origin or root}) for source in mix.sources),
        origins=mix.origins | {root: Origin(pipeline=settings.pipeline, pipeline_files=flow)},
        files=mix.files,
    )
