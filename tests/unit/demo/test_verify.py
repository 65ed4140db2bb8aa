"""The demo calls a result sound only if it is: one good run, and every way to break it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from hack.demo.verify import faults

KNOWLEDGE, SKILLS = "knowledge_train_msgs.jsonl", "skills_train_msgs.jsonl"


def sample(question: str, answer: str) -> bytes:
    roles = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": roles, "metadata": "{}"}).encode() + b"\n"


@dataclass
class Run:
    """A finished run: its files, and the manifest and status that were made from them."""

    files: dict[str, bytes]
    manifest: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)

    def sign(self) -> None:
        """Make the status name the manifest as it is now."""
        self.status["output"] = {"manifestDigest": "sha256:" + sha256(self.manifest_bytes).hexdigest()}

    @property
    def manifest_bytes(self) -> bytes:
        return json.dumps(self.manifest).encode()

    def found(self) -> list[str]:
        return faults(self.status, self.manifest_bytes if self.manifest else None, self.files.get)


def a_run() -> Run:
    run = Run({KNOWLEDGE: sample("a?", "A") + sample("b?", "B"), SKILLS: sample("c?", "C")})
    run.manifest = {
        "run": {"namespace": "n", "name": "r", "uid": "u"},
        "engine": "e",
        "settings": {"model": "m"},
        "versions": {},
        "files": [
            {
                "path": path,
                "size": len(body),
                "sha256": f"sha256:{sha256(body).hexdigest()}",
                "lines": body.count(b"\n"),
            }
            for path, body in run.files.items()
        ],
        "samples": {"knowledge": 2, "skills": 1, "total": 3},
        "tokens": {},
        "leaves": [{"path": "knowledge->x", "kind": "knowledge", "expected": 2, "actual": 2}],
    }
    run.status = {"state": "completed", "dataMetrics": {"samples": {"knowledge": 2, "skills": 1, "total": 3}}}
    run.sign()
    return run


def test_a_good_run_is_sound() -> None:
    assert a_run().found() == []


def _replaced(name: str, body: bytes) -> Callable[[Run], None]:
    """Another file, to which manifest and status agree: only its content can give it away."""

    def change(run: Run) -> None:
        run.files[name] = body
        run.manifest["files"] = [
            {"path": path, "size": len(b), "sha256": sha256(b).hexdigest(), "lines": b.count(b"\n")}
            for path, b in run.files.items()
        ]
        run.sign()

    return change


def _manifest(**changes: Any) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.manifest.update(changes)
        run.sign()

    return change


NO_SAMPLES = {"knowledge": 0, "skills": 0, "total": 0}
BROKEN: dict[str, tuple[Callable[[Run], None], str]] = {
    "failed": (lambda r: r.status.update(state="failed", message="LowYield"), "not completed: LowYield"),
    "no manifest": (lambda r: r.manifest.clear(), "manifest.json is missing"),
    "another manifest": (lambda r: r.manifest.update(engine="other"), "the status names manifest"),
    "a file is missing": (lambda r: r.files.__delitem__(SKILLS), f"{SKILLS} is missing"),
    "a file is cut": (lambda r: r.files.update({SKILLS: b"{"}), "bytes, the manifest says"),
    "a file is changed": (lambda r: r.files.update({SKILLS: sample("c?", "D")}), "its sha256 differs"),
    "a file is not listed": (lambda r: _manifest(files=r.manifest["files"][:1])(r), f"{SKILLS} is not in the manifest"),
    "the counts differ": (_manifest(samples={"knowledge": 1, "skills": 1, "total": 2}), "the status counts"),
    "no samples": (_manifest(samples=NO_SAMPLES), "the run has no samples"),
    "an empty leaf": (
        _manifest(leaves=[{"path": "knowledge->x", "kind": "knowledge", "expected": 2, "actual": 0}]),
        "leaf knowledge->x has no samples",
    ),
    "no leaves": (_manifest(leaves=[]), "the manifest names no leaf"),
    "no JSON": (_replaced(SKILLS, b"hello\n"), "is not a training sample"),
    "no messages": (_replaced(SKILLS, b"{}\n"), "is not a training sample"),
    "an empty answer": (_replaced(SKILLS, sample("c?", "  ")), "no question or no answer"),
    "a null answer": (
        _replaced(SKILLS, b'{"messages": [{"role": "assistant", "content": null}]}\n'),
        "is not a training sample",
    ),
    "one answer to all": (_replaced(KNOWLEDGE, sample("a?", "A") + sample("b?", "A")), "have the same answer"),
    "too few rows": (_replaced(KNOWLEDGE, sample("a?", "A")), "has 1 samples, the manifest says 2"),
}


@pytest.mark.parametrize(("break_it", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_run_is_not(break_it: Callable[[Run], None], said: str) -> None:
    run = a_run()
    break_it(run)
    assert any(said in fault for fault in run.found()), run.found()
