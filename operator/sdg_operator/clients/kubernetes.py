"""The API server, as plain JSON.

The `kubernetes` library does what it does well (kubeconfig, tokens, TLS, proxies); its models are left out, for they
cost more than twice the CPU of a call.
"""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from sdg_operator.clients.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    KubernetesError,
    NotFound,
    Refused,
    Unavailable,
)
from sdg_operator.clients.login import LoginFailed, authorization, log_in
from sdg_operator.clients.protocols import Json
from sdg_operator.clients.resources import Resource

FIELD_MANAGER: Final = "sdg-operator"
_TIMEOUT_SECONDS: Final = 10.0
_LIST_TIMEOUT_SECONDS: Final = 60.0
"""A list behind many finished objects can take half a minute on a slow etcd."""
_RELOGIN_SECONDS: Final = 5.0
_MAX_MESSAGE: Final = 2048

log = logging.getLogger(__name__)


@asynccontextmanager
async def connect(kubeconfig: Path | None = None) -> AsyncIterator["KubernetesApi"]:
    """Log in and give the gateway; nothing is asked of the server yet. Raises `LoginFailed`."""
    api = KubernetesApi(kubeconfig, await log_in(kubeconfig))
    try:
        yield api
    finally:
        await api.close()


class KubernetesApi:
    """The gateway `protocols.Kubernetes`. Nothing is retried here but a call that a stale login spoiled."""

    def __init__(self, kubeconfig: Path | None, configuration: Configuration) -> None:
        self._kubeconfig = kubeconfig
        self._configuration = configuration
        self._rest = RESTClientObject(configuration)
        self._login_lock = asyncio.Lock()
        self._logged_in = time.monotonic()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._configuration.host)

    async def close(self) -> None:
        await self._rest.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        return await self._call("GET", resource.path(namespace, name))

    async def raw(self, path: str) -> Json:
        return await self._call("GET", path)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> AsyncIterator[list[Json]]:
        query = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            page = await self._call("GET", resource.path(namespace), query, seconds=_LIST_TIMEOUT_SECONDS)
            yield page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> list[Json]:
        pages = self.pages(resource, namespace, label_selector=label_selector, field_selector=field_selector)
        return [item async for page in pages for item in page]

    async def secret(self, namespace: str, name: str) -> dict[str, str]:
        found = await self.get(Resource.SECRETS, namespace, name)
        values: dict[str, str] = {}
        for key, encoded in (found.get("data") or {}).items():
            try:
                values[key] = base64.b64decode(encoded).decode()
            except UnicodeDecodeError:
                continue
        return values

    async def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> Json:
        return await self._call("POST", resource.path(namespace), {"fieldManager": FIELD_MANAGER}, body)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        options: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": propagation,
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self._call("DELETE", resource.path(namespace, name), {}, options)

    async def replace_status(self, resource: Resource, body: Mapping[str, Any]) -> Json:
        return await self._put(resource, body, "status")

    async def replace(self, resource: Resource, body: Mapping[str, Any]) -> Json:
        return await self._put(resource, body, None)

    async def _put(self, resource: Resource, body: Mapping[str, Any], subresource: str | None) -> Json:
        meta = body["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        return await self._call("PUT", path, {"fieldManager": FIELD_MANAGER}, body)

    async def patch(self, resource: Resource, namespace: str | None, name: str, patch: Mapping[str, Any]) -> Json:
        try:
            return await self._call(
                "PATCH",
                resource.path(namespace, name),
                {"fieldManager": FIELD_MANAGER},
                patch,
                content_type="application/merge-patch+json",
            )
        except Refused as error:
            # A uid in a patch is a precondition for most kinds (409); a Job's validation sees an edit (422).
            if "metadata.uid" in error.message:
                raise Conflict(error.message, status=error.status, reason=error.reason) from error
            raise

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        seconds: float = _TIMEOUT_SECONDS,
    ) -> Json:
        url = f"{self.server}{path}{'?' + urlencode(query) if query else ''}"
        asked = time.monotonic()
        status, headers, content = await self._send(method, url, body, content_type, seconds)
        if status == 401 and await self._renewed_since(asked):
            status, headers, content = await self._send(method, url, body, content_type, seconds)
        return _read(f"{method} {path}", status, headers, content)

    async def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None, content_type: str, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        if token := await authorization(self._configuration):
            headers["Authorization"] = token
        timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, 5.0))
        try:
            answer = await self._rest.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
            return answer.status, answer.headers, await answer.read()
        except TimeoutError as error:
            raise Unavailable(f"no answer from {self.server} within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"cannot reach {self.server}: {error or type(error).__name__}") from error

    async def _renewed_since(self, asked: float) -> bool:
        """Log in anew after a 401 (an exec plug-in's or a kubeconfig's token has run out); False if that is no help."""
        async with self._login_lock:
            if self._logged_in > asked:
                return True
            if time.monotonic() - self._logged_in < _RELOGIN_SECONDS:
                return False
            try:
                configuration = await log_in(self._kubeconfig)
            except LoginFailed as error:
                log.warning("%s", error)
                return False
            old, self._configuration, self._rest = self._rest, configuration, RESTClientObject(configuration)
            self._logged_in = time.monotonic()
            await old.close()
            return True


def _read(what: str, status: int, headers: Mapping[str, str], content: bytes) -> Json:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
        if 200 <= status < 300:
            raise Unavailable(f"{what}: the answer is no JSON object; is this a Kubernetes API server?", status=status)
    if 200 <= status < 300:
        return answer
    raise _error(what, status, headers, answer)


def _error(what: str, status: int, headers: Mapping[str, str], answer: Json) -> KubernetesError:
    reason = str(answer.get("reason") or "")
    message = str(answer.get("message") or f"{what}: HTTP {status}")[:_MAX_MESSAGE]
    match status:
        case 404:
            return NotFound(message, status=status, reason=reason)
        case 409:
            return (AlreadyExists if reason == "AlreadyExists" else Conflict)(message, status=status, reason=reason)
        case 401 | 403:
            return Forbidden(message, status=status, reason=reason)
        case 410 | 429:  # 410: a list's continue token has run out; begin again
            return Unavailable(message, status=status, reason=reason, retry_after=_seconds(headers.get("Retry-After")))
        case _ if 400 <= status < 500:
            return Refused(message, status=status, reason=reason)
    return Unavailable(message, status=status, reason=reason, retry_after=_seconds(headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
