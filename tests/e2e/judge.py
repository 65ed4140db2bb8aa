"""Judges every run of a test by what others saw of it: the cluster, the bucket and the teacher's request log.

Pure: what was seen comes in, what is denied goes out. The fixture `place` judges after each test, so none is left out.

A status may lag behind the cluster, so what it says of Jobs and pods is denied only where that lasts, an operator was
at work all the while, and had time to start. What may not be wrong for a moment - the order in which a run's states
and numbers go, what stands on things that are written before it - is denied at once.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

from sdg_operator.storage.records import Manifest
from tests.e2e.watching import JobSeen, PodSeen, RunSeen, Sample

ENDED: Final = ("completed", "failed", "canceled")

LAG: Final = 20
"""So many looks in a row, half a second or more apart. Two seconds are promised, but the tests share a small machine
with all that they start: where the operator gets no time, neither do the looks, and the bound stretches with them."""
STARTUP: Final = 20.0
"""How long an operator that was started, or had no API server, may take until it is up to date."""
_GAP: Final = 5.0
"""Looks that far apart: the API server was away."""
_IMAGE: Final = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_START: Final = frozenset({"CreateContainerError", "RunContainerError", "CrashLoopBackOff"})
_COMING: Final = ("Fetching", "Starting", "TeacherLoading")


@dataclass(frozen=True, slots=True)
class Service:
    """When an operator's process ran."""

    started: float
    ended: float | None = None

    def covers(self, at: float) -> bool:
        return self.started <= at and (self.ended is None or at < self.ended)


@dataclass(frozen=True, slots=True)
class Written:
    """What the bucket has of a run: when each leaf's first record and the manifest were written, in whole seconds."""

    records: Mapping[str, float]
    manifest_at: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request in the teacher's log."""

    at: float
    texts: tuple[str, ...]

    @property
    def leaves(self) -> set[str]:
        return {number for text in self.texts for number in re.findall(r"of list (\d+)\b", text)}


# The course of a run


def courses(samples: Sequence[Sample]) -> dict[str, list[tuple[Sample, RunSeen]]]:
    """Uid → the looks at which a run was found changed."""
    found: dict[str, list[tuple[Sample, RunSeen]]] = {}
    for sample in samples:
        for run in sample.runs:
            course = found.setdefault(run.uid, [])
            if not course or course[-1][1].version != run.version:
                course.append((sample, run))
    return found


def steps_back(samples: Sequence[Sample]) -> Iterator[str]:
    """A state that was the last and changed; numbers that fell."""
    for course in courses(samples).values():
        for (_, before), (sample, run) in pairwise(course):
            if before.state in ENDED and before.state != run.state:
                yield f"{run.name}: {before.state} became {run.state or 'nothing'}"
            if _attempt(before) > _attempt(run):
                yield f"{run.name}: the number of attempts fell"
            (done, made), (done_before, made_before) = _made(run), _made(before)
            if done < done_before:
                yield f"{run.name}: leaves fell from {done_before} to {done}"
            taken_up = _attempt(before) != _attempt(run) or _lost_a_pod(samples, run.uid, sample)
            if made < made_before and done == done_before and not taken_up:
                yield f"{run.name}: samples fell from {made_before} to {made}"


def _attempt(run: RunSeen) -> int:
    return int(run.status.get("attempt", {}).get("number", 0))


def _made(run: RunSeen) -> tuple[int, int]:
    """Leaves and samples that a status says are made."""
    progress = run.status.get("progress") or {}
    return int(str(progress.get("leaves", "0/0")).split("/")[0]), int(progress.get("samples", 0))


def _lost_a_pod(samples: Sequence[Sample], uid: str, until: Sample) -> bool:
    """Whether a pod of the run ended badly or was taken away: the next one begins the batches in flight anew."""
    there: set[str] = set()
    for sample in samples:
        mine = {pod.name: pod for pod in sample.pods if pod.run == uid and pod.role == "generate"}
        if there - mine.keys() or any(pod.phase == "Failed" for pod in mine.values()):
            return True
        there |= mine.keys()
        if sample is until:
            return False
    return False


# A status beside the cluster


def at_once(samples: Sequence[Sample]) -> Iterator[str]:
    """What is wrong however short: pods of what is said to stand still, and two attempts at work."""
    for sample, later in pairwise(samples):
        same = {run.uid for run in later.runs if run in sample.runs}  # its pods were read in between
        for run in sample.runs:
            present = [pod for pod in sample.pods if pod.run == run.uid and pod.present(sample.at)]
            at_work = [pod for pod in present if pod.role == "generate"]
            if len({pod.job for pod in at_work}) > 1:
                yield f"{run.name}: pods of two attempts are at work: {_names(at_work)}"
            if run.uid not in same:
                continue
            if run.condition("Suspended").get("status") == "True" and at_work:
                yield f"{run.name}: said to be suspended, but {_names(at_work)} are there"
            if run.state in ENDED and (at_work or (run.state == "completed" and present)):
                yield f"{run.name}: {run.state}, but {_names(present)} are there"


def _names(pods: Iterable[PodSeen]) -> str:
    return ", ".join(sorted(pod.name for pod in pods))


def lasting(samples: Sequence[Sample], services: Sequence[Service]) -> Iterator[str]:
    """What the cluster denied for longer than a status may lag."""
    looks: dict[str, int] = {}
    last, resumed = None, 0.0
    for sample in samples:
        if last is not None and sample.at - last > _GAP:
            resumed = sample.at + STARTUP
        last = sample.at
        up = any(each.covers(sample.at) and sample.at >= each.started + STARTUP for each in services)
        denied = {text for run in sample.runs for text in _denied(run, sample)}
        looks = {text: looks.get(text, 0) + 1 for text in denied} if up and sample.at >= resumed else {}
        yield from (f"{text}, {LAG} looks in a row" for text, count in looks.items() if count == LAG)


