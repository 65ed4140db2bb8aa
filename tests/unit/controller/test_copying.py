"""Copies of snapshots beside each other: none twice, none for long in another's way, none half left."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.controller import copying
from sdg_operator.controller.copying import Copies, Copy
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.store import Store

T = TypeVar("T")
BODY = b"a snapshot of some parts"


class Counting(FolderStore):
    """Counts what is begun and put."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.asked: Counter[str] = Counter()

    def begin_upload(self, key: str) -> str:
        self.asked["begin"] += 1
        return super().begin_upload(key)

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        self.asked["put"] += 1
        return super().put_part(key, upload, number, body)

    def left_over(self) -> list[Path]:
        return [path for path in self.root.rglob(".part-*") if path.is_dir()]


class Buckets:
    """A bucket for each namespace and Secret. `pause`: seconds that each dealing with a namespace's stores takes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stores: dict[SecretRef, Counting] = {}
        self.pause: dict[str, float] = {}

    def of(self, secret: SecretRef) -> Counting:
        if secret not in self.stores:
            self.stores[secret] = Counting(self.root / secret.namespace / secret.name)
        return self.stores[secret]

    async def bucket(self, secret: SecretRef) -> str:
        return secret.name

    async def run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        await asyncio.sleep(self.pause.get(secret.namespace, 0.0))
        return work(self.of(secret))

    def copy(self, namespace: str, body: bytes = BODY) -> Copy:
        """A snapshot that is to be brought from a namespace's one bucket to its other, byte by byte."""
        copy = Copy(
            f"sha256:{hashlib.sha256(body).hexdigest()}", SecretRef(namespace, "home"), SecretRef(namespace, "away")
        )
        self.of(copy.source).put_bytes(copy.key, body)
        return copy


@pytest.fixture
def buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    monkeypatch.setattr(copying, "PART_BYTES", 1)
    return Buckets(tmp_path)


async def brought(copies: Copies, copy: Copy) -> None:
    async with asyncio.timeout(60):
        while await copies.ask(copy) is not None:
            pass


async def test_passes_that_ask_at_once_share_one_copy(buckets: Buckets) -> None:
    copies, copy = Copies(buckets), buckets.copy("team-a")
    await asyncio.gather(*(brought(copies, copy) for _ in range(10)))
    assert buckets.of(copy.target).asked == {"begin": 1, "put": len(BODY)}


async def test_a_pass_whose_look_was_slow_does_not_copy_again(buckets: Buckets) -> None:
    copies, copy = Copies(buckets), buckets.copy("team-a")
    looked, go_on, run = asyncio.Event(), asyncio.Event(), buckets.run

    async def slow(secret: SecretRef, work: Callable[[Store], T]) -> T:
        found = await run(secret, work)
        looked.set()
        await go_on.wait()
        return found

    buckets.run = slow  # type: ignore[method-assign]
    late = asyncio.create_task(brought(copies, copy))
    await looked.wait()
    buckets.run = run  # type: ignore[method-assign]
    await brought(copies, copy)
    go_on.set()
    await late
    assert buckets.of(copy.target).asked["begin"] == 1


async def test_slow_stores_of_some_do_not_hold_up_the_copies_of_others(buckets: Buckets) -> None:
    copies = Copies(buckets, wait_seconds=0.05)
    slow = [buckets.copy(f"slow-{number}") for number in range(4)]
    buckets.pause = {copy.target.namespace: 0.1 for copy in slow}
    for copy in slow:
        await copies.ask(copy)
    await brought(copies, buckets.copy("team-a", b"ab"))
    assert max(buckets.of(copy.target).asked["put"] for copy in slow) < len(BODY)
    for copy in slow:
        await brought(copies, copy)


async def test_a_copy_is_given_up_for_its_own_slowness_alone(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_LEAST_SECONDS", 2.0)
    monkeypatch.setattr(copying, "_AT_ONCE", 1)
    copies = Copies(buckets, wait_seconds=0.05)
    slow, quick = buckets.copy("slow"), buckets.copy("team-a")
    buckets.pause = {"slow": 0.5}
    await copies.ask(slow)
    await asyncio.gather(brought(copies, quick), refused(copies, slow))
    assert buckets.of(slow.target).left_over() == []


async def refused(copies: Copies, copy: Copy) -> None:
    with pytest.raises(copying.CopyFailed, match="took longer than 2 s"):
        await brought(copies, copy)


async def test_what_is_under_way_at_the_end_leaves_no_upload_behind(buckets: Buckets) -> None:
    copies, copy = Copies(buckets, wait_seconds=0.0), buckets.copy("team-a")
    buckets.pause = {"team-a": 0.01}
    target = buckets.of(copy.target)
    async with asyncio.timeout(60):
        while not target.asked["put"]:
            await copies.ask(copy)
    assert target.left_over()
    await copies.stop()
    assert target.left_over() == []
    assert target.head(copy.key) is None
