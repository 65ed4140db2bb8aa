"""The operator's stores, as one bucket whose dealings are threads of their own, and are counted."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.store import ObjectInfo, Store

T = TypeVar("T")
StoreT = TypeVar("StoreT", bound=FolderStore)

LAYOUT = RunLayout("synthetic_data/0a1b2c3d-0000-4000-8000-000000000001")
"""Where the one run lies."""


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


class CountingStore(FolderStore):
    """A folder as a store that counts what it is asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: Counter[str] = Counter()

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        self.asked["read"] += 1
        return super().get_bytes(key, max_bytes)

    def head(self, key: str) -> ObjectInfo | None:
        self.asked["head"] += 1
        return super().head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.asked[f"list {prefix.removeprefix(LAYOUT.root)}"] += 1
        for path in sorted((self._root / prefix).rglob("*")):
            if path.is_file():
                yield ObjectInfo(path.relative_to(self._root).as_posix(), path.stat().st_size, "etag")
