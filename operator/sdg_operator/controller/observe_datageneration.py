"""One look at a DataGeneration: reads what a decision about it needs, and no more."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import DataGenerationSpec, DataGenerationStatus, TaxonomyRef
from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.clients.protocols import Kubernetes, NotFound, ObjectStores, Resource, SecretRef
from sdg_operator.controller import observe
from sdg_operator.controller.observe_bucket import look_at_result, look_in, problem
from sdg_operator.controller.observe_frozen import FrozenCache, look_at_frozen, look_at_frozen_plan
from sdg_operator.controller.observe_index import look_at_index
from sdg_operator.controller.observe_ledger import Memory, look_at_ledger, look_at_work
from sdg_operator.controller.observe_merge import MAX_SOURCES, look_at_merge
from sdg_operator.controller.observe_taxonomy import source_revision
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cluster import EventView, JobView, PodView
from sdg_operator.reconcile.names import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, Key, Owner, Role, job_name
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.resolve import choose, taxonomy_storage
from sdg_operator.reconcile.run_accept import pinned
from sdg_operator.reconcile.run_guards import has_started
from sdg_operator.reconcile.snapshot import (
    Look,
    Problem,
    RunSeen,
    Surroundings,
    TaxonomyFound,
    TeacherFound,
)
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import LeafRecord, MixPlan, SnapshotIndex
from sdg_operator.storage.store import StorageError

_PIPELINE_FILES: Final = ("knowledge.yaml", "freeform_skills.yaml", "grounded_skills.yaml")
_MAX_PIPELINE_BYTES: Final = 512 * 1024
_PROGRESS_A_SECOND: Final = 20


def progress_interval(usual: float, runs: int) -> float:
    """Seconds between two looks at a run's progress: stretched where many runs are at work, so that their progress, and
    the status writes that it leads to, never take the time that changes of state need."""
    return max(usual, runs / _PROGRESS_A_SECOND)


class RunObserver:
    """Looks at runs. Remembers between passes only what can be read again."""

    def __init__(self, api: Kubernetes, stores: ObjectStores, settings: Settings) -> None:
        self._api = api
        self._stores = stores
        self._settings = settings
        self._frozen = FrozenCache()
        self._memories: dict[Key, tuple[str, Memory]] = {}
        self._indexes: dict[str, SnapshotIndex] = {}
        self._reused: dict[Key, tuple[str, Memory]] = {}
        """Run that is not accepted yet → uid and records of the one that it reuses."""

    def forget(self, key: Key) -> None:
        """The run has ended or is gone."""
        self._memories.pop(key, None)
        self._reused.pop(key, None)

    def _memory(self, owner: Owner) -> Memory:
        return _memory_of(owner.uid, owner.key, self._memories)

    def read(self, body: Mapping[str, Any], now: datetime) -> RunSeen:
        """What the object itself says; raises `ValidationError`."""
        meta = body["metadata"]
        labels = meta.get("labels") or {}
        return RunSeen(
            owner=Owner("DataGeneration", meta["namespace"], meta["name"], meta["uid"]),
            generation=int(meta.get("generation", 0)),
            created=clock.from_text(meta.get("creationTimestamp")) or now,
            spec=DataGenerationSpec.model_validate(body.get("spec") or {}),
            status=DataGenerationStatus.model_validate(body.get("status") or {}),
            settings=self._settings,
            deleting=bool(meta.get("deletionTimestamp")),
            queue_name=labels.get(QUEUE_LABEL),
            queue_priority=labels.get(QUEUE_PRIORITY_LABEL),
        )

    async def look(self, read: RunSeen, now: datetime) -> RunSeen:
        """Return what a decision about this object may rest on."""
        owner, spec, status = read.owner, read.spec, read.status
        if read.deleting:
            return read
        if status.state in TERMINAL_STATES:
            return replace(read, jobs=await observe.jobs_of(self._api, owner))
        if status.phase in (None, "Pending"):
            waits = spec.suspend or spec.cancel
            around = Surroundings() if waits else await self._surroundings(owner, spec, read.created)
            return replace(read, surroundings=around)
        self._reused.pop(owner.key, None)
        return await self._look_at_work(read, now)

    async def _look_at_work(self, read: RunSeen, now: datetime) -> RunSeen:
        owner, status = read.owner, read.status
        mixing = status.phase == "Mixing"
        role: Role = "mix" if mixing else "generate"
        number = status.attempt.mix_number if mixing else status.attempt.number
        # The Job first, the pods next, the bucket last: what an ended Job wrote is then there to be seen.
        job = await observe.job_named(self._api, owner.namespace, job_name(owner, role, number)) if number else None
        _, pods = await observe.pods(self._api, owner)
        events: tuple[EventView, ...] = ()
        queue_message = ""
        if job is not None and not job.finished and _not_moving(job, pods):
            events, queue_message = await observe.explanations(self._api, owner.namespace, job, pods)
        seen = replace(read, job=job, pods=pods, events=events, queue_message=queue_message)
        return await self._look_at_bucket(seen, now)

    async def _look_at_bucket(self, seen: RunSeen, now: datetime) -> RunSeen:
        status, owner = seen.status, seen.owner
        resolved = status.resolved
        if resolved is None or status.inputs_digest is None:
            return seen
        layout = RunLayout.of(resolved.prefix, owner.uid)
        memory = self._memory(owner)
        mono = time.monotonic()
        mixing = status.phase == "Mixing"
        at_work = seen.job is not None and not seen.job.finished and not seen.job.deleting
        interval = progress_interval(self._settings.limits.progress_interval_seconds, len(self._memories))
        due = mono - memory.read_at >= interval
        ledger = memory.ledger if at_work and memory.read_at and not due else Look()
        secret = SecretRef(owner.namespace, resolved.storage_secret_name)
        digest, mix_digest, merge_digest = status.inputs_digest, status.mix_digest, status.merge_digest
        attempt = status.attempt
        # The frozen choice of samples says all that a mix needs.
        inputs = Look(None if mixing else self._frozen.known(digest))
        if not mixing and inputs.found is None:
            inputs = await look_in(
                self._stores, secret, lambda s: self._frozen.look_at_inputs(s, layout, digest), "The run's inputs"
            )
        if ledger == Look() and (mixing or inputs.found):
            what = "The run's folder in the bucket"
            if mixing:
                most = _most_leaves(seen, self._settings)
                ledger = await look_in(self._stores, secret, lambda s: look_at_result(s, layout, most), what)
            else:
                leaves = {leaf.id for leaf in inputs.found.leaves} if inputs.found else set()
                ledger = await look_at_work(
                    self._stores,
                    secret,
                    memory,
                    lambda s: look_at_ledger(s, layout, memory, attempt.number, leaves, deciding=not at_work),
                    what,
                )
            memory.ledger, memory.read_at = ledger, mono
        mix: Look[bytes] = Look()
        if mixing and mix_digest and attempt.mix_job_uid is None:
            mix = await look_in(
                self._stores, secret, lambda s: look_at_frozen(s, layout, mix_digest), "The frozen choice of samples"
            )
        merge: Look[MixPlan] = Look()
        if not mixing and not at_work and merge_digest:
            merge = await look_in(
                self._stores,
                secret,
                lambda s: look_at_frozen_plan(s, layout, merge_digest),
                "The frozen choice of merges",
            )
        trouble = memory.judge(inputs.problem or mix.problem or merge.problem, mono)
        if trouble:
            ledger = Look(problem=trouble)
        found = ledger.found
        marks = (
            (status.attempt.number, status.attempt.mix_number, len(found.records), found.progress) if found else None
        )
        return replace(
            seen,
            inputs=inputs.found,
            ledger=ledger,
            merge_plan=merge.found,
            mix_plan=mix.found,
            signal=memory.note(marks or memory.fingerprint, now, mono),
        )

    # --- until a run is accepted ---

    async def _surroundings(self, owner: Owner, spec: DataGenerationSpec, created: datetime) -> Surroundings:
        """Look at what an acceptance needs, up to the first problem."""
        around: dict[str, Any] = {}
        taxonomy: TaxonomyFound | None = None
        digest: str | Problem | None = None
        if spec.taxonomy_ref is not None:
            around["taxonomy"] = await self._taxonomy(owner, spec.taxonomy_ref)
            taxonomy = around["taxonomy"].found
            digest = pinned(spec.taxonomy_ref.digest, taxonomy, created) if taxonomy else None
            if taxonomy is None or isinstance(digest, Problem):
                return Surroundings(**around)
        choice = choose(spec, taxonomy.spec.storage_secret_name if taxonomy else None, self._settings)
        secret = SecretRef(owner.namespace, choice.storage_secret)
        try:
            around["storage"] = Look(await self._stores.bucket(secret))
        except StorageError as error:
            return Surroundings(**around, storage=Look(problem=problem(error, "The bucket cannot be used", secret)))
        if spec.data_sources:
            around["merge"] = await look_at_merge(self._api, self._stores, owner, spec, secret)
        if taxonomy is None or not isinstance(digest, str):
            return Surroundings(**around)
        home = SecretRef(owner.namespace, taxonomy_storage(taxonomy.spec, self._settings))
        around["index"] = await self._index(home, digest)
        if choice.teacher_secret:
            around["teacher"] = await self._teacher(owner.namespace, choice.teacher_secret)
        if choice.pipeline_config_map:
            around["pipeline_files"] = await self._pipeline(owner.namespace, choice.pipeline_config_map)
        if spec.reuse:
            around["reuse"] = await self._reuse(owner, spec.reuse.name, secret, around["index"].found)
        return Surroundings(**around)

    async def _taxonomy(self, owner: Owner, ref: TaxonomyRef) -> Look[TaxonomyFound]:
        name = ref.name
        try:
            body = await self._api.get(Resource.TAXONOMIES, owner.namespace, name)
        except NotFound:
            text = f"Taxonomy {name} does not exist in namespace {owner.namespace}."
            return Look(problem=Problem(Reason.TAXONOMY_NOT_FOUND, text))
        meta = body["metadata"]
        try:
            spec = TaxonomySpec.model_validate(body.get("spec") or {})
            status = TaxonomyStatus.model_validate(body.get("status") or {})
        except ValidationError:
            text = f"Taxonomy {name} cannot be read by this version of the operator."
            return Look(problem=Problem(Reason.TAXONOMY_NOT_READY, text))
        revision: Look[str] = Look()
        if spec.source.bucket and ref.digest is None:
            revision = await source_revision(self._stores, owner.namespace, spec, self._settings)
            if revision.problem:
                return Look(problem=revision.problem)
        generation = int(meta.get("generation", 0))
        return Look(TaxonomyFound(name, meta["uid"], generation, spec, status, revision.found))

    async def _index(self, secret: SecretRef, digest: str) -> Look[SnapshotIndex]:
        if (known := self._indexes.get(digest)) is not None:
            return Look(known)
        most = self._settings.taxonomies.max_leaves
        what = "The snapshot cannot be read"
        found = await look_in(self._stores, secret, lambda s: look_at_index(s, digest, most), what)
        if found.found is not None:
            self._indexes = {digest: found.found}  # runs of one moment mostly share one snapshot
        return found

    async def _teacher(self, namespace: str, name: str) -> Look[TeacherFound]:
        found = await observe.secret(self._api, namespace, name, ("endpoint", "model_name"))
        if found.found is None:
            return Look(problem=found.problem)
        data = found.found
        endpoint = data["endpoint"].strip()
        if not endpoint.startswith(("http://", "https://")):
            text = f"endpoint in Secret {name} must be an http:// or https:// address."
            return Look(problem=Problem(Reason.SECRET_INCOMPLETE, text))
        return Look(
            TeacherFound(
                endpoint[:1024], data["model_name"].strip()[:255], bool(data.get("api_token")), bool(data.get("ca.crt"))
            )
        )

    async def _pipeline(self, namespace: str, name: str) -> Look[Mapping[str, str]]:
        try:
            body = await self._api.get(Resource.CONFIG_MAPS, namespace, name)
        except NotFound:
            text = f"ConfigMap {name} does not exist in namespace {namespace}."
            return Look(problem=Problem(Reason.CONFIG_MAP_NOT_FOUND, text))
        data = body.get("data") or {}
        # All of them: a flow names the files with its prompts.
        files = {file: str(text) for file, text in data.items() if file.endswith(".yaml")}
        if not any(file in files for file in _PIPELINE_FILES):
            text = f"ConfigMap {name} has none of {', '.join(_PIPELINE_FILES)}."
            return Look(problem=Problem(Reason.CONFIG_MAP_NOT_FOUND, text))
        if sum(len(text) for text in files.values()) > _MAX_PIPELINE_BYTES:
            text = f"ConfigMap {name} is larger than {_MAX_PIPELINE_BYTES} bytes."
            return Look(problem=Problem(Reason.INVALID_SPEC, text, final=True))
        return Look(files)

    async def _reuse(
        self, owner: Owner, name: str, secret: SecretRef, index: SnapshotIndex | None
    ) -> Look[tuple[LeafRecord, ...]]:
        try:
            body = await self._api.get(Resource.DATA_GENERATIONS, owner.namespace, name)
            status = DataGenerationStatus.model_validate(body.get("status") or {})
        except (NotFound, ValidationError):
            text = f"DataGeneration {name}, named by spec.reuse, does not exist in namespace {owner.namespace}."
            return Look(problem=Problem(Reason.REUSE_NOT_FOUND, text))
        resolved = status.resolved
        if resolved is None or index is None:
            return Look(())
        if resolved.storage_secret_name != secret.name:
            text = (
                f"DataGeneration {name}, named by spec.reuse, lies in another bucket ({resolved.storage_secret_name})."
            )
            return Look(problem=Problem(Reason.INVALID_SPEC, text, final=True))
        uid = body["metadata"]["uid"]
        layout = RunLayout.of(resolved.prefix, uid)
        # Remembered between passes: thousands of records of a distant store take more than one.
        memory = _memory_of(uid, owner.key, self._reused)
        leaves = {leaf.id for leaf in index.leaves}
        ledger = await look_at_work(
            self._stores,
            secret,
            memory,
            lambda store: look_at_ledger(store, layout, memory, 0, leaves, deciding=True),
            f"The folder of DataGeneration {name} cannot be read",
        )
        return Look(ledger.found.records if ledger.found else None, ledger.problem)


def _most_leaves(seen: RunSeen, settings: Settings) -> int:
    """Of how many leaves a run's manifest may tell: its own, and those of merged runs."""
    plan = seen.status.plan
    own = plan.leaves if plan else settings.taxonomies.max_leaves
    return own + (MAX_SOURCES if seen.spec.data_sources else 0)


def _memory_of(uid: str, key: Key, memories: dict[Key, tuple[str, Memory]]) -> Memory:
    """What is remembered for a key, while it is of the object with this uid; else a new memory."""
    known, memory = memories.get(key, ("", Memory()))
    if known != uid:
        memory = Memory()
        memories[key] = (uid, memory)
    return memory


def _not_moving(job: JobView, pods: tuple[PodView, ...]) -> bool:
    """Whether somebody may ask why: a pod of the Job does not have its main container at work, or is not there."""
    mine = [pod for pod in pods if pod.job_uid == job.uid]
    unmade = len({pod.index for pod in mine}) < job.completions
    return job.suspended or unmade or any(pod.alive and not has_started(pod) for pod in mine)
