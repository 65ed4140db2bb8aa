"""One look at a Taxonomy: reads what a decision about it needs, and no more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.clients.protocols import Kubernetes, ObjectStores, SecretRef
from sdg_operator.controller import observe
from sdg_operator.controller.observe_bucket import look_in
from sdg_operator.reconcile.cluster import EventView, pod_view
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.names import CHECK_REQUESTED_ANNOTATION, Owner, job_name
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.resolve import taxonomy_storage
from sdg_operator.reconcile.snapshot import Look, Problem, TaxonomySeen
from sdg_operator.storage.store import Store
from sdg_operator.taxonomy.report import SERVICE_TEXT

NOT_RETRIEVED: Final = SERVICE_TEXT["SourceNotFound"]
_STORAGE_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_BUCKET")


async def source_revision(stores: ObjectStores, namespace: str, spec: TaxonomySpec, settings: Settings) -> Look[str]:
    """ETag of a bucket source as it is now; nothing for Git."""
    if spec.source.bucket is None:
        return Look()
    key = spec.source.bucket.key
    secret = SecretRef(namespace, taxonomy_storage(spec, settings))
    return await look_in(stores, secret, lambda store: _etag(store, key), NOT_RETRIEVED)


def _etag(store: Store, key: str) -> Look[str]:
    info = store.head(key)
    if info is None:
        text = f"{NOT_RETRIEVED} There is no object {key} in the bucket."
        return Look(problem=Problem(Reason.SOURCE_NOT_FOUND, text))
    return Look(info.etag)


class TaxonomyObserver:
    def __init__(self, api: Kubernetes, stores: ObjectStores, settings: Settings) -> None:
        self._api = api
        self._stores = stores
        self._settings = settings

    async def look(self, body: Mapping[str, Any], wanted: tuple[datetime, datetime] | None) -> TaxonomySeen:
        """Return what a decision about this object may rest on; `wanted`: first and latest run that wait for it."""
        wanted_since, wanted_after = wanted or (None, None)
        meta = body["metadata"]
        owner = Owner("Taxonomy", meta["namespace"], meta["name"], meta["uid"])
        spec = TaxonomySpec.model_validate(body.get("spec") or {})
        status = TaxonomyStatus.model_validate(body.get("status") or {})
        basics: dict[str, Any] = {
            "owner": owner,
            "generation": int(meta.get("generation", 0)),
            "spec": spec,
            "status": status,
            "settings": self._settings,
            "deleting": bool(meta.get("deletionTimestamp")),
            "check_request": (meta.get("annotations") or {}).get(CHECK_REQUESTED_ANNOTATION, "")[:255] or None,
            "wanted_after": wanted_after,
            "wanted_since": wanted_since,
        }
        if basics["deleting"]:
            return TaxonomySeen(**basics)
        if status.check.open:
            return await self._look_at_check(basics, owner, spec, status)
        secrets = await self._secrets(owner.namespace, spec)
        revision: Look[str] = Look()
        if secrets.problem is None:
            revision = await source_revision(self._stores, owner.namespace, spec, self._settings)
        lost = revision.found is not None and await self._snapshot_lost(owner.namespace, spec, status)
        return TaxonomySeen(**basics, secrets=secrets, source_revision=revision, snapshot_lost=lost)

    async def _snapshot_lost(self, namespace: str, spec: TaxonomySpec, status: TaxonomyStatus) -> bool:
        """See that what runs would use is there. Of a repository each run has a snapshot made anyway."""
        ready, snapshot = find(status.conditions, "Ready"), status.snapshot
        if snapshot is None or ready is None or ready.status != "True":
            return False
        secret = SecretRef(namespace, taxonomy_storage(spec, self._settings))
        found = await look_in(self._stores, secret, lambda store: Look(store.head(snapshot.key) is None), "")
        return bool(found.found)

    async def _secrets(self, namespace: str, spec: TaxonomySpec) -> Look[frozenset[str]]:
        """See that the storage Secret is complete and the Git Secrets are there."""
        name = taxonomy_storage(spec, self._settings)
        found = await observe.secret(self._api, namespace, name, _STORAGE_KEYS)
        for credentials in spec.credentials:
            if found.problem:
                break
            if credentials.secret_name in self._settings.allowed.git_secrets:
                found = await observe.secret(self._api, namespace, credentials.secret_name, ())
        return Look(problem=found.problem) if found.problem else Look(frozenset({name}))

    async def _look_at_check(
        self, basics: dict[str, Any], owner: Owner, spec: TaxonomySpec, status: TaxonomyStatus
    ) -> TaxonomySeen:
        job = await observe.job_named(self._api, owner.namespace, job_name(owner, "validate", status.attempt))
        if job is None and status.check.job_uid is None:
            return TaxonomySeen(**basics, secrets=await self._secrets(owner.namespace, spec))
        bodies, pods = await observe.pods(self._api, owner)
        events: tuple[EventView, ...] = ()
        queue_message = ""
        if job is not None and not job.finished:
            events, queue_message = await observe.explanations(self._api, owner.namespace, job, pods)
        report = next((r for b in bodies if (r := _report(b, status.check.job_uid))), None)
        return TaxonomySeen(**basics, job=job, pods=pods, events=events, queue_message=queue_message, report=report)


def _report(pod: Mapping[str, Any], job_uid: str | None) -> str | None:
    """Termination message of the check's own pod."""
    view = pod_view(pod)
    if job_uid is None or view.job_uid != job_uid or view.main is None or view.main.state != "terminated":
        return None
    return view.main.message or None
