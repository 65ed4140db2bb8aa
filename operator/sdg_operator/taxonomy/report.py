"""What a check found: the full report for the bucket, and a short one that fits into a termination message."""

from typing import Final, Literal

from pydantic import Field, ValidationError

from sdg_operator.storage.records import DocumentRepository, LeafKind, Record, SnapshotLeaf, Versioned

SHORT_REPORT_BYTES: Final = 3072
"""Most that a short report takes; Kubernetes cuts a termination message at 4096 bytes."""
_SHORT_PROBLEMS: Final = 10
_SHORT_WARNINGS: Final = 5
_ELLIPSIS: Final = "…"

Reason = Literal[
    "Valid",
    "InvalidRequest",
    "SourceNotFound",
    "SourceRefused",
    "SourceUnavailable",
    "ArchiveRefused",
    "TooLarge",
    "InvalidTaxonomy",
    "NoLeaves",
    "CloneFailed",
    "SecretIncomplete",
    "DocumentsNotFound",
    "StorageRefused",
    "StorageUnavailable",
    "TimedOut",
    "InternalError",
]
"""Why a taxonomy is, or is not, usable. Storage reasons carry the store's own in `ShortReport.detail`."""

SERVICE_TEXT: Final[dict[str, str]] = {
    "SourceNotFound": "Failed to retrieve taxonomy from COS.",
    "SourceRefused": "Failed to retrieve taxonomy from COS.",
    "SourceUnavailable": "Failed to retrieve taxonomy from COS.",
    "ArchiveRefused": "Failed to process invalid taxonomy files.  See detailed logs in COS.",
    "TooLarge": "Failed to process invalid taxonomy files.  See detailed logs in COS.",
    "InvalidTaxonomy": "Failed to process invalid taxonomy files.  See detailed logs in COS.",
    "NoLeaves": "Generating dataset failed with the following error: Error: No new leaf nodes found in the taxonomy.",
    "CloneFailed": "Failed to clone knowledge document repository.  See detailed logs in COS.",
    "DocumentsNotFound": "Failed to find knowledge documents. See detailed logs in COS.",
}
"""The service's own sentences (IBM Cloud docs, troubleshooting pages of Red Hat AI InstructLab), kept to the letter."""


class Problem(Record):
    """One thing to mend, or in `FullReport.warnings` one thing to know."""

    file: str = ""
    """Path inside the taxonomy; empty when it is about the whole."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1."""
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place} {self.message}" if place else self.message


class Counts(Record):
    """What a taxonomy holds."""

    leaves: int = 0
    knowledge: int = 0
    grounded: int = 0
    freeform: int = 0
    seeds: int = 0
    documents: int = 0
    ignored: int = 0
    """Files that look like leaves but are not read."""


class DocumentReference(Record):
    """What a knowledge leaf's qna.yaml says of its documents."""

    repo: str
    commit: str
    patterns: tuple[str, ...]


class FoundLeaf(Record):
    """A leaf that is good by itself."""

    path: str
    """``knowledge->science->birds``."""
    kind: LeafKind
    seeds: int
    document: DocumentReference | None = None


class ShortReport(Versioned):
    """The termination message of the validate container. Always valid JSON of at most `SHORT_REPORT_BYTES` bytes."""

    ok: bool
    reason: Reason
    detail: str = ""
    """The store's own word when `reason` is a storage one, for example ``NoSuchBucket``."""
    message: str
    """One sentence for people; begins with the service's text where the service has one."""
    retriable: bool = False
    """The cause may go away by itself: the same check may succeed later with nothing changed."""
    external: bool = False
    """What is to be mended, or a part of it, lies outside the source, in a document repository: the check is worth
    repeating while the source stays as it is."""
    digest: str | None = None
    """``sha256:<hex>`` of the snapshot's file; set exactly when `ok`."""
    snapshot_key: str | None = None
    revision: str = ""
    """What was read: the object's ETag or the Git commit; empty when nothing could be read."""
    counts: Counts = Counts()
    problems: tuple[Problem, ...] = ()
    """The first problems."""
    problems_total: int = 0
    warnings: tuple[Problem, ...] = ()
    """The first warnings."""
    warnings_total: int = 0
    report_key: str | None = None
    """Where the full report lies; None when it could not be written."""

    def to_text(self) -> str:
        """JSON of at most `SHORT_REPORT_BYTES` bytes: the last warnings go first, then the last problems, then long
        texts are cut.
        """
        report = self.model_copy(
            update={
                "message": _cut(self.message, 600),
                "detail": _cut(self.detail, 100),
                "revision": _cut(self.revision, 200),
                "problems": tuple(_cut_problem(problem) for problem in self.problems[:_SHORT_PROBLEMS]),
                "warnings": tuple(_cut_problem(warning) for warning in self.warnings[:_SHORT_WARNINGS]),
            }
        )
        while len(text := report.model_dump_json(by_alias=True, exclude_none=True).encode()) > SHORT_REPORT_BYTES:
            if report.warnings:
                report = report.model_copy(update={"warnings": report.warnings[:-1]})
            elif report.problems:
                report = report.model_copy(update={"problems": report.problems[:-1]})
            elif report.message:
                report = report.model_copy(update={"message": _cut(report.message, len(report.message) // 2)})
            else:  # only keys of the operator's own choice are left
                report = report.model_copy(update={"report_key": None, "revision": ""})
        return text.decode()

    @classmethod
    def from_text(cls, text: str) -> "ShortReport | None":
        """Read a termination message; None when it is not a short report (the container was killed before)."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


class FullReport(Versioned):
    """The report in the bucket: everything that was found."""

    ok: bool
    reason: Reason
    detail: str = ""
    message: str
    retriable: bool = False
    external: bool = False
    digest: str | None = None
    snapshot_key: str | None = None
    source: str
    """Key or URL that was read, without credentials."""
    revision: str = ""
    root: str = ""
    """Folder of the archive or repository that holds the taxonomy."""
    counts: Counts = Counts()
    found: tuple[FoundLeaf, ...] = ()
    """The leaves that have no problem of their own, also where the taxonomy as a whole cannot be used."""
    leaves: tuple[SnapshotLeaf, ...] = ()
    repositories: tuple[DocumentRepository, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    """Worth knowing, not worth refusing: ignored files, for example."""
    form: int = 0
    """How many matters of form there are, those beyond the bound included; ``sdg taxonomy check --fix`` mends them."""
    versions: dict[str, str] = Field(default={})
    """Of the libraries and programs that checked."""

    def short(self, report_key: str | None) -> ShortReport:
        """Give the short form, which says where this one lies (None: nowhere)."""
        return ShortReport(
            ok=self.ok,
            reason=self.reason,
            detail=self.detail,
            message=self.message,
            retriable=self.retriable,
            external=self.external,
            digest=self.digest,
            snapshot_key=self.snapshot_key,
            revision=self.revision,
            counts=self.counts,
            problems=self.problems,
            problems_total=len(self.problems),
            warnings=self.warnings,
            warnings_total=len(self.warnings),
            report_key=report_key,
        )


def sentence(reason: Reason, what: str) -> str:
    """Put the service's sentence, where it has one, before what is wrong in particular."""
    return f"{SERVICE_TEXT[reason]} {what}" if reason in SERVICE_TEXT else what


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 1, 0)] + (_ELLIPSIS if length else "")


def _cut_problem(problem: Problem) -> Problem:
    return problem.model_copy(update={"file": _cut(problem.file, 200), "message": _cut(problem.message, 240)})
