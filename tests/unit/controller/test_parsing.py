"""Documents in a bucket that others can write to: what we write is read, and what fills the memory is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_operator.controller.observe_bucket import look_at_result
from sdg_operator.controller.parsing import MAX_BYTES, most_bytes, parsed
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.ledger import plan_attempt
from sdg_operator.storage.records import (
    AttemptPlan,
    FailedLeaf,
    Manifest,
    ManifestFile,
    ManifestLeaf,
    RunIdentity,
    SampleCounts,
    SampleSettings,
    Tokens,
)
from tests.unit.controller.looking import look_in_own_process
from tests.unit.storage.test_ledger import leaf

LEAVES = 5_000
LAYOUT = RunLayout("run")
NAME = "compositional_skills_" + "a, b, and {c}_" + "d" * 140
PATH = "compositional_skills->" + "a, b, and {c}->" + "d, " * 5 + "e" * 300
FLOW = "- prompt: {{ a }}, {{ b }}, as it is said in all of the document\n" * 7_000
MESSAGE = "leaf.json says: {1, 2, 3}, which is none of them, and so on" + "x" * 1900


def manifest(leaves: int, failed: int = 0) -> Manifest:
    return Manifest(
        run=RunIdentity(namespace="n", name="r", uid="u"),
        engine="e",
        settings=SampleSettings(model="m", pipeline="custom", pipeline_files={"knowledge.yaml": FLOW}),
        versions={"a": "1"},
        files=(ManifestFile(path=f"artifacts/{NAME}.jsonl", size=2**40, sha256="0" * 64, lines=2**30),) * leaves,
        samples=SampleCounts(total=1),
        tokens=Tokens(),
        leaves=(ManifestLeaf(path=PATH, kind="freeform", expected=30, actual=29),) * leaves,
        failed=(FailedLeaf(leaf=NAME, path=PATH, reason="r" * 100, message=MESSAGE),) * failed,
    )


@pytest.mark.parametrize(("leaves", "failed"), [(0, 1), (LEAVES, 0), (1, LEAVES - 1), (55_000, 0)])
def test_the_largest_manifest_that_a_mix_writes_is_read(leaves: int, failed: int) -> None:
    whole = manifest(leaves, failed)
    body = whole.to_json()
    assert len(body) <= most_bytes(leaves + failed)
    assert parsed(Manifest, body, leaves + failed) == whole


def test_the_largest_plan_of_an_attempt_is_read() -> None:
    plan = plan_attempt(7, [leaf(f"{number}{NAME}") for number in range(LEAVES)], 64)
    assert len(plan.to_json()) <= most_bytes(LEAVES)
    assert parsed(AttemptPlan, plan.to_json(), LEAVES) == plan


def filled(field: str, item: str, times: int = MAX_BYTES) -> bytes:
    """A manifest with a field of so many items, or as many as have room."""
    known = json.loads(manifest(0).model_copy(update={"settings": SampleSettings(model="m")}).to_json()) | {field: "|"}
    head, tail = json.dumps(known).split('"|"')
    many = item * min(times, (most_bytes(LEAVES) - len(head) - len(tail) - 2) // len(item))
    first, last = ("{", "}") if ":" in item and not item.startswith("{") else ("[", "]")
    return f"{head}{first}{many.rstrip(',')}{last}{tail}".encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "leaves that are none": lambda: filled("leaves", "{},", 14_000),
    "empty leaves": lambda: filled("leaves", "{},"),
    "names that are none": lambda: filled("missing", "1,", 200_000),
    "empty names": lambda: filled("missing", '"",'),
    "lists that nobody knows": lambda: filled("unknown", "[],"),
    "records that nobody knows": lambda: filled("unknown", '{"":1},'),
    "versions that are none": lambda: filled("versions", '"a":1,', 200_000),
    "more than a manifest has": lambda: filled("unknown", " ") + b" " * (32 << 20),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_made_to_fill_the_operators_memory_is_none(name: str, tmp_path: Path) -> None:
    FolderStore(tmp_path).put_bytes(LAYOUT.manifest, HOSTILE[name]())
    look = f"look_at_result(store, RunLayout({LAYOUT.root!r}), {LEAVES}).found.manifest_fault"
    fault, grown = look_in_own_process(tmp_path, look)
    assert "manifest.json is none" in fault
    assert grown < 48 << 20, f"it took {grown >> 20} MiB"


def test_a_manifest_of_few_leaves_may_not_tell_of_many(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    settings = SampleSettings(model="m")
    store.put_bytes(LAYOUT.manifest, manifest(LEAVES).model_copy(update={"settings": settings}).to_json())
    many, few = (look_at_result(store, LAYOUT, leaves).found for leaves in (LEAVES, 100))
    said: Any = [found and found.manifest_fault for found in (many, few)]
    assert ["is named by" in said[0], "is none" in said[1]] == [True, True]
