"""Writes a status: once a pass, last, only if it changed, and only upon the object that was decided on."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from sdg_operator.clients.protocols import Conflict, Kubernetes, NotFound, Resource
from sdg_operator.reconcile.plan import Event
from sdg_operator.reconcile.reasons import Reason

log = logging.getLogger(__name__)


def as_json(status: BaseModel) -> dict[str, Any]:
    """The status as it is stored: camelCase, without what is unset."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def unreadable(error: ValidationError) -> Event:
    """What is said of a resource that this version of the operator makes nothing of; its status is left as it is."""
    faults = [f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in error.errors()[:3]]
    text = f"This version of the operator cannot read the resource: {'; '.join(faults)}"
    return Event("Warning", Reason.INVALID_SPEC, text[:900])


class Reporter:
    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    async def report(self, resource: Resource, body: Mapping[str, Any], old: BaseModel, new: BaseModel) -> bool:
        """Write `new` if it differs from `old`. False if the object has changed since or is gone: look again."""
        if old == new and body.get("status"):
            return True
        name = body["metadata"]["name"]
        try:
            await self._api.replace_status(resource, {**body, "status": as_json(new)})
        except Conflict:
            log.debug("status of %s is of an older look; looking again", name)
            return False
        except NotFound:
            log.debug("%s is gone", name)
            return False
        return True
