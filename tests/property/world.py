"""A small model world for a run: an API server, a Job controller, kubelets, a bucket and an engine, all of them slow,
forgetful or cruel on demand. The operator under test is the real `decide`; only its surroundings are modelled, and
they hand it JSON as the API server would."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sdg_operator.api.common import TERMINAL_STATES
from sdg_operator.api.datageneration import Cost, DataGenerationSpec, DataGenerationStatus
from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.engine.contract import ExitCode
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cluster import job_view, pod_view
from sdg_operator.reconcile.datageneration import decide
from sdg_operator.reconcile.jobs import GenerateJob, Job, MixJob
from sdg_operator.reconcile.names import WATCH_LABEL, Owner, job_name
from sdg_operator.reconcile.plan import Action, CreateJob, DeleteJob, DeletePod, Plan, PutObject, PutObjects, ReleaseJob
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.snapshot import (
    Ledger,
    Look,
    Problem,
    RunSeen,
    Signal,
    Surroundings,
    TaxonomyFound,
    TeacherFound,
)
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import (
    AttemptPlan,
    FileRef,
    LeafRecord,
    Manifest,
    MixPlan,
    RunIdentity,
    RunInputs,
    SampleCounts,
    SnapshotIndex,
    SnapshotLeaf,
    Tokens,
)

UID = "0a1b2c3d-0000-4000-8000-000000000001"
DIGEST = "sha256:" + "a" * 64
ROOT = f"synthetic_data/{UID}"
LAYOUT = RunLayout(ROOT)
OWNER = Owner("DataGeneration", "team", "birds-1", UID)
START = datetime(2026, 1, 1, tzinfo=UTC)


STOPPED = (137, 143, int(ExitCode.INTERRUPTED))
"""Exit codes of a pod that is told to stop."""

FAULTS = (1, 40, int(ExitCode.INPUTS_LOST), *STOPPED)
"""Exit codes that are an attempt's own fault where nobody told it to stop."""

REFUSED = (ExitCode.TEACHER_REFUSED, ExitCode.STORAGE_REFUSED)

UNMIXABLE = (ExitCode.STORAGE_REFUSED, ExitCode.STORAGE_UNAVAILABLE)
"""Exit codes of a mix that cannot use the bucket."""

INCURABLE = (ExitCode.INVALID_INPUT, ExitCode.LOW_YIELD, ExitCode.EMPTY_RESULT)
"""Exit codes that no retry of a mix can cure."""

# Reading the same bytes again gives the same; parsing them again is most of what an example costs.
read_record = cache(LeafRecord.model_validate_json)
read_inputs = cache(RunInputs.model_validate_json)
read_attempt = cache(AttemptPlan.model_validate_json)
read_mix = cache(MixPlan.model_validate_json)
read_manifest = cache(Manifest.model_validate_json)


def text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


TAXONOMY = TaxonomyFound(
    "birds",
    "t",
    1,
    TaxonomySpec.model_validate({"source": {"bucket": {"key": "t.tar.gz"}}}),
    TaxonomyStatus.model_validate(
        {
            "attempt": 1,
            "check": {"open": False, "generation": 1},
            "checkedRevision": "etag",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Valid", "lastTransitionTime": text(START)}],
            "snapshot": {"digest": DIGEST, "key": "k", "checkedAt": text(START), "generation": 1},
        }
    ),
    "etag",
)


class Crash(Exception):
    """The operator was killed between two calls."""


