"""Looks at all runs of a namespace, their Jobs and their pods several times a second, for as long as a test lasts.

What was seen is judged after the test (`judge.py`): nothing that a test does, and no outage that it makes, ends the
watch. A look that fails, as when the API server is away, leaves a gap, which the judge knows how to take.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.e2e.reading import Reader

_PAUSE: Final = 0.5
_LABEL: Final = "sdg-operator.io"
_MAIN: Final = ("engine", "mix")
"""Others that are no sidecars, a policy has added."""
_OURS: Final = f"{_LABEL}/kind=DataGeneration"


@dataclass(frozen=True, slots=True)
class RunSeen:
    name: str
    uid: str
    version: str
    suspend: bool
    cancel: bool
    status: dict[str, Any]

    @property
    def state(self) -> str:
        return str(self.status.get("state") or "")

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status.get("conditions", []) if c["type"] == kind), {})


@dataclass(frozen=True, slots=True)
class JobSeen:
    name: str
    run: str
    role: str
    suspended: bool
    finished: bool


@dataclass(frozen=True, slots=True)
class PodSeen:
    name: str
    run: str
    """Uid of its run."""
    role: str
    job: str
    """Uid of its Job."""
    phase: str
    deletion: float | None
    """When its grace ends, once it is being deleted."""
    main: str
    """State of the container that does the work: waiting, running or terminated."""
    waiting: frozenset[str]
    """Why containers wait."""
    restarts: int
    unscheduled: bool

    def present(self, at: float) -> bool:
        """Whether it may be at work. Whether one is that outlives its grace, as on a lost node, nobody can say."""
        return self.phase in ("Pending", "Running") and (self.deletion is None or self.deletion > at)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: first the runs, then what the cluster has of them."""

    at: float
    runs: tuple[RunSeen, ...]
    jobs: tuple[JobSeen, ...]
    pods: tuple[PodSeen, ...]


@dataclass
class Watch:
    reader: Reader
    namespace: str
    samples: list[Sample] = field(default_factory=list)
    _known: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """What was read of an object, by uid, with its version: most looks find it unchanged."""

    def look(self) -> None:
        at = time.time()
        try:
            runs = self.reader.all(self.namespace, "datagenerations")
            jobs = self.reader.all(self.namespace, "jobs", _OURS)
            pods = self.reader.all(self.namespace, "pods", _OURS)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return
        self.samples.append(
            Sample(
                at,
                tuple(self._read(body, _run) for body in runs),
                tuple(self._read(body, _job) for body in jobs),
                tuple(self._read(body, _pod) for body in pods),
            )
        )

    def _read(self, body: dict[str, Any], read: Any) -> Any:
        uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
        if self._known.get(uid, ("",))[0] != version:
            self._known[uid] = (version, read(body))
        return self._known[uid][1]


@contextmanager
def watching(reader: Reader, namespace: str) -> Iterator[Watch]:
    """Look until the block ends, and once more then."""
    watch, over = Watch(reader, namespace), threading.Event()

    def go_on() -> None:
        while not over.wait(_PAUSE):
            watch.look()

    thread = threading.Thread(target=go_on, name=f"watch of {namespace}", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.look()


def _run(body: dict[str, Any]) -> RunSeen:
    meta, spec = body["metadata"], body["spec"]
    return RunSeen(
        meta["name"],
        meta["uid"],
        meta["resourceVersion"],
        bool(spec.get("suspend")),
        bool(spec.get("cancel")),
        body.get("status", {}),
    )


def _job(body: dict[str, Any]) -> JobSeen:
    labels, conditions = body["metadata"]["labels"], body["status"].get("conditions", [])
    return JobSeen(
        body["metadata"]["name"],
        labels.get(f"{_LABEL}/uid", ""),
        labels.get(f"{_LABEL}/role", ""),
        bool(body["spec"].get("suspend")),
        any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions),
    )


def _pod(body: dict[str, Any]) -> PodSeen:
    meta, status = body["metadata"], body["status"]
    labels, deletion = meta["labels"], meta.get("deletionTimestamp")
    own = status.get("containerStatuses", [])
    containers = [*status.get("initContainerStatuses", []), *own]
    return PodSeen(
        name=meta["name"],
        run=labels.get(f"{_LABEL}/uid", ""),
        role=labels.get(f"{_LABEL}/role", ""),
        job=next((owner["uid"] for owner in meta.get("ownerReferences", [])), ""),
        phase=status.get("phase", "Pending"),
        deletion=datetime.fromisoformat(deletion).timestamp() if deletion else None,
        main=next((next(iter(c["state"]), "waiting") for c in own if c["name"] in _MAIN), "waiting"),
        waiting=frozenset(c["state"]["waiting"].get("reason", "") for c in containers if "waiting" in c["state"]),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        unscheduled=any(c["type"] == "PodScheduled" and c["status"] == "False" for c in status.get("conditions", [])),
    )
