"""The index of a snapshot: what a check wrote is read, and what anybody else put there costs little memory."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.controller.observe_index import look_at_index, read_index
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.records import INDEX_BYTES, SnapshotIndex, SnapshotLeaf
from tests.unit.controller.looking import look_in_own_process

DIGEST = "sha256:" + "a" * 64
LEAVES = 5_000


def snapshot(body: bytes, name: str = "index.json", **changes: Any) -> bytes:
    """An archive whose first file is this."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(body)
        for key, value in changes.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(body))
    return gzip.compress(buffer.getvalue(), 1)


def leaf(number: int, **changes: Any) -> SnapshotLeaf:
    known = SnapshotLeaf(
        id=f"leaf-{number}",
        path=f"compositional_skills->lists->list{number}",
        folder=f"taxonomy/compositional_skills/lists/list{number}",
        kind="freeform",
        digest=DIGEST,
        seeds=5,
    )
    return known.model_copy(update=changes)


def test_the_largest_index_that_a_check_makes_is_read() -> None:
    documents = tuple(f"documents/leaf/a, b, and {'c' * 100} {number}.md" for number in range(2))
    index = SnapshotIndex(leaves=tuple(leaf(number, documents=documents) for number in range(LEAVES)))
    assert read_index(snapshot(index.to_json()), LEAVES) == index


def with_values(value: str, times: int | None = None) -> bytes:
    """An index with one leaf whose documents are so many of these; where not told, as many as have room."""
    head, tail = leaf(0).model_dump_json(by_alias=True).replace('"documents":[]', '"documents":[|]').split("|")
    room = INDEX_BYTES - len(head) - len(tail) - 40
    many = value * (times or room // len(value))
    return f'{{"formatVersion":1,"leaves":[{head}{many.rstrip(",")}{tail}]}}'.encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a list of empty names": lambda: snapshot(with_values('"",')),
    "a list of lists": lambda: snapshot(with_values("[],")),
    "a list of records": lambda: snapshot(with_values("{},")),
    "many wrong leaves": lambda: snapshot(b'{"leaves":[' + b"{}," * 80_000 + b"{}]}"),
    "many wrong names": lambda: snapshot(with_values("1,", 150_000)),
    "lists in lists": lambda: snapshot(b"[" * INDEX_BYTES),
    "an index of many MiB": lambda: snapshot(b'{"leaves":[]}' + b" " * (32 << 20)),
    "nothing but zeros": lambda: gzip.compress(bytes(32 << 20), 1),
    "an extended header of many keys": lambda: snapshot(b"{}", pax_headers={f"k{n}": "v" for n in range(100_000)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_index_made_to_fill_the_operators_memory_is_refused(name: str, tmp_path: Path) -> None:
    FolderStore(tmp_path).put_bytes(snapshot_key(DIGEST), HOSTILE[name]())
    message, grown = look_in_own_process(tmp_path, f"look_at_index(store, {DIGEST!r}, {LEAVES}).problem.message")
    assert "is not what a check wrote" in message
    assert grown < 48 << 20, f"it took {grown >> 20} MiB"


REFUSED: dict[str, bytes] = {
    "no archive": b"any",
    "an empty object": b"",
    "another file first": snapshot(b"{}", "taxonomy/a"),
    "a link": snapshot(b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "not JSON": snapshot(b"{"),
    "not text": snapshot(b"\xff\xfe"),
    "cut off": gzip.compress(gzip.decompress(snapshot(b" " * 4096))[:2000]),
    "too many leaves": snapshot(SnapshotIndex(leaves=(leaf(1), leaf(2), leaf(3))).to_json()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_index_is_said(name: str, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put_bytes(snapshot_key(DIGEST), REFUSED[name])
    look = look_at_index(store, DIGEST, 2)
    assert look.problem is not None
    assert look.problem.reason is Reason.SNAPSHOT_NOT_FOUND
    assert "not what a check wrote" in look.problem.message


def test_an_index_that_is_the_start_of_a_long_archive_is_read() -> None:
    index = SnapshotIndex(leaves=(leaf(1),))
    packed = snapshot(json.dumps(json.loads(index.to_json())).encode())
    assert read_index(packed[: len(packed) - 8], 1) == index, "its end need not be there"