def _denied(run: RunSeen, sample: Sample) -> Iterator[str]:
    """What the cluster denies of a status at this look."""
    jobs = [job for job in sample.jobs if job.run == run.uid]
    pods = [pod for pod in sample.pods if pod.run == run.uid and pod.present(sample.at)]
    at_work = [pod for pod in pods if pod.main != "waiting"]
    making = [pod for pod in at_work if pod.role == "generate" and pod.main == "running" and pod.deletion is None]
    if not run.state:
        yield f"{run.name}: no word of it"
    if run.state == "queued" and making:
        yield f"{run.name}: queued, but {_names(making)} is at work"
    if run.state == "running":
        said = str(run.status.get("message") or "")
        for words, role in (("Generating data", "generate"), ("Mixing the samples", "mix")):
            if said.startswith(words) and not any(pod.role == role for pod in at_work):
                yield f"{run.name}: says “{words} …”, but no such pod is at work"
    if run.state not in ENDED:
        reason = str(run.condition("Progressing").get("reason") or "")
        if not _supported(reason, jobs, pods):
            yield f"{run.name}: {reason} is its reason, but no Job or pod is like that"


def _supported(reason: str, jobs: Sequence[JobSeen], pods: Sequence[PodSeen]) -> bool:
    """Whether the cluster shows what a reason says of it; other reasons are not the cluster's."""
    waiting = frozenset(cause for pod in pods for cause in pod.waiting)
    shown = {
        "Unschedulable": any(pod.unscheduled for pod in pods),
        "ImagePull": bool(waiting & _IMAGE),
        "ContainerConfig": "CreateContainerConfigError" in waiting,
        "ContainerStart": bool(waiting & _START),
        "TeacherCrashLooping": any(pod.restarts for pod in pods),
        "WaitingInQueue": any(job.suspended for job in jobs),
        "JobSuspended": any(job.suspended for job in jobs),
        "ForeignContainer": any(pod.main == "terminated" for pod in pods),
        **dict.fromkeys(_COMING, not pods or any(pod.main == "waiting" for pod in pods)),
    }
    return shown.get(reason, True)


# A status beside the bucket


def ahead_of_the_bucket(samples: Sequence[Sample], written: Mapping[str, Written]) -> Iterator[str]:
    """Leaves and ends that were told before what they stand on was written."""
    for uid, course in courses(samples).items():
        bucket = written.get(uid, Written({}))
        for sample, run in course:
            done, _ = _made(run)
            records = sum(at <= sample.at + 1 for at in bucket.records.values())
            if done > records:
                yield f"{run.name}: {done} leaves are said to be done, {records} had a record"
            if run.state == "completed" and (bucket.manifest_at is None or bucket.manifest_at > sample.at + 1):
                yield f"{run.name}: completed without a manifest"


def unsound(run: RunSeen, manifest: Manifest, bodies: Mapping[str, bytes | None]) -> Iterator[str]:
    """Where the final files are not what the manifest and the status say. `bodies` by the manifest's paths."""
    for file in manifest.files:
        body = bodies.get(file.path)
        if body is None:
            yield f"{run.name}: {file.path} is in the manifest and not in the bucket"
        elif (len(body), sha256(body).hexdigest(), body.count(b"\n")) != (file.size, file.sha256, file.lines):
            yield f"{run.name}: {file.path} is not the file of the manifest"
    told = run.status.get("dataMetrics", {}).get("samples", {}).get("total")
    if told != manifest.samples.total:
        yield f"{run.name}: {told} samples are told, {manifest.samples.total} are in the manifest"
    planned = run.status.get("plan", {}).get("leaves", 0)
    if run.state == "completed" and (manifest.missing or len(manifest.leaves) + len(manifest.failed) < planned):
        yield f"{run.name}: completed with {len(manifest.leaves)} of {planned} leaves"


# A status beside the teacher


def asked_too_late(samples: Sequence[Sample], written: Mapping[str, Written], log: Sequence[Asked]) -> Iterator[str]:
    """Requests for a leaf after its record, which S3 tells in whole seconds.

    Requests do not say which run they are of. So one is too late when no run with a pod at work then lacked its leaf.
    """
    times = [sample.at for sample in samples]
    for asked in log:
        near = samples[bisect_left(times, asked.at - _GAP) : bisect_right(times, asked.at + _GAP)]
        runs = {pod.run for each in near for pod in each.pods if pod.role == "generate" and pod.present(each.at)}
        for number in asked.leaves:
            at = {uid: _recorded(written.get(uid, Written({})), number) for uid in runs}
            if at and all(recorded is not None and asked.at > recorded + 1 for recorded in at.values()):
                yield f"list {number} was asked for at {asked.at:.1f}, after its record in each run at work"


def unheard(run: RunSeen, written: Written, log: Sequence[Asked]) -> Iterator[str]:
    """Leaves with a record for which the teacher was never asked: then its log is no judge."""
    if run.status.get("resolved", {}).get("teacher", {}).get("server"):
        return  # its teacher was another, in its own pod
    heard = {number for asked in log for number in asked.leaves}
    for leaf in written.records:
        if (number := _number(leaf)) is not None and number not in heard:
            yield f"{run.name}: {leaf} has a record, but the teacher was never asked for it"


def _recorded(written: Written, number: str) -> float | None:
    return next((at for leaf, at in written.records.items() if _number(leaf) == number), None)


def _number(leaf: str) -> str | None:
    found = re.search(r"list(\d+)$", leaf)
    return found[1] if found else None
