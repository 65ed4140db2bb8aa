"""What the controller asks of the outside. Nothing here does I/O; `kubernetes` and `stores` do."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from sdg_operator.clients.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    KubernetesError,
    NotFound,
    Refused,
    Unavailable,
)
from sdg_operator.clients.resources import Resource
from sdg_operator.storage.store import Store

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "Json",
    "Kubernetes",
    "KubernetesError",
    "NotFound",
    "ObjectStores",
    "Refused",
    "Resource",
    "SecretRef",
    "Unavailable",
]

Json = dict[str, Any]
T = TypeVar("T")


class Kubernetes(Protocol):
    """The API server. Objects are plain JSON; every call has a time-out and raises `errors.KubernetesError`."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Read one object; raises `NotFound`."""

    def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> AsyncIterator[list[Json]]:
        """Read a list page by page (`limit` objects each); all namespaces where none is given."""

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> list[Json]:
        """Read a whole list; for lists that are known to be short."""

    async def secret(self, namespace: str, name: str) -> dict[str, str]:
        """Read a Secret's values as text (what is no UTF-8 is left out); raises `NotFound`, `Forbidden`."""

    async def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> Json:
        """POST; raises `AlreadyExists`, `Forbidden` (rights, quota), `Refused` (admission)."""

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
        """DELETE this very object; raises `NotFound`, or `Conflict` if the name belongs to another by now."""

    async def replace_status(self, resource: Resource, body: Mapping[str, Any]) -> Json:
        """PUT the status subresource; `body` carries the resourceVersion it rests on, else `Conflict`."""

    async def replace(self, resource: Resource, body: Mapping[str, Any]) -> Json:
        """PUT a whole object under the resourceVersion that it carries; raises `Conflict`."""

    async def patch(self, resource: Resource, namespace: str | None, name: str, patch: Mapping[str, Any]) -> Json:
        """Merge patch. With ``metadata.uid`` in it the call raises `Conflict` if the name belongs to another by now."""

    async def raw(self, path: str) -> Json:
        """GET any path, for example ``/version``."""


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """A storage Secret by its place."""

    namespace: str
    name: str


class ObjectStores(Protocol):
    """Buckets by their storage Secret. A slow, broken or hostile one costs its own users time, nobody else."""

    async def run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        """Run `work` in a thread with the Secret's store.

        Raises `StorageRefused` (SecretNotFound, SecretKeyMissing, AddressDenied, or what the store refuses),
        `StorageUnavailable` (Timeout, Busy, CircuitOpen, or what the store cannot do now), and what `work` raises. A
        thread cannot be stopped: after Timeout `work` goes on for at most one more call of the store.
        """

    async def bucket(self, secret: SecretRef) -> str:
        """Name of the Secret's bucket; raises as `run` does where the Secret cannot be used."""
