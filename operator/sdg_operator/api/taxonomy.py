"""The Taxonomy kind: where a taxonomy lies, and what the check of it found."""

from typing import Annotated

from pydantic import ConfigDict, Field

from sdg_operator.api.common import (
    ApiModel,
    BucketKey,
    Condition,
    Credentials,
    GitUrl,
    SecretName,
    State,
    Timestamp,
)
from sdg_operator.api.rules import exactly_one, keyed_by, rules
from sdg_operator.taxonomy.refname import REF, REF_LENGTH, REF_NEVER

_GitRef = Annotated[
    str,
    Field(
        min_length=1,
        max_length=REF_LENGTH,
        json_schema_extra=rules(
            (
                f"self.matches('{REF}') && !self.matches(r'{REF_NEVER}')",
                "give a branch, a tag or a commit (plain characters, not beginning with '-', '/' or '.')",
            ),
        ),
    ),
]


class BucketSource(ApiModel):
    """A taxonomy as a TAR.gz in the bucket."""

    key: BucketKey = Field(description="Key of the TAR.gz, for example taxonomies/taxonomy.tar.gz.")


class GitSource(ApiModel):
    """A taxonomy in a Git repository."""

    url: GitUrl = Field(description="https:// or ssh:// URL of the repository.")
    ref: _GitRef | None = Field(
        default=None, description="Branch, tag or commit; the repository's default branch where absent."
    )
    path: (
        Annotated[
            str,
            Field(
                max_length=1024,
                json_schema_extra=rules(
                    (
                        "!self.startsWith('/') && self.split('/').all(part, part != '..')",
                        "give a folder inside the repository, without a leading slash and without '..'",
                    )
                ),
            ),
        ]
        | None
    ) = Field(default=None, description="Folder of the taxonomy inside the repository.")
    base_ref: _GitRef | None = Field(
        default=None, description="Take only leaves that are new or changed against this ref."
    )


class TaxonomySource(ApiModel):
    """Exactly one of bucket and git."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one("bucket", "git", message="set exactly one of bucket and git")
    )

    bucket: BucketSource | None = Field(default=None, description="A TAR.gz in the bucket of the storage Secret.")
    git: GitSource | None = Field(default=None, description="A Git repository.")


class TaxonomySpec(ApiModel):
    """Where the taxonomy lies."""

    source: TaxonomySource = Field(description="Where the taxonomy lies: bucket or git.")
    storage_secret_name: SecretName | None = Field(
        default=None, description="Storage Secret; the administrator's default where absent."
    )
    credentials: Annotated[list[Credentials], Field(max_length=16, json_schema_extra=keyed_by("urlPrefix"))] = Field(
        default=[], description="Secrets for the repositories of the taxonomy and of its documents, by URL prefix."
    )
    interval_seconds: Annotated[int, Field(ge=10, le=86_400)] | None = Field(
        default=None,
        description="How often a key is looked at (Git: before each run); the administrator's default where absent.",
    )


class LeafCounts(ApiModel):
    """Leaves by kind."""

    total: int = Field(default=0, description="All leaves.")
    knowledge: int = Field(default=0, description="Knowledge leaves.")
    grounded: int = Field(default=0, description="Skills with a context.")
    freeform: int = Field(default=0, description="Skills without a context.")
    seed_examples: int = Field(default=0, description="Seed examples of all leaves.")
    documents: int = Field(default=0, description="Document files of the knowledge leaves.")
    ignored: int = Field(default=0, description="Files that look like leaves but are not read; the report names them.")


class Problem(ApiModel):
    """One thing to mend in the taxonomy, or to know of it."""

    file: Annotated[str, Field(max_length=512)] = Field(default="", description="File inside the taxonomy.")
    line: int | None = Field(default=None, description="Line, from 1.")
    column: int | None = Field(default=None, description="Column, from 1.")
    message: Annotated[str, Field(max_length=1024)] = Field(description="What it is, and what to do.")


class SnapshotStatus(ApiModel):
    """The checked and pinned content that runs use."""

    digest: Annotated[str, Field(max_length=71)] = Field(description="sha256 of the snapshot.")
    key: Annotated[str, Field(max_length=1024)] = Field(description="Key of the snapshot in the bucket.")
    revision: Annotated[str, Field(max_length=255)] = Field(
        default="", description="What was read: ETag of the object or Git commit."
    )
    checked_at: Timestamp = Field(description="When the check that gave it was started (RFC 3339).")
    generation: int = Field(description="metadata.generation that was checked.")


class Check(ApiModel):
    """The check at hand, or the latest. Written before its Job is made, so that a crash can never start two."""

    open: bool = Field(default=False, description="Whether its outcome is still awaited.")
    job_uid: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="uid of its Job, once made.")
    generation: int | None = Field(default=None, description="metadata.generation that it checks.")
    request: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="Value of the annotation sdg-operator.io/check-requested that it answers."
    )
    inconclusive: int = Field(default=0, description="Checks in a row that could not be carried through.")
    not_before: Timestamp | None = Field(default=None, description="The next check waits until then (RFC 3339).")


class TaxonomyStatus(ApiModel):
    """What the operator found; written by the operator alone."""

    conditions: Annotated[list[Condition], Field(max_length=8, json_schema_extra=keyed_by("type"))] = Field(
        default=[], description="Ready: the newest content is checked and usable."
    )
    observed_generation: int | None = Field(default=None, description="metadata.generation that this status is about.")
    state: State | None = Field(default=None, description="queued, running (being checked), completed or failed.")
    message: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="The state in a sentence.")
    attempt: int = Field(default=0, description="Number of the latest check.")
    check: Check = Field(default=Check(), description="The latest check.")
    checked_revision: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="ETag or commit that the latest finished check read."
    )
    check_requested_at: Timestamp | None = Field(
        default=None, description="When the latest check was started (RFC 3339)."
    )
    last_source_check_time: Timestamp | None = Field(
        default=None, description="When the source was last checked, or seen to be unchanged before a run (RFC 3339)."
    )
    snapshot: SnapshotStatus | None = Field(default=None, description="The latest good snapshot.")
    leaves: LeafCounts | None = Field(default=None, description="Leaves by kind.")
    problems: Annotated[list[Problem], Field(max_length=16)] = Field(
        default=[], description="The first things to mend."
    )
    warnings: Annotated[list[Problem], Field(max_length=16)] = Field(
        default=[], description="The first things that are worth knowing and keep no run back."
    )
    report_key: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Where the full report lies in the bucket."
    )
