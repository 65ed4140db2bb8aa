"""Reading answers: memory for what is kept, and for no more."""

import tracemalloc
from typing import Any

import pytest

from sdg_operator.storage.s3_answers import etag_of, page_of, read_of

MIB = 1 << 20


class Body:
    """So many bytes, in as large blocks as are asked for."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, count: int) -> bytes:
        block = bytes(min(count, self.left))
        self.left -= len(block)
        return block


@pytest.mark.parametrize(("size", "limit"), [(0, 9), (5 * MIB + 1, 64 * MIB), (64 * MIB, 32 * MIB + 1)])
def test_a_body_is_held_in_memory_once(size: int, limit: int) -> None:
    body: Any = Body(size)
    tracemalloc.start()
    content = read_of(body, limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(content) == min(size, limit)
    assert peak < 1.3 * len(content) + MIB


class Client:
    """Lists what it is given."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def list_objects_v2(self, **_: str) -> Any:
        return {"IsTruncated": False, "Contents": [{"Key": key, "Size": 1} for key in self.keys]}


def test_a_listing_has_no_keys_longer_than_a_store_takes() -> None:
    longest, longer = "é" * 512, "é" * 512 + "x"
    s3: Any = Client(longest, longer, "x" * MIB)
    assert [info.key for info in page_of(s3, "bucket", "", {}).listed] == [longest]


def test_of_a_mark_no_more_is_kept_than_stores_give() -> None:
    assert etag_of('W/"0123-7"') == "0123-7"
    assert len(etag_of("x" * MIB)) == 256
