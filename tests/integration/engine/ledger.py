"""A run's ledger in a plain folder, as fetch, sync and the operator leave it for the mix."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from sdg_operator.engine.contract import LeafResult
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import (
    FileRef,
    LeafInput,
    MergeFile,
    MixPlan,
    MixSource,
    Origin,
    RunIdentity,
    RunInputs,
    SampleSettings,
)
from tests.integration.engine.leaves import Leaf, samples
from tests.integration.engine.running import environment

LAYOUT = RunLayout.of("synthetic_data", "0f4e2a6c-0000-4000-8000-000000000001")


def source(store: FolderStore, leaf: Leaf, settings: SampleSettings, body: bytes, attempt: int = 1) -> MixSource:
    key = LAYOUT.samples(leaf.id, attempt, "pod")
    store.put_bytes(key, body)
    engine_leaf = leaf.engine_leaf(settings)
    return MixSource(
        leaf=leaf.id,
        path=engine_leaf.path,
        kind=leaf.kind,
        expected_samples=engine_leaf.expected_samples,
        samples=body.count(b"\n"),
        data=FileRef(key=key, size=len(body), sha256=sha256(body).hexdigest(), lines=body.count(b"\n")),
    )


def sources_of(
    store: FolderStore, works: Iterable[Path], leaves: Sequence[Leaf], settings: SampleSettings
) -> list[MixSource]:
    """Take the finished leaves of engines' work folders into the ledger."""
    found = []
    for work in works:
        for leaf in leaves:
            record = work / "out" / "leaves" / leaf.id / "leaf.json"
            if record.exists() and LeafResult.model_validate_json(record.read_bytes()).outcome == "done":
                found.append(source(store, leaf, settings, samples(work, leaf)))
    return found


def plan(
    store: FolderStore,
    settings: SampleSettings,
    sources: Sequence[MixSource],
    files: Sequence[MergeFile] = (),
    origins: dict[str, Origin] | None = None,
) -> None:
    inputs = RunInputs(
        run=RunIdentity(namespace="default", name="birds-1", uid=LAYOUT.root.rsplit("/", 1)[-1]),
        engine="registry.example/sdg-engine:1",
        settings=settings,
        leaves=tuple(
            LeafInput(id=s.leaf, path=s.path, kind=s.kind, input_digest="sha256:" + "0" * 64,
                      expected_samples=s.expected_samples)
            for s in sources
        ),
    )  # fmt: skip
    store.put_bytes(LAYOUT.inputs, inputs.to_json())
    store.put_bytes(LAYOUT.mix, MixPlan(sources=tuple(sources), origins=origins or {}, files=tuple(files)).to_json())


def start_mix(bucket: Path, work: Path, **extra: str) -> "subprocess.Popen[str]":
    work.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "sdg_operator.engine.mix", "--work", str(work), "--run-root", LAYOUT.root,
         "--store-folder", str(bucket)],
        env=environment(work, "", extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run_mix(bucket: Path, work: Path, timeout: float = 250, **extra: str) -> "subprocess.CompletedProcess[str]":
    with start_mix(bucket, work, **extra) as process:
        try:
            said, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, said, stderr)
