"""The operator's stores, as one bucket whose dealings are threads of their own."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.store import Store

T = TypeVar("T")
StoreT = TypeVar("StoreT", bound=FolderStore)


class OneBucket(Generic[StoreT]):
    """Counts how many dealings there are at once."""

    def __init__(self, store: StoreT) -> None:
        self.store = store
        self.at_work = 0
        self.most_at_work = 0

    async def bucket(self, secret: SecretRef) -> str:
        return secret.name

    async def run(self, _: SecretRef, work: Callable[[Store], T]) -> T:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            return await asyncio.to_thread(work, self.store)
        finally:
            self.at_work -= 1
