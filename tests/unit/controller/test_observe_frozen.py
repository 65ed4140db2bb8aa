"""Reading what was frozen in a bucket in which others have meddled."""

import random
import tracemalloc
from pathlib import Path

import pytest

from sdg_operator.controller.observe_frozen import FrozenCache, look_at_frozen
from sdg_operator.reconcile.leaves import digest
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.storage.folder import FolderStore
from tests.unit.controller.onebucket import LAYOUT
from tests.unit.storage.test_ledger import inputs, leaf


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_what_is_frozen_is_read_a_first_time_without_keeping_it_where_it_is_large(store: FolderStore) -> None:
    body = random.Random(1).randbytes(20 << 20)
    name = digest(body)
    store.put_bytes(LAYOUT.frozen(name), body)
    assert look_at_frozen(store, LAYOUT, name).found == body
    store.put_bytes(LAYOUT.frozen(name), bytes(40 << 20))
    tracemalloc.start()
    look = look_at_frozen(store, LAYOUT, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert look.problem is not None
    assert look.problem.reason is Reason.INPUTS_LOST
    assert peak < 16 << 20


@pytest.mark.parametrize("meddling", ["removed", "changed", "blown up"])
def test_frozen_content_that_was_meddled_with_is_lost(store: FolderStore, tmp_path: Path, meddling: str) -> None:
    name = digest(b"frozen")
    key = LAYOUT.frozen(name)
    store.put_bytes(key, b"frozen")
    assert look_at_frozen(store, LAYOUT, name).found == b"frozen"
    match meddling:
        case "removed":
            store.delete(key)
        case "changed":
            store.put_bytes(key, b"other")
        case _:
            with (tmp_path / key).open("wb") as file:
                file.truncate((64 << 20) + 1)
    look = FrozenCache().look_at_inputs(store, LAYOUT, name)
    assert look.problem is not None
    assert look.problem.reason is Reason.INPUTS_LOST
    assert key in look.problem.message


def test_inputs_are_read_once_while_their_leaves_are_few_enough(store: FolderStore) -> None:
    bodies = [inputs(*(leaf(f"{run}-{number}") for number in range(3))).to_json() for run in range(3)]
    names = [digest(body) for body in bodies]
    for name, body in zip(names, bodies, strict=True):
        store.put_bytes(LAYOUT.frozen(name), body)
    cache = FrozenCache(max_leaves=6)
    for name in names:
        assert cache.look_at_inputs(store, LAYOUT, name).found
    for name in names:
        store.delete(LAYOUT.frozen(name))
    kept = [cache.look_at_inputs(store, LAYOUT, name).found is not None for name in names]
    assert kept == [False, True, True]


def test_inputs_larger_than_the_bound_are_kept_until_others_come(store: FolderStore) -> None:
    body = inputs(*(leaf(str(number)) for number in range(9))).to_json()
    store.put_bytes(LAYOUT.frozen(digest(body)), body)
    cache = FrozenCache(max_leaves=6)
    cache.look_at_inputs(store, LAYOUT, digest(body))
    store.delete(LAYOUT.frozen(digest(body)))
    assert cache.look_at_inputs(store, LAYOUT, digest(body)).found