@dataclass
class SimPod:
    name: str
    uid: str
    job_uid: str
    job_name: str
    role: str
    attempt: int
    index: int
    node: str = ""
    phase: str = "Pending"
    exit_code: int | None = None
    reason: str = ""
    disruption: str = ""
    deletion: datetime | None = None
    unreachable: bool = False
    """Its node is lost: it never goes away by itself."""
    silent_since: datetime | None = None
    """Since when the node controller has found its node silent."""
    tolerant: bool = False
    """It tolerates all taints, so nobody deletes it from a lost node."""
    scheduled: datetime = START
    began: datetime = START
    ended: datetime | None = None
    """When its own container has ended, though one that was added may keep the pod."""
    held_from: float | None = None
    """When it got its node, in seconds that have passed (`World.tick`)."""
    held_until: float | None = None
    """When its node was free of it, likewise."""
    added: bool = False
    """A policy has added a container, which never ends by itself."""

    @property
    def alive(self) -> bool:
        return self.phase not in ("Succeeded", "Failed")

    def json(self) -> dict[str, Any]:
        state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        if self.phase == "Running" and self.ended is None:
            state = {"running": {"startedAt": text(self.began)}}
        elif self.ended is not None and self.exit_code is not None:
            state = {"terminated": {"exitCode": self.exit_code, "reason": "Error" if self.exit_code else "Completed"}}
            state["terminated"] |= {"startedAt": text(self.began), "finishedAt": text(self.ended)}
        conditions = [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": text(self.scheduled)}
            if self.node
            else {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
        ]
        if self.silent_since:
            conditions.append({"type": "Ready", "status": "False", "lastTransitionTime": text(self.silent_since)})
        if self.disruption:
            conditions.append({"type": "DisruptionTarget", "status": "True", "reason": self.disruption})
        return {
            "metadata": {
                "name": self.name,
                "uid": self.uid,
                "labels": {
                    "sdg-operator.io/role": self.role,
                    "sdg-operator.io/attempt": str(self.attempt),
                    "batch.kubernetes.io/job-name": "a-job",
                },
                "annotations": {"batch.kubernetes.io/job-completion-index": str(self.index)},
                "ownerReferences": [{"kind": "Job", "name": self.job_name, "uid": self.job_uid}]
                if self.job_uid
                else [],
                **({"deletionTimestamp": text(self.deletion)} if self.deletion else {}),
            },
            "spec": {
                "nodeName": self.node,
                "containers": [*([{"name": "mesh"}] if self.added else []), {"name": "engine"}],
                "tolerations": [{"operator": "Exists"}] if self.tolerant else [],
            },
            "status": {
                "phase": self.phase,
                "reason": self.reason,
                "conditions": conditions,
                "containerStatuses": [{"name": "engine", "state": state}, {"name": "mesh", "state": {"running": {}}}],
            },
        }


@dataclass
class SimJob:
    job: Job | None
    name: str
    uid: str
    owner_uid: str
    role: str
    attempt: int
    shards: int
    labels: dict[str, str]
    suspended: bool = False
    queue: str | None = None
    parallelism: int = 0
    finished: str | None = None
    ttl: int | None = None

    def json(self) -> dict[str, Any]:
        conditions = [{"type": self.finished, "status": "True", "reason": "X"}] if self.finished else []
        return {
            "metadata": {
                "name": self.name,
                "uid": self.uid,
                "labels": {**self.labels, **({"kueue.x-k8s.io/queue-name": self.queue} if self.queue else {})},
                "creationTimestamp": text(START),
                "ownerReferences": [{"uid": self.owner_uid}],
            },
            "spec": {"suspend": self.suspended, "parallelism": self.parallelism, "completions": self.shards},
            "status": {"conditions": conditions},
        }


@dataclass
class World:
    """Everything there is. `broken` collects what must never happen."""

    leaves: int = 2
    parallelism: int = 1
    max_fruitless: int = 1
    max_failed: int = 0
    reused: int = 0
    """Leaves that another run has made."""
    reachable: bool = True
    quota: bool = True
    """Whether the API server takes new Jobs."""
    spec: DataGenerationSpec = field(init=False)
    status: DataGenerationStatus = field(default_factory=DataGenerationStatus)
    version: int = 1
    generation: int = 1
    now: datetime = START
    jobs: dict[str, SimJob] = field(default_factory=dict)
    pods: dict[str, SimPod] = field(default_factory=dict)
    bucket: dict[str, bytes] = field(default_factory=dict)
    uids: int = 0
    held: list[tuple[int, RunSeen, Plan[DataGenerationStatus]]] = field(default_factory=list)
    """Plans of operators that were stopped in mid-pass and may wake up at any time."""
    late: bool = False
    """An operator that was stopped in mid-pass is at work."""
    asked: list[Job] = field(default_factory=list)
    """Every Job that was made, for an operator that comes too late to ask for again."""
    broken: list[str] = field(default_factory=list)
    noted: set[str] = field(default_factory=set)
    """Names of Jobs whose uid went on record: they must never be made again."""
    fruitless: int = 0
    counted_attempts: set[int] = field(default_factory=set)
    settings: Settings = field(init=False)
    history: list[DataGenerationStatus] = field(default_factory=list)
    away_since_cancel: bool = False
    """Whether an operator met an unusable bucket after the wish to cancel."""
    mix_exits: set[int] = field(default_factory=set)
    signs: tuple[int, ...] = ()
    signed: datetime = START
    """When the latest of the signs of life was seen."""
    elapsed: float = 0.0
    ticked: datetime = START
    ever: list[SimPod] = field(default_factory=list)
    """Every pod that has had a node."""

    def __post_init__(self) -> None:
        self.spec = DataGenerationSpec.model_validate(
            {
                "taxonomyRef": {"name": "birds"},
                "engine": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
                "parallelism": self.parallelism,
                "maxFruitlessAttempts": self.max_fruitless,
                "maxFailedLeaves": self.max_failed,
                **({"reuse": {"name": "other"}} if self.reused else {}),
            }
        )
        self.settings = a_settings("engine:1")

    # --- what the operator sees ---

    @property
    def owner(self) -> Owner:
        return OWNER

    def index(self) -> SnapshotIndex:
        return SnapshotIndex(
            leaves=tuple(
                SnapshotLeaf(
                    id=f"leaf{i}",
                    path=f"knowledge->leaf{i}",
                    folder=f"taxonomy/knowledge/leaf{i}",
                    kind="freeform",
                    digest="sha256:" + f"{i:064x}",
                    seeds=5,
                )
                for i in range(self.leaves)
            )
        )

    def records(self) -> tuple[LeafRecord, ...]:
        found = [read_record(body) for key, body in sorted(self.bucket.items()) if key.startswith(LAYOUT.leaf_records)]
        frozen = self.bucket.get(LAYOUT.frozen(self.status.inputs_digest)) if self.status.inputs_digest else None
        # What an operator took over that came too late, by other settings, is of other inputs.
        wanted = {leaf.input_digest for leaf in read_inputs(frozen).leaves} if frozen else None
        return tuple(record for record in found if wanted is None or record.input_digest in wanted)

    def ledger(self) -> Look[Ledger]:
        if not self.reachable:
            return Look(problem=Problem(Reason.STORAGE_UNAVAILABLE, "the store does not answer"))
        body = self.bucket.get(LAYOUT.manifest)
        return Look(Ledger(self.records(), (), read_manifest(body) if body else None, DIGEST))

    def frozen(self, digest: str | None) -> bytes | None:
        return self.bucket.get(LAYOUT.frozen(digest)) if digest and self.reachable else None

    def observe(self) -> RunSeen:
        status = self.status
        attempt = status.attempt
        mixing = status.phase == "Mixing"
        name = job_name(self.owner, "mix" if mixing else "generate", attempt.mix_number if mixing else attempt.number)
        found = self.jobs.get(name)
        inputs = self.frozen(status.inputs_digest)
        ended = status.state in TERMINAL_STATES
        return RunSeen(
            owner=self.owner,
            generation=self.generation,
            created=START,
            spec=self.spec,
            status=status,
            settings=self.settings,
            surroundings=self.surroundings(),
            job=job_view(found.json()) if found else None,
            jobs=tuple(job_view(j.json()) for j in self.jobs.values()) if ended else (),
            pods=tuple(pod_view(p.json()) for p in self.pods.values()),
            inputs=read_inputs(inputs) if inputs else None,
            mix_plan=self.frozen(status.mix_digest),
            ledger=self.ledger() if status.phase not in (None, "Pending") else Look(),
            signal=self.signal(),
        )

    def signal(self) -> Signal:
        """Each new attempt and record is a sign of life."""
        attempt = self.status.attempt
        signs = (attempt.number, attempt.mix_number, len(self.records()))
        if signs != self.signs:
            self.signs, self.signed = signs, self.now
        return Signal(self.signed)

    def surroundings(self) -> Surroundings:
        taxonomy = TAXONOMY
        if not self.reachable:
            down = Problem(Reason.STORAGE_UNAVAILABLE, "the store does not answer")
            return Surroundings(Look("bucket"), Look(taxonomy), Look(problem=down))
        return Surroundings(
            Look("bucket"),
            Look(taxonomy),
            Look(self.index()),
            Look(TeacherFound("http://t/v1", "m")),
            Look({}),
            Look(finished_leaves(self.leaves)[: self.reused]) if self.reused else Look(),
        )

    # --- the operator ---

    def operate(self, crash_after: int | None = None, hold: bool = False) -> float | None:
        """One pass. `crash_after`: it is killed after so many calls; `hold`: it is stopped before its first."""
        version, seen = self.version, self.observe()
        plan = decide(seen, self.now)
        if decide(self.observe(), self.now) != plan:
            self.broken.append("equal snapshots gave different plans")
        if hold:
            self.held.append((version, seen, plan))
            return None
        self.away_since_cancel |= bool(self.spec.cancel) and not self.reachable
        strays = self.strays()
        try:
            self.execute(version, seen, plan, crash_after, fresh=True)
        except Crash:
            return 0
        for pod in strays:
            if pod.deletion is None and self.status.state not in TERMINAL_STATES:
                self.broken.append(f"pod {pod.name} of a late operator's Job is left at work")
        if not plan.actions:
            self.check_told(seen)
        return plan.again_seconds

    def check_told(self, seen: RunSeen) -> None:
        """What holds a run back is told: after a pass that has nothing to do about it."""
        status, before = self.status, seen.status.attempt
        if seen.status.phase != status.phase or status.failure or self.spec.cancel:
            return
        mixing = status.phase == "Mixing"
        uid = before.mix_job_uid if mixing else before.job_uid
        job = next((j for j in self.jobs.values() if j.uid == uid and not j.finished), None)
        if job is None or (self.spec.suspend and not mixing):
            return
        said = next(c for c in status.conditions if c.type == "Progressing")
        mine = [p for p in self.pods.values() if p.job_uid == uid and p.alive]
        idle = [p.name for p in mine if p.phase == "Pending"]
        busy = [p.name for p in mine if p.phase == "Running" and p.silent_since is None]
        if job.suspended and (status.state, said.status) != ("queued", "False"):
            self.broken.append(f"Job {job.name} is suspended, and the run reads as {status.state}")
        if job.suspended or status.state != "running":
            return
        if mine and all(p.phase == "Pending" and not p.node for p in mine):
            self.broken.append(f"{mine[0].name} finds no node, and the run reads as running")
        if mine and not busy and said.status == "True" and said.reason != Reason.MIXING:
            self.broken.append("nothing is at work, and it says that it progresses")
        if mine and not busy and not any(p.name in (status.message or "") for p in mine):
            self.broken.append(f"nothing is at work, and the message does not tell of {mine[0].name}")
        if busy and idle and self.reachable and not any(p.name in said.message for p in mine):
            self.broken.append(f"nothing tells why {idle[0]} is not at work")
        if busy and not self.reachable and said.reason == Reason.RUNNING:
            self.broken.append("nothing tells that the bucket is away")

    def strays(self) -> list[SimPod]:
        """Pods at work that are not of the attempt on record: two attempts would hold GPUs at once."""
        status = self.status
        if status.phase != "Generating" or status.attempt.job_uid is None:
            return []
        if self.spec.cancel and clock.not_ahead(status.cancel_time, self.now) is None:
            return []  # this pass only notes the wish
        known = (status.attempt.job_uid,)
        mine = [p for p in self.pods.values() if p.alive and p.deletion is None and p.job_name in self.jobs]
        return [p for p in mine if p.job_uid not in known and self.jobs[p.job_name].uid == p.job_uid]

    def wake(self) -> None:
        version, seen, plan = self.held.pop(0)
        self.late = True
        self.execute(version, seen, plan, None, fresh=False)
        self.late = False

    def execute(
        self, version: int, seen: RunSeen, plan: Plan[DataGenerationStatus], crash_after: int | None, *, fresh: bool
    ) -> None:
        calls = 0
        for action in one_by_one(plan.actions):
            if crash_after is not None and calls >= crash_after:
                raise Crash
            calls += 1
            match action:
                case PutObject(key, body):
                    if not self.reachable:
                        return None
                    self.put(key, body)
                case CreateJob(job):
                    if not self.create(job, fresh):
                        return self.refuse(version, seen)
                case DeleteJob() | DeletePod() | ReleaseJob():
                    self.let_go(action)
        if crash_after is not None and calls >= crash_after:
            raise Crash
        self.write(version, plan.status)
        return None

    def let_go(self, action: DeleteJob | DeletePod | ReleaseJob) -> None:
        """Each has the uid as precondition."""
        found = (self.pods if isinstance(action, DeletePod) else self.jobs).get(action.name)
        if found is None or found.uid != action.uid:
            return
        match action:
            case DeleteJob(name):
                self.delete_job(name)
            case DeletePod(name):
                self.pods[name].deletion = self.now + timedelta(seconds=30)
            case ReleaseJob(name):
                self.jobs[name].ttl = action.ttl_seconds
                self.jobs[name].labels.pop(WATCH_LABEL, None)

    def refuse(self, version: int, seen: RunSeen) -> None:
        seen = replace(seen, refused=Problem(Reason.QUOTA_EXCEEDED, "exceeded quota: jobs"))
        plan = decide(seen, self.now)
        if plan.actions:
            self.broken.append("a refused Job was asked for again in the same pass")
        self.write(version, plan.status)

    def write(self, version: int, status: DataGenerationStatus) -> None:
        if version != self.version or status == self.status:
            return
        self.check_write(self.status, status)
        self.status = status
        self.version += 1
        self.history.append(status)
        for uid in (status.attempt.job_uid, status.attempt.mix_job_uid):
            if any(j.uid == uid and j.owner_uid != UID for j in self.jobs.values()):
                self.broken.append("a stranger's Job was taken for ours")
            self.noted |= {j.name for j in self.jobs.values() if j.uid == uid}

    def check_write(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        if old.state in TERMINAL_STATES:
            self.broken.append(f"a terminal status was changed: {old.state} → {new.state}")
        if old.resolved is not None and new.resolved != old.resolved:
            self.broken.append("frozen settings were changed")
        if old.inputs_digest is not None and new.inputs_digest != old.inputs_digest:
            self.broken.append("frozen inputs were changed")
        if old.mix_digest is not None and new.mix_digest != old.mix_digest:
            self.broken.append("the frozen choice of samples was changed")
        if new.attempt.number < old.attempt.number or new.attempt.mix_number < old.attempt.mix_number:
            self.broken.append("an attempt number went back")
        if old.start_time is not None and new.start_time != old.start_time:
            self.broken.append("startTime was changed")
        self.check_cost(old, new)
        if new.state == "running" and new.phase == "Generating" and old.state != "running":
            self.check_running(new)
        if old.state == "running" and new.state == "queued":
            self.check_back_to_queue(old)
        if any(c.type == "Suspended" and c.status == "True" for c in new.conditions) and not self.late:
            self.check_suspended(old)
        if new.state in TERMINAL_STATES:
            self.check_end(old, new)
        if new.attempt.number > old.attempt.number >= 1:
            self.check_next_attempt(old, new)

    def check_cost(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        """What is counted only grows, and to no more than what pods held."""
        before, cost = old.cost or Cost(), new.cost or Cost()
        if cost.gpu_seconds < before.gpu_seconds or cost.wasted_gpu_seconds < before.wasted_gpu_seconds:
            self.broken.append("GPU-seconds that were counted are no more")
        if cost.wasted_gpu_seconds > cost.gpu_seconds:
            self.broken.append("more GPU-seconds were wasted than used")
        if cost.gpu_seconds > self.gpu_seconds():
            self.broken.append(f"{cost.gpu_seconds} GPU-seconds were counted, {self.gpu_seconds()} were held")

    def gpu_seconds(self) -> float:
        """What generate pods have held so far, a GPU each."""
        spans = [(pod.held_from, pod.held_until) for pod in self.ever if pod.role == "generate"]
        return sum((self.tick() if end is None else end) - begin for begin, end in spans if begin is not None)

    def tick(self) -> float:
        """Seconds that have passed, however often the clock was set back meanwhile."""
        self.elapsed += max(0.0, (self.now - self.ticked).total_seconds())
        self.ticked = self.now
        return self.elapsed

    def check_running(self, new: DataGenerationStatus) -> None:
        uid = new.attempt.job_uid
        if not self.late and not any(p.job_uid == uid and p.phase != "Pending" for p in self.pods.values()):
            self.broken.append("running, but no pod of the attempt has started")

    def check_back_to_queue(self, old: DataGenerationStatus) -> None:
        attempt = old.attempt
        uid = attempt.mix_job_uid if old.phase == "Mixing" else attempt.job_uid
        job = next((j for j in self.jobs.values() if j.uid == uid), None)
        if job is None or job.finished or job.suspended or self.late:  # it saw what was then
            return
        mine = [p for p in self.pods.values() if p.job_uid == uid and p.alive]
        if mine and all(p.ended for p in mine):
            return  # what was added to them is all that runs
        if any(p.phase == "Running" for p in mine) or all(p.node for p in mine):
            self.broken.append("back to queued while its Job is at work, and no pod of it finds no node")

    def check_suspended(self, old: DataGenerationStatus) -> None:
        if any(c.type == "Suspended" and c.status == "True" for c in old.conditions):
            return  # what a late operator has made since
        if any(p.alive and p.deletion is None and not p.unreachable for p in self.pods.values()):
            self.broken.append("Suspended, though a pod is at work")
        if any(p.alive and not p.unreachable and not self.given_up(p) for p in self.pods.values()):
            self.broken.append("Suspended, though a pod is still being stopped")

    def check_next_attempt(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        job = next((j for j in self.jobs.values() if j.uid == old.attempt.job_uid), None)
        at_work = [p for p in self.pods.values() if job and p.job_uid == job.uid and p.alive and not p.ended]
        if old.attempt.job_uid and job is not None and job.finished is None and (at_work or job.suspended):
            self.broken.append("a next attempt was opened while the Job of the last one is at work")
        if self.was_fruitless(old, job) and new.attempt.fruitless != old.attempt.fruitless + 1:
            self.broken.append("an attempt that finished no leaf was not counted")
        refused = [p for p in self.pods.values() if job and p.job_uid == job.uid and p.exit_code in REFUSED]
        untried = not any(record.attempt for record in self.records())
        if untried and any(not p.disruption for p in refused) and not self.spec.suspend and not self.late:
            self.broken.append("a refusal of the very first request is waited out")
        if not self.late:  # such an operator knows only its own earlier time
            self.check_active(old, new)

    def check_active(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        """All of a span that is over counts, but for what came after its last pod."""
        mine = [p for p in self.pods.values() if old.attempt.job_uid in (None, p.job_uid) and p.role == "generate"]
        ends = [p.ended for p in mine if p.ended]
        until = max(ends) if ends and not any(p.alive for p in mine) else self.now
        since = old.attempt.active_since
        if new.attempt.active_seconds != old.attempt.active_seconds + int(clock.seconds_since(since, until)):
            self.broken.append("active time was forgotten, or counted though no pod was at work")

    def was_fruitless(self, old: DataGenerationStatus, job: SimJob | None) -> bool:
        """Whether an attempt ended by faults of its own, nothing else, and added no record."""
        mine = [p for p in self.pods.values() if job is not None and p.job_uid == job.uid]
        told = [p for p in mine if p.deletion is not None and p.exit_code in STOPPED]
        faults = [p for p in mine if p.exit_code in FAULTS and not p.disruption and p not in told]
        added = len({record.leaf for record in self.records()}) > old.attempt.leaves_before
        return bool(mine) and len(faults) == len(mine) and not added and not self.spec.suspend

    def check_end(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        if new.completion_time is None:
            self.broken.append("ended without completionTime")
        done = {record.leaf for record in self.records() if record.outcome == "done"}
        everything = len({record.leaf for record in self.records()}) == self.leaves
        if new.state == "completed":
            if not everything or self.leaves - len(done) > self.max_failed:
                self.broken.append("completed, but leaves are missing")
            if LAYOUT.manifest not in self.bucket:
                self.broken.append("completed without a manifest")
            if new.data_metrics is None or new.data_metrics.samples.total <= 0:
                self.broken.append("completed without samples")
        if new.state == "canceled" and not self.spec.cancel:
            self.broken.append("canceled, but nobody asked for it")
        if new.state == "canceled":
            self.check_canceled(old, new)
        if new.state == "failed":
            self.check_failed(old, new, done, everything)
        alive = [p for p in self.pods.values() if p.alive and not p.unreachable and p.deletion is None]
        alive = [p for p in alive if not p.job_uid or p.job_name in self.jobs]
        alive = [p for p in alive if not p.job_uid or self.jobs[p.job_name].finished is None]
        if alive and not self.held_jobs():
            self.broken.append(f"ended as {new.state} while pod {alive[0].name} is at work")

    def check_canceled(self, old: DataGenerationStatus, new: DataGenerationStatus) -> None:
        """Finished samples are mixed, unless the bucket does not let them be, or their mix fails."""
        unmixed = any(c.reason == Reason.FILES_NOT_MIXED for c in new.conditions)
        made = any(record.outcome == "done" and record.attempt for record in self.records())
        if made and not unmixed and LAYOUT.manifest not in self.bucket:
            self.broken.append("canceled, and finished samples were not mixed")
        failed = self.mix_exits & {*UNMIXABLE, *INCURABLE} or old.attempt.mix_failures >= 3
        if unmixed and not failed and not self.away_since_cancel and not self.late:
            self.broken.append("canceled without a mix, though the bucket was there")

    def check_failed(
        self, old: DataGenerationStatus, new: DataGenerationStatus, done: set[str], everything: bool
    ) -> None:
        if new.failure is None:
            self.broken.append("failed without a reason")
        elif new.failure.reason == Reason.NO_PROGRESS and old.attempt.fruitless < self.max_fruitless:
            self.broken.append("failed for want of progress before its budget was spent")
        hopeless = any(p.role == "mix" and p.exit_code in INCURABLE for p in self.pods.values())
        unmixed = LAYOUT.manifest not in self.bucket and old.attempt.mix_failures < 3 and not hopeless
        if done and unmixed:
            self.broken.append("failed, and finished samples were not mixed")
        if everything and len(done) == self.leaves and unmixed:
            self.broken.append("failed, though every leaf was made")

    def held_jobs(self) -> bool:
        return any(j.labels.get("late") for j in self.jobs.values())

    # --- the API server ---

    def next_uid(self) -> str:
        self.uids += 1
        return f"uid-{self.uids}"

    def put(self, key: str, body: bytes) -> None:
        if key == LAYOUT.mix and self.bucket.get(key, body) != body:
            self.broken.append("the frozen mix plan was replaced")
        self.bucket[key] = body

    def create(self, job: Job, fresh: bool) -> bool:
        if not self.quota:
            return False
        header = job.header
        if header.name in self.jobs:
            return True  # 409: the next pass sees whose it is
        if fresh:
            self.check_create(job)
        self.asked.append(job)
        shards = job.shards if isinstance(job, GenerateJob) else 1
        labels = dict(header.labels)
        if not fresh:
            labels["late"] = "true"
        self.jobs[header.name] = SimJob(
            job,
            header.name,
            self.next_uid(),
            header.owner.uid,
            header.role,
            header.attempt,
            shards,
            labels,
            parallelism=shards,
            suspended=header.queue_name is not None,
            queue=header.queue_name,
        )
        return True

    def check_create(self, job: Job) -> None:
        if job.header.name in self.noted:
            self.broken.append(f"Job {job.header.name} was made a second time")
        if self.status.state in TERMINAL_STATES:
            self.broken.append("a Job was made for an ended run")
        number = self.status.attempt.mix_number if isinstance(job, MixJob) else self.status.attempt.number
        if job.header.attempt != number:
            self.broken.append("a Job was made whose attempt is not on record")
        for pod in self.pods.values():
            if pod.alive and not pod.unreachable and not self.given_up(pod):
                self.broken.append(f"Job {job.header.name} was made while pod {pod.name} is alive")
        if self.spec.suspend and not self.spec.cancel and isinstance(job, GenerateJob):
            self.broken.append("a generate Job was made for a suspended run")
        if isinstance(job, GenerateJob):
            if self.spec.cancel:
                self.broken.append("a generate Job was made for a canceled run")
            dealt = read_attempt(self.bucket[LAYOUT.attempt_plan(job.header.attempt)])
            known = {r.leaf for r in self.records()}
            for leaf in (leaf for shard in dealt.shards for leaf in shard):
                if leaf in known:
                    self.broken.append(f"leaf {leaf} was dealt out again after its record")

    def given_up(self, pod: SimPod) -> bool:
        """Whether it should so long be gone that its node counts as lost."""
        return pod.deletion is not None and self.now > pod.deletion + timedelta(seconds=300)

    def squat(self) -> None:
        """A Job of somebody else has the name that the next attempt would take."""
        name = job_name(self.owner, "generate", self.status.attempt.number + 1)
        if name not in self.jobs:
            uid = self.next_uid()
            self.jobs[name] = SimJob(None, name, uid, "somebody", "", 0, 1, {}, parallelism=1, finished="Complete")

    def delete_job(self, name: str) -> None:
        job = self.jobs.pop(name)
        for pod in self.pods.values():
            if pod.job_uid == job.uid and pod.deletion is None:
                pod.deletion = self.now + timedelta(seconds=30)

    def orphan_pods(self, name: str) -> None:
        """Somebody deletes a Job without its pods, as a plain DELETE of the API does."""
        job = self.jobs.pop(name)
        for pod in self.pods.values():
            if pod.job_uid == job.uid:
                pod.job_uid = pod.job_name = ""

    # --- the cluster's controllers ---

    def run_job_controller(self) -> None:
        for job in self.jobs.values():
            if job.finished or job.suspended or job.parallelism < 1:
                continue
            for index in range(job.shards):
                mine = [p for p in self.pods.values() if p.job_uid == job.uid and p.index == index]
                if any(p.alive or p.phase == "Succeeded" for p in mine):
                    continue
                failed = [p for p in mine if p.phase == "Failed"]
                if failed and not any(p.disruption for p in failed):
                    job.finished = "Failed"
                    for pod in self.pods.values():
                        if pod.job_uid == job.uid and pod.alive:
                            pod.deletion = pod.deletion or self.now
                    break
                name = f"{job.name}-{index}-{self.uids:03d}"
                uid = self.next_uid()
                self.pods[name] = SimPod(name, uid, job.uid, job.name, job.role, job.attempt, index)
            mine = [p for p in self.pods.values() if p.job_uid == job.uid]
            if sum(p.phase == "Succeeded" for p in mine) >= job.shards:
                job.finished = "Complete"

    def collect_garbage(self) -> None:
        for name, pod in list(self.pods.items()):
            if pod.deletion is not None and not pod.unreachable:
                pod.held_until = self.tick() if pod.held_until is None else pod.held_until
                del self.pods[name]

    def start_pods(self) -> None:
        for pod in self.pods.values():
            if pod.phase == "Pending" and pod.deletion is None:
                pod.node, pod.phase = "node1", "Running"
                pod.scheduled = pod.began = self.now
                pod.held_from = self.tick()
                self.ever.append(pod)

    # --- the containers ---

    def dealt(self, pod: SimPod) -> tuple[str, ...]:
        body = self.bucket.get(LAYOUT.attempt_plan(pod.attempt))
        if body is None:
            return ()
        shards = read_attempt(body).shards
        return shards[pod.index] if pod.index < len(shards) else ()

    def make_leaf(self, pod: SimPod, outcome: str = "done") -> None:
        """The engine in a pod finishes the next leaf of its shard."""
        inputs = self.bucket.get(LAYOUT.inputs)
        if inputs is None or not self.reachable:
            return
        by_id = {leaf.id: leaf for leaf in read_inputs(inputs).leaves}
        for leaf in self.dealt(pod):
            key = LAYOUT.leaf_record(leaf, pod.attempt, pod.name)
            if key in self.bucket:
                continue
            data = FileRef(key=LAYOUT.samples(leaf, pod.attempt, pod.name), size=1, sha256="0", lines=1)
            record = LeafRecord(
                leaf=leaf,
                input_digest=by_id[leaf].input_digest,
                attempt=pod.attempt,
                pod=pod.name,
                outcome="done" if outcome == "done" else "failed",
                samples=1,
                expected_samples=1,
                data=data if outcome == "done" else None,
                reason=None if outcome == "done" else "LowYield",
            )
            self.bucket[key] = record.to_json()
            return

    def unmade(self, pod: SimPod) -> bool:
        known = {r.leaf for r in self.records()}
        return any(leaf not in known for leaf in self.dealt(pod))

    def mix_samples(self) -> None:
        body = self.bucket.get(LAYOUT.mix)
        if body is None or not self.reachable:
            return
        plan = read_mix(body)
        manifest = Manifest(
            run=RunIdentity(namespace="team", name="birds-1", uid=UID),
            engine="engine:1",
            settings=read_inputs(self.frozen(self.status.inputs_digest) or b"").settings,
            versions={},
            files=(),
            samples=SampleCounts(knowledge=0, skills=len(plan.sources), total=len(plan.sources)),
            tokens=Tokens(),
            leaves=(),
            failed=plan.failed,
        )
        self.bucket[LAYOUT.manifest] = manifest.to_json()

    def end_pod(self, pod: SimPod, exit_code: int, reason: str = "") -> None:
        if pod.role == "mix":
            self.mix_exits.add(exit_code)
        if pod.added and not pod.disruption:
            if pod.ended is None:
                pod.exit_code, pod.ended = exit_code, self.now
            return
        pod.phase, pod.exit_code, pod.reason = ("Succeeded" if exit_code == 0 else "Failed"), exit_code, reason
        pod.ended, pod.held_until = self.now, self.tick()

    # --- everything goes well ---

    def settle(self, passes: int = 200, *, pods_end: bool = True) -> None:
        """From now on the world is kind and prompt; with `pods_end` false, its pods work on for as long as they may."""
        self.reachable, self.quota = True, True
        for _ in range(passes):
            for job in self.jobs.values():
                job.suspended = False
            self.run_job_controller()
            self.start_pods()
            for pod in self.pods.values():
                if pods_end and pod.phase == "Running" and pod.deletion is None and not pod.unreachable:
                    if pod.role == "mix":
                        self.mix_samples()
                    while pod.role == "generate" and self.unmade(pod):
                        self.make_leaf(pod)
                    self.end_pod(pod, 0)
            self.run_job_controller()
            self.collect_garbage()
            again = self.operate()
            if self.status.state in TERMINAL_STATES and not any(j.finished is None for j in self.jobs.values()):
                return
            self.now += timedelta(seconds=max(again or 0, 30))


def one_by_one(actions: Iterable[Action]) -> Iterator[Action]:
    """A crash may come between any two objects that are written."""
    for action in actions:
        yield from action.objects if isinstance(action, PutObjects) else (action,)


@cache
def finished_leaves(leaves: int) -> tuple[LeafRecord, ...]:
    """What another run of the same leaves and settings has left, to be reused."""
    other = World(leaves)
    other.operate()
    return tuple(
        LeafRecord(
            leaf=leaf.id,
            input_digest=leaf.input_digest,
            attempt=3,
            pod="other",
            outcome="done",
            samples=1,
            expected_samples=1,
            data=FileRef(key=f"synthetic_data/other/{leaf.id}.jsonl", size=1, sha256="0", lines=1),
        )
        for leaf in read_inputs(other.frozen(other.status.inputs_digest) or b"").leaves
    )


def a_settings(engine: str, **settings: Any) -> Settings:
    return Settings.model_validate({"images": {"engine": engine, "runner": "runner:1"}, **settings})
