"""Whether a finished run is what it says: its status, its manifest and its files against one another. Pure."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE
from sdg_operator.storage.records import Manifest, ManifestFile

Read = Callable[[str], bytes | None]
"""Content of a file of the run by its path in the manifest; None if there is none."""


def faults(status: dict[str, Any], manifest_bytes: bytes | None, read: Read) -> list[str]:
    """Return everything that is not as it should be, in words; an empty list means the result is sound."""
    return list(_faults(status, manifest_bytes, read))


def _faults(status: dict[str, Any], manifest_bytes: bytes | None, read: Read) -> Iterator[str]:
    if status.get("state") != "completed":
        yield f"the state is {status.get('state')!r}, not completed: {status.get('message')}"
        return
    if manifest_bytes is None:
        yield "manifest.json is missing"
        return
    digest = "sha256:" + sha256(manifest_bytes).hexdigest()
    stated = (status.get("output") or {}).get("manifestDigest")
    if stated != digest:
        yield f"the status names manifest {stated}, the bucket has {digest}"
    manifest = Manifest.model_validate_json(manifest_bytes)
    contents = {file.path: read(file.path) for file in manifest.files}
    for file in manifest.files:
        yield from _file_faults(file, contents[file.path])
    yield from _count_faults(status, manifest)
    for name, kind in ((KNOWLEDGE_TRAIN_FILE, "knowledge"), (SKILLS_TRAIN_FILE, "skills")):
        if name not in contents:
            yield f"{name} is not in the manifest"
            continue
        rows = (contents[name] or b"").splitlines()
        if len(rows) != getattr(manifest.samples, kind):
            yield f"{name} has {len(rows)} samples, the manifest says {getattr(manifest.samples, kind)}"
        yield from _content_faults(name, rows)


def _file_faults(file: ManifestFile, body: bytes | None) -> Iterator[str]:
    if body is None:
        yield f"{file.path} is missing"
        return
    if len(body) != file.size:
        yield f"{file.path} has {len(body)} bytes, the manifest says {file.size}"
    if sha256(body).hexdigest() != file.sha256.removeprefix("sha256:"):
        yield f"{file.path} is not the file of the manifest: its sha256 differs"
    if (lines := body.count(b"\n")) != file.lines:
        yield f"{file.path} has {lines} lines, the manifest says {file.lines}"


def _count_faults(status: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    stated = (status.get("dataMetrics") or {}).get("samples") or {}
    counted = manifest.samples.model_dump()
    if stated != counted:
        yield f"the status counts {stated}, the manifest {counted}"
    if manifest.samples.total <= 0:
        yield "the run has no samples"
    if not manifest.leaves:
        yield "the manifest names no leaf"
    for leaf in manifest.leaves:
        if leaf.actual <= 0:
            yield f"leaf {leaf.path} has no samples"


def _content_faults(name: str, rows: list[bytes]) -> Iterator[str]:
    answers = set()
    for number, row in enumerate(rows, 1):
        try:
            messages = json.loads(row)["messages"]
            said = {message["role"]: message["content"].strip() for message in messages}
        except (ValueError, KeyError, TypeError, AttributeError):
            yield f"{name}, line {number} is not a training sample: {row[:200]!r}"
            return
        if "pretraining" not in said and not (said.get("user") and said.get("assistant")):
            yield f"{name}, line {number} has no question or no answer"
            return
        answers.add(said.get("assistant") or said.get("pretraining"))
    if len(rows) > 1 and len(answers) == 1:
        yield f"all {len(rows)} samples of {name} have the same answer"
