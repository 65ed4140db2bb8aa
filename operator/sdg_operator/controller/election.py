"""Who works, where there are two replicas: the holder of a Lease.

Correctness never rests on it (Jobs are made by POST under names that only one can have, a status only upon the object
that was decided on); it saves work and noise. Whether a holder is still there is judged by the local monotonic clock
and by changes of the Lease, never by comparing the times that two machines wrote.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sdg_operator.clients.errors import Conflict, KubernetesError, NotFound
from sdg_operator.clients.protocols import Json, Kubernetes, Resource

LEASE_SECONDS: Final = 10.0
"""A holder that has not renewed for so long is taken to be gone."""
RENEW_SECONDS: Final = 6.0
"""A holder that could not renew for so long stops by itself, before another may begin."""
RETRY_SECONDS: Final = 1.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """Where the Lease lies, and its name: each installation has its own."""

    namespace: str
    name: str


class Lost(Exception):
    """This replica may no longer work."""


class Election:
    """One candidate."""

    def __init__(self, api: Kubernetes, lease: Lease, identity: str, *, pod_uid: str | None = None) -> None:
        """`identity` is the name of our own pod where its uid is given: the Lease then goes with it."""
        self._api = api
        self._namespace = lease.namespace
        self._name = lease.name
        self._identity = identity
        self._pod_uid = pod_uid
        self._seen: tuple[str, float] | None = None
        """resourceVersion of the Lease and when it was first seen (loop time)."""
        self._renewed = 0.0
        """When the call that renewed it last was begun (loop time): the others count from when they see the change,
        which is later."""

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        said = ""
        while True:
            self._renewed = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(RENEW_SECONDS):  # an answer that comes later is none to begin work on
                    holder = await self._try()
            except TimeoutError:
                holder = "unknown (the API server is slow)"
            except KubernetesError as error:
                holder = f"unknown ({error.message})"
            if holder == self._identity:
                log.info("%s leads", self._identity)
                return
            if holder != said:
                log.info("standing by; the leader is %s", holder or "not known yet")
                said = holder
            # Not in step with the other candidates.
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def hold(self) -> None:
        """Keep renewing; raises `Lost` as soon as another may have taken over."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            began = clock()
            try:
                async with asyncio.timeout_at(self._renewed + RENEW_SECONDS):
                    holder = await self._try()
            except KubernetesError as error:
                log.warning("the Lease was not renewed: %s", error.message)
            except TimeoutError as error:
                raise Lost(f"the Lease could not be renewed for {RENEW_SECONDS:g} s") from error
            else:
                if holder != self._identity:
                    raise Lost(f"{holder or 'another'} leads now")
                self._renewed = began

    async def release(self) -> None:
        """Let another begin at once. Best effort."""
        try:
            lease = await self._api.get(Resource.LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._api.replace(Resource.LEASES, lease)
        except KubernetesError as error:
            log.debug("the Lease was not released: %s", error.message)

    async def _try(self) -> str:
        """Take or renew the Lease if that is our right; gives the holder's identity."""
        now = asyncio.get_running_loop().time()
        try:
            lease = await self._api.get(Resource.LEASES, self._namespace, self._name)
        except NotFound:
            return await self._write(self._body({}, {}))
        spec, version = lease.get("spec") or {}, str(lease["metadata"]["resourceVersion"])
        holder = str(spec.get("holderIdentity") or "")
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
        free = not holder or holder == self._identity or now - self._seen[1] > LEASE_SECONDS
        return await self._write(self._body(lease["metadata"], spec)) if free else holder

    async def _write(self, body: Json) -> str:
        try:
            if "resourceVersion" in body["metadata"]:
                await self._api.replace(Resource.LEASES, body)
            else:
                await self._api.create(Resource.LEASES, self._namespace, body)
        except (Conflict, NotFound):
            return ""  # another was faster; the next look says who
        return self._identity

    def _body(self, meta: Json, spec: Json) -> Json:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        mine = spec.get("holderIdentity") == self._identity
        return {
            "apiVersion": Resource.LEASES.api_version,
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                **({"resourceVersion": meta["resourceVersion"]} if meta else {}),
                **({"ownerReferences": [self._owner()]} if self._pod_uid else {}),
            },
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(LEASE_SECONDS),
                "acquireTime": spec.get("acquireTime", now) if mine else now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if mine else 1),
            },
        }

    def _owner(self) -> Json:
        """The pod that leads: the chart does not know the Lease, so nothing else would take it away in the end."""
        return {"apiVersion": "v1", "kind": "Pod", "name": self._identity, "uid": self._pod_uid}
