"""Does what a plan asks for, action by action, and says which refusal stopped it."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from sdg_operator.builders import build, build_network_policy
from sdg_operator.clients.protocols import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Kubernetes,
    NotFound,
    ObjectStores,
    Refused,
    Resource,
    SecretRef,
    Unavailable,
)
from sdg_operator.controller.copying import Copies, Copy, CopyFailed
from sdg_operator.controller.observe_bucket import problem
from sdg_operator.reconcile.cluster import job_view
from sdg_operator.reconcile.names import WATCH_LABEL, Key, Owner
from sdg_operator.reconcile.plan import (
    Action,
    CopySnapshot,
    CreateJob,
    DeleteJob,
    DeleteNetworkPolicy,
    DeletePod,
    PutObject,
    PutObjects,
    ReleaseJob,
)
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import Problem
from sdg_operator.storage.store import StorageError, Store

_AT_ONCE: Final = 50
"""Objects written in one dealing with a store: few enough for its bound of time where each takes a second."""
_WRITERS: Final = 3
"""Fewer than the places of a namespace: others of it are served meanwhile."""
_WRITE_SECONDS: Final = 30.0
"""Then what is left is for the next pass: a pass has a bound, and what holds the run back is to be said."""

log = logging.getLogger(__name__)


class Stopped(Exception):
    """An action could not be done; those after it were not tried."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Executor:
    """Carries plans out. Every action may be replayed: a name that is taken and an object that is gone are fine."""

    def __init__(self, api: Kubernetes, stores: ObjectStores) -> None:
        self._api = api
        self._stores = stores
        self._copies = Copies(stores)
        self._written: dict[Key, dict[tuple[SecretRef, str], int]] = {}
        """Of plans that were not done to their end: what was written where, as hashes of the bodies."""

    async def stop(self) -> None:
        """End what goes on beside the passes."""
        await self._copies.stop()

    def forget(self, key: Key) -> None:
        """The resource has ended or is gone."""
        self._written.pop(key, None)

    async def execute(self, owner: Owner, storage_secret: str | None, actions: Iterable[Action]) -> None:
        """Do the actions in order; raises `Stopped` at the first that is refused."""
        for action in actions:
            match action:
                case PutObject():
                    await self._put(owner, storage_secret, (action,))
                case PutObjects(objects):
                    await self._put(owner, storage_secret, objects)
                case CopySnapshot():
                    await self._copy(owner.namespace, action)
                case CreateJob(job):
                    if policy := job.pod.network_policy:
                        body = build_network_policy(owner, policy)
                        await self._create(Resource.NETWORK_POLICIES, body, owner.namespace)
                    await self._create(Resource.JOBS, build(job), owner.namespace)
                case DeleteNetworkPolicy(name):
                    await self._delete_network_policy(owner, name)
                case DeleteJob():
                    await self._delete(owner, action)
                case DeletePod():
                    await self._delete_pod(owner.namespace, action)
                case ReleaseJob():
                    await self._release(owner.namespace, action)
        self.forget(owner.key)

    async def _put(self, owner: Owner, storage_secret: str | None, objects: Sequence[PutObject]) -> None:
        if storage_secret is None:
            raise AssertionError("an object was to be written before its store was known")
        secret = SecretRef(owner.namespace, storage_secret)
        # A single object costs nothing to write again, and its Job may need it long after.
        written = self._written.setdefault(owner.key, {}) if len(objects) > 1 else {}
        left = [each for each in objects if written.get((secret, each.key)) != hash(each.body)]
        until = time.monotonic() + _WRITE_SECONDS

        def write(part: Sequence[PutObject], store: Store) -> None:
            for each in part:
                store.put_bytes(each.key, each.body)
                written[secret, each.key] = hash(each.body)

        async def write_on() -> None:
            while left and time.monotonic() < until:
                part = left[-_AT_ONCE:]
                del left[-_AT_ONCE:]
                await self._stores.run(secret, partial(write, part))

        for error in await asyncio.gather(*(write_on() for _ in range(_WRITERS)), return_exceptions=True):
            if isinstance(error, StorageError):
                raise Stopped(problem(error, "The run's folder in the bucket cannot be written", secret)) from error
            if error is not None:
                raise error
        if left:
            text = f"{len(objects) - len(left)} of {len(objects)} records are written into the run's folder."
            raise Stopped(Problem(Reason.FETCHING, text))

    async def _copy(self, namespace: str, action: CopySnapshot) -> None:
        """A large snapshot takes longer than a pass may: until it is there the run waits, and says how far it is."""
        copy = Copy(action.digest, SecretRef(namespace, action.from_secret), SecretRef(namespace, action.to_secret))
        try:
            under_way = await self._copies.ask(copy)
        except CopyFailed as failed:
            what = "The snapshot cannot be brought into the run's bucket"
            raise Stopped(problem(failed.error, what, failed.secret)) from failed
        if under_way:
            raise Stopped(Problem(Reason.FETCHING, f"The snapshot is brought into the run's bucket: {under_way}."))

    async def _create(self, resource: Resource, body: dict[str, Any], namespace: str) -> None:
        name = f"{body['kind']} {body['metadata']['name']}"
        try:
            await self._api.create(resource, namespace, body)
            log.info("made %s", name)
        except AlreadyExists:
            log.info("%s is there already", name)
        except (Refused, Forbidden) as error:
            quota = isinstance(error, Forbidden) and error.quota
            reason = Reason.QUOTA_EXCEEDED if quota else Reason.ADMISSION_REFUSED
            raise Stopped(Problem(reason, f"The cluster does not take {name}: {error.message}")) from error
        except Unavailable as error:
            if not error.webhook:
                raise
            text = f"The cluster does not take {name}: {error.message}"
            raise Stopped(Problem(Reason.ADMISSION_REFUSED, text)) from error

    async def _delete(self, owner: Owner, action: DeleteJob) -> None:
        """Only a Job that itself tells whose it is. Of a pod's Job we know by the pod, whose maker may have written any
        name there, and who may make pods may not delete others' Jobs by our hand."""
        try:
            job = job_view(await self._api.get(Resource.JOBS, owner.namespace, action.name))
            if not job.says_it_is_of(owner.uid):
                log.warning("Job %s is not of %s: it stays", action.name, owner.key)
                return
            log.info("deleting Job %s: %s", action.name, action.reason)
            await self._api.delete(Resource.JOBS, owner.namespace, action.name, uid=action.uid)
        except (NotFound, Conflict):
            log.debug("Job %s is gone already", action.name)

    async def _delete_pod(self, namespace: str, action: DeletePod) -> None:
        try:
            log.info("deleting pod %s: %s", action.name, action.reason)
            await self._api.delete(Resource.PODS, namespace, action.name, uid=action.uid)
        except (NotFound, Conflict):
            log.debug("pod %s is gone already", action.name)

    async def _delete_network_policy(self, owner: Owner, name: str) -> None:
        """Best effort: a policy that stays selects no pod, and goes with its run."""
        try:
            found = await self._api.get(Resource.NETWORK_POLICIES, owner.namespace, name)
            meta = found["metadata"]
            if any(reference["uid"] == owner.uid for reference in meta.get("ownerReferences", [])):
                await self._api.delete(Resource.NETWORK_POLICIES, owner.namespace, name, uid=meta["uid"])
        except (NotFound, Conflict, Forbidden) as error:
            log.debug("NetworkPolicy %s stays: %s", name, error)

    async def _release(self, namespace: str, action: ReleaseJob) -> None:
        """Best effort: a Job that keeps its label only costs the watch something."""
        patch = {
            "metadata": {"uid": action.uid, "labels": {WATCH_LABEL: None}},
            "spec": {"ttlSecondsAfterFinished": action.ttl_seconds},
        }
        try:
            await self._api.patch(Resource.JOBS, namespace, action.name, patch)
        except (NotFound, Conflict, Refused, Forbidden) as error:
            log.debug("Job %s keeps its label: %s", action.name, error)
