"""A run in a store, ready to be fetched: one skill leaf a name."""

import hashlib
import io
import tarfile

from sdg_operator.storage.layout import RunLayout, snapshot_key
from sdg_operator.storage.ledger import plan_attempt
from sdg_operator.storage.records import (
    FileRef,
    LeafInput,
    LeafRecord,
    RunIdentity,
    RunInputs,
    SampleSettings,
    SnapshotIndex,
    SnapshotLeaf,
)
from sdg_operator.storage.store import Store

LAYOUT = RunLayout.of("synthetic_data", "uid")
DIGEST = "sha256:" + "a" * 64


def snapshot(*names: str) -> bytes:
    index = SnapshotIndex(
        leaves=tuple(
            SnapshotLeaf(id=n, path=n, folder=f"taxonomy/{n}", kind="freeform", digest=DIGEST, seeds=5) for n in names
        )
    )
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        files = {"index.json": index.to_json(), **{f"taxonomy/{n}/qna.yaml": f"# {n}\n".encode() for n in names}}
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return body.getvalue()


def start_run(store: Store, *names: str, shards: int = 1, attempt: int = 1) -> RunInputs:
    """Write snapshot, inputs and the plan of an attempt, as the operator does."""
    body = snapshot(*names)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    store.put_bytes(snapshot_key(digest), body)
    inputs = RunInputs(
        run=RunIdentity(namespace="n", name="r", uid="uid"),
        snapshot=digest,
        engine="engine",
        settings=SampleSettings(model="m"),
        max_concurrency=64,
        leaves=tuple(
            LeafInput(id=n, path=n.replace("_", "->"), kind="freeform", input_digest=DIGEST, expected_samples=10)
            for n in names
        ),
    )
    store.put_bytes(LAYOUT.inputs, inputs.to_json())
    store.put_bytes(LAYOUT.attempt_plan(attempt), plan_attempt(attempt, inputs.leaves, shards).to_json())
    return inputs


def record_leaf(store: Store, leaf: str, attempt: int, pod: str = "pod") -> str:
    """Write a leaf's samples and its record, as sync does; returns the key of the samples."""
    body = b'{"output": "a"}\n'
    key = LAYOUT.samples(leaf, attempt, pod)
    store.put_bytes(key, body)
    data = FileRef(key=key, size=len(body), sha256=hashlib.sha256(body).hexdigest(), lines=1)
    record = LeafRecord(leaf=leaf, input_digest=DIGEST, attempt=attempt, pod=pod, outcome="done", samples=1, data=data)
    store.put_bytes(LAYOUT.leaf_record(leaf, attempt, pod), record.to_json())
    return key
