"""A small model world for a Taxonomy: a source that changes when it likes, checks that are slow, killed or lost with
their nodes, and runs that wait for them. The operator under test is the real `decide`, and what a run would use the
real `pinned`."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sdg_operator.api.settings import Settings
from sdg_operator.api.taxonomy import TaxonomySpec, TaxonomyStatus
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.cluster import ContainerView, JobView, PodView
from sdg_operator.reconcile.conditions import find
from sdg_operator.reconcile.names import Owner, job_name
from sdg_operator.reconcile.plan import CreateJob, DeleteJob, ReleaseJob
from sdg_operator.reconcile.reasons import Reason
from sdg_operator.reconcile.run_accept import pinned
from sdg_operator.reconcile.snapshot import Look, Problem, TaxonomyFound, TaxonomySeen
from sdg_operator.reconcile.taxonomy import TaxonomyPlan, answers, decide
from sdg_operator.taxonomy.report import Counts, ShortReport

OWNER = Owner("Taxonomy", "team", "birds", "0a1b2c3d-0000-4000-8000-000000000001")
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings.model_validate({"images": {"engine": "e", "runner": "r"}})
NODE = "node-1"
UNREACHABLE = timedelta(seconds=300)
"""How long Kubernetes leaves a pod on a node that does not answer, unless it tolerates that for ever."""
SOURCES = {"bucket": {"bucket": {"key": "t.tar.gz"}}, "git": {"git": {"url": "https://git.example/t", "ref": "main"}}}


class Crash(Exception):
    """The operator was killed between two calls."""


@dataclass(frozen=True)
class Content:
    """What the source holds at a moment."""

    generation: int
    """Of the spec that says where to look."""
    revision: int
    good: bool

    @property
    def etag(self) -> str:
        return f"etag-{self.generation}-{self.revision}"

    @property
    def digest(self) -> str:
        return f"sha256:{self.generation:032x}{self.revision:032x}"


@dataclass
class SimCheck:
    """A validate Job with its pod."""

    name: str
    uid: str
    owner_uid: str
    generation: int
    created: datetime
    late: bool = False
    """Made by an operator that woke up late: it reads and reports for nobody, and ends by itself."""
    read: Content | None = None
    """What it has read of the source."""
    read_at: datetime = START
    report: str | None = None
    good: bool = False
    """Its report is that what it read can be used."""
    finished: bool = False
    watched: bool = True
    silent_since: datetime | None = None
    """Since when its node does not answer: Kubernetes waits for its pod, and so its Job never ends."""
    tolerant: bool = False
    """Its pod tolerates that for ever, so that nobody deletes it."""
    deletion: datetime | None = None
    """When the grace of its pod ends, if that is being deleted."""
    gone: bool = False
    """Its pod is no more."""

    def pod(self) -> PodView:
        return PodView(
            f"{self.name}-x",
            f"{self.uid}-pod",
            self.name,
            self.uid,
            phase="Succeeded" if self.finished else "Running",
            node=NODE,
            deletion=self.deletion,
            silent_since=self.silent_since,
            stays_on_lost_node=self.tolerant,
            containers=(ContainerView("validate", "main", "terminated" if self.finished else "running"),),
        )

    def view(self) -> JobView:
        return JobView(
            self.name,
            self.uid,
            (self.owner_uid,),
            self.created,
            watched=self.watched,
            finished="Complete" if self.finished else None,
        )


@dataclass
class TaxonomyWorld:
    """Everything there is. `broken` collects what must never happen."""

    source: str = "bucket"
    generation: int = 1
    version: int = 1
    content: Content = field(default_factory=lambda: Content(1, 1, good=True))
    documents: bool = True
    """Whether the repository that the leaves' documents come from has them."""
    snapshots: set[str] = field(default_factory=set)
    """Digests of the snapshots in the bucket."""
    reachable: bool = True
    secret: bool = True
    quota: bool = True
    request: str | None = None
    api_now: datetime = START
    """By the API server's clock, which never goes back."""
    skew: float = 0.0
    """How far the operator's clock is ahead of the API server's, in seconds."""
    status: TaxonomyStatus = field(default_factory=TaxonomyStatus)
    jobs: dict[str, SimCheck] = field(default_factory=dict)
    ever: list[SimCheck] = field(default_factory=list)
    runs: list[datetime] = field(default_factory=list)
    """When the runs that wait were created."""
    wanted: datetime | None = None
    wanted_since: datetime | None = None
    held: list[tuple[int, TaxonomySeen, TaxonomyPlan]] = field(default_factory=list)
    """Plans of operators that were stopped in mid-pass and may wake up at any time."""
    broken: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.api_now + timedelta(seconds=self.skew)

    @property
    def spec(self) -> TaxonomySpec:
        return TaxonomySpec.model_validate({"source": SOURCES[self.source], "intervalSeconds": 60})

    @property
    def ready(self) -> str:
        said = find(self.status.conditions, "Ready")
        return said.status if said else ""

    # --- what the operator sees ---

    def observe(self) -> TaxonomySeen:
        seen = TaxonomySeen(
            OWNER,
            self.generation,
            self.spec,
            self.status,
            SETTINGS,
            check_request=self.request,
            wanted_after=self.wanted,
            wanted_since=self.wanted_since,
        )
        check = self.status.check
        if check.open:
            job = self.jobs.get(job_name(OWNER, "validate", self.status.attempt))
            if job is None and check.job_uid is None:
                return replace(seen, secrets=self.look_at_secrets())
            there = [j for j in self.ever if j.owner_uid == OWNER.uid and not j.gone]
            report = next((j.report for j in there if j.uid == check.job_uid), None)
            pods = tuple(j.pod() for j in there)
            return replace(seen, job=job.view() if job else None, pods=pods, report=report)
        secrets = self.look_at_secrets()
        revision = Look() if secrets.problem else self.revision()
        lost = revision.found is not None and self.ready == "True" and self.snapshot_lost
        return replace(seen, secrets=secrets, source_revision=revision, snapshot_lost=lost)

    @property
    def snapshot_lost(self) -> bool:
        return self.status.snapshot is not None and self.status.snapshot.digest not in self.snapshots

    def look_at_secrets(self) -> Look[frozenset[str]]:
        if self.secret:
            return Look(frozenset({"sdg-storage"}))
        return Look(problem=Problem(Reason.SECRET_NOT_FOUND, "Secret sdg-storage does not exist."))

    def revision(self) -> Look[str]:
        if self.source == "git":
            return Look()
        if self.reachable:
            return Look(self.content.etag)
        return Look(problem=Problem(Reason.STORAGE_UNAVAILABLE, "the store does not answer"))

    # --- the operator ---

    def ask(self) -> None:
        """Each run that waits asks for a check, in its own pass."""
        for created in self.runs:
            answer = self.usable(created)
            if isinstance(answer, Problem) and answer.reason is Reason.TAXONOMY_CHECKING:
                self.wanted = max(created, self.wanted or created)
                self.wanted_since = min(created, self.wanted_since or created)

    def usable(self, created: datetime) -> str | Problem:
        """Digest of the snapshot that a run created then would use now."""
        revision = self.revision().found
        return pinned(None, TaxonomyFound("birds", "t", self.generation, self.spec, self.status, revision), created)

    def operate(self, crash_after: int | None = None, hold: bool = False) -> float | None:
        """One pass. `crash_after`: it is killed after so many calls; `hold`: it is stopped before its first."""
        self.ask()
        self.clear_lost_nodes()
        version, seen = self.version, self.observe()
        plan = decide(seen, self.now)
        if decide(self.observe(), self.now) != plan:
            self.broken.append("equal snapshots gave different plans")
        said = clock.seconds_until(seen.status.check.not_before, self.now, float("inf"))
        if plan.status == seen.status and said and (plan.again_seconds is None or plan.again_seconds > max(said, 10)):
            self.broken.append(f"a check is to be repeated in {said} s, and is looked at in {plan.again_seconds} s")
        if hold:
            self.held.append((version, seen, plan))
            return None
        try:
            self.execute(version, seen, plan, crash_after)
        except Crash:
            return 0
        if not plan.actions:
            self.check_told(seen)
        return plan.again_seconds

    def check_told(self, seen: TaxonomySeen) -> None:
        """A node that does not answer is told of: after a pass that has nothing to do about it."""
        check = seen.status.check
        if not self.status.check.open or seen.job is None or check.job_uid != seen.job.uid:
            return
        mine = self.jobs[seen.job.name]
        if mine.silent_since and not mine.finished and NODE not in (self.status.message or ""):
            self.broken.append(f"nothing tells that the node of {mine.name} does not answer")

    def wake(self) -> None:
        self.execute(*self.held.pop(0), None, late=True)

    def execute(
        self, version: int, seen: TaxonomySeen, plan: TaxonomyPlan, crash_after: int | None, *, late: bool = False
    ) -> None:
        calls = 0
        for action in plan.actions:
            if crash_after is not None and calls >= crash_after:
                raise Crash
            calls += 1
            match action:
                case CreateJob(job):
                    if not self.quota:
                        refused = Problem(Reason.QUOTA_EXCEEDED, "exceeded quota: jobs")
                        plan = decide(replace(seen, refused=refused), self.now)
                        break
                    self.create(job.header.name, late=late)
                case DeleteJob(name, uid):
                    if name in self.jobs and self.jobs[name].uid == uid:
                        self.delete(name)
                case ReleaseJob(name, uid):
                    if name in self.jobs and self.jobs[name].uid == uid:
                        self.jobs[name].watched = False
        if crash_after is not None and calls >= crash_after:
            raise Crash
        if version == self.version:
            self.write(plan.status)
            if answers(seen, plan, self.now):
                self.wanted = self.wanted_since = None

    def create(self, name: str, *, late: bool) -> None:
        if name in self.jobs:
            return
        if not late:
            ours = [job for job in self.jobs.values() if job.owner_uid == OWNER.uid and not job.late]
            if live := [job.name for job in ours if not job.finished]:
                self.broken.append(f"{name} was made while {live[0]} is at work")
            if not self.status.check.open or name != job_name(OWNER, "validate", self.status.attempt):
                self.broken.append(f"{name} was made, and its check is not on record")
            if any(j.name == name and j.uid == self.status.check.job_uid for j in self.ever):
                self.broken.append(f"{name} was made a second time")
        self.add(SimCheck(name, f"uid{len(self.ever)}", OWNER.uid, self.generation, self.api_now, late))

    def add(self, check: SimCheck) -> None:
        self.jobs[check.name] = check
        self.ever.append(check)

    def write(self, status: TaxonomyStatus) -> None:
        if status == self.status:
            return
        if status.attempt < self.status.attempt:
            self.broken.append("the number of a check went back")
        if status.check.job_uid and any(j.uid == status.check.job_uid and j.owner_uid != OWNER.uid for j in self.ever):
            self.broken.append("a stranger's Job was taken for ours")
        self.status = status
        self.version += 1
        self.check_generation()
        if self.ready == "True" and not any(
            j.read and j.good and j.read.etag == status.checked_revision for j in self.ever
        ):
            self.broken.append(f"Ready with {status.checked_revision}, which no check found good")

    def check_generation(self) -> None:
        """What is said of a generation, a check of that one has found. Of a refusal none is needed."""
        said, status = find(self.status.conditions, "Ready"), self.status
        verdict = said is not None and said.status != "Unknown" and status.checked_revision is not None
        if said is None or not (verdict or status.state == "completed"):
            return
        by = next((job.generation for job in self.ever if job.uid == status.check.job_uid), None)
        for told in (said.observed_generation, status.observed_generation):
            if told != by:
                self.broken.append(f"Ready={said.status} of generation {told} by a check of {by}")

    # --- checks ---

    def read_source(self, check: SimCheck) -> None:
        """The pod looks at the source as the spec of its time names it."""
        check.read, check.read_at = replace(self.content, generation=check.generation), self.api_now

    def end(self, check: SimCheck, *, killed: bool = False) -> None:
        """The pod ends, with its report unless it was killed; then so does the Job."""
        if not killed:
            if check.read is None:
                self.read_source(check)
            assert check.read is not None
            report = report_on(check.read, self.documents)
            check.report, check.good = report.to_text(), report.ok
            if report.ok:
                self.snapshots.add(check.read.digest)
        check.finished = True
        check.gone = self.jobs.get(check.name) is not check

    def delete(self, name: str) -> None:
        """A Job is deleted, and its pod told to end, which one on a lost node does not hear."""
        check = self.jobs.pop(name)
        check.gone = check.silent_since is None or check.finished
        check.deletion = check.deletion or self.api_now

    def clear_lost_nodes(self) -> None:
        """Kubernetes deletes the pods of a node that has been silent for long."""
        for check in self.ever:
            if check.silent_since and not check.tolerant and self.api_now - check.silent_since >= UNREACHABLE:
                check.deletion = check.deletion or self.api_now

    def node_returns(self) -> None:
        """The nodes answer again, and their old pods run on until they hear what was wanted of them."""
        for check in self.ever:
            check.silent_since = None

    def squat(self) -> None:
        """Somebody else's Job takes the next name, and its pod claims that all is well."""
        name = job_name(OWNER, "validate", self.status.attempt + 1)
        if name not in self.jobs:
            lie = report_on(Content(9, 9, good=True)).to_text()
            self.add(SimCheck(name, f"uid{len(self.ever)}", "stranger", 9, self.api_now, report=lie, finished=True))

    # --- what must hold ---

    def check_runs(self) -> None:
        """What a run would use now was looked at after the run was created, and is good."""
        for created in self.runs:
            digest = self.usable(created)
            if isinstance(digest, Problem):
                continue
            used = [j for j in self.ever if j.read and j.report and j.read.digest == digest]
            if not any(j.good and j.generation == self.generation for j in used):
                self.broken.append("a run would use what no check of this spec found good")
            elif self.source == "bucket" and digest != replace(self.content, generation=self.generation).digest:
                self.broken.append("a run would use an older object than the bucket holds")
            elif self.source == "git" and all(j.read_at <= created for j in used):
                self.broken.append("a run would use what was read before the run was created")

    def settle(self, passes: int = 60, *, documents: bool = True) -> float | None:
        """From now on all works, but for lost nodes, and the documents where told: give the operator its time."""
        self.reachable = self.secret = self.quota = True
        self.documents = documents
        self.skew = max(self.skew, 0.0)
        again: float | None = 0.0
        for _ in range(passes):
            before = self.status
            again = self.operate()
            for job in self.jobs.values():
                if not job.finished and job.silent_since is None:
                    self.end(job)
            self.check_runs()
            check = self.status.check
            waiting = check.open or check.not_before is not None or self.ready == "Unknown"
            waiting = waiting or (self.source == "bucket" and self.ready == "True" and self.snapshot_lost)
            if self.status == before and not waiting and self.satisfied():
                return again
            lost = check.open and any(job.silent_since for job in self.jobs.values())
            self.api_now += timedelta(seconds=max(61.0 if lost else 1.0, min(again or 60.0, 700.0)))
        return again

    def satisfied(self) -> bool:
        """Whether every run has its answer."""
        answers = [self.usable(created) for created in self.runs]
        checking = [a for a in answers if isinstance(a, Problem) and a.reason is Reason.TAXONOMY_CHECKING]
        return not checking


def report_on(content: Content, documents: bool = True) -> ShortReport:
    if not (content.good and documents):
        external = content.good
        return ShortReport(
            ok=False, reason="InvalidTaxonomy", message="mend it", revision=content.etag, external=external
        )
    return ShortReport(
        ok=True,
        reason="Valid",
        message="2 leaves",
        digest=content.digest,
        snapshot_key="k",
        revision=content.etag,
        counts=Counts(leaves=2),
    )
