"""What the validate container is asked to do: one JSON document in its environment, written by the operator."""

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import Field, IPvAnyNetwork, model_validator

from sdg_operator.storage.layout import SNAPSHOT_PREFIX
from sdg_operator.storage.records import Record, Versioned

REQUEST_ENV: Final = "SDG_VALIDATE"
"""Environment variable with the `ValidateRequest`."""
TERMINATION_LOG_ENV: Final = "SDG_TERMINATION_LOG"
"""Overrides where the short report goes."""
TERMINATION_LOG: Final = "/dev/termination-log"

PLAIN_HTTP: Final = "http://"
"""In front of an allowed host: it may also be reached without TLS."""
ALLOWED_HOST: Final = rf"^({PLAIN_HTTP})?[-A-Za-z0-9._:*?\[\]!]+$"
"""Form of an allowed host, see `allowedhost`."""

Lint = Literal["Warn", "Strict"]
"""What matters of form are: warnings, or problems as they are to InstructLab."""

Bytes = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class BucketObject(Record):
    """A TAR.gz in the bucket."""

    key: str


class GitTree(Record):
    """A folder of a Git repository at a ref."""

    url: str
    """``https://`` or ``ssh://``."""
    ref: str | None = None
    """Branch, tag or commit; the default branch where absent."""
    path: str | None = None
    """Folder inside the repository."""
    base_ref: str | None = None
    """Take only leaves that are new or changed against where this ref and `ref` parted."""


class Source(Record):
    """Exactly one of bucket and git."""

    bucket: BucketObject | None = None
    git: GitTree | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        if (self.bucket is None) == (self.git is None):
            raise ValueError("exactly one of bucket and git must be set")
        return self


class GitCredential(Record):
    """A mounted Secret that serves URLs with one prefix, and no others.

    The folder holds the keys of a ``kubernetes.io/basic-auth`` (``username``, ``password``) or
    ``kubernetes.io/ssh-auth`` (``ssh-privatekey``, with ``known_hosts`` beside it) Secret.
    """

    url_prefix: str
    folder: str


class Limits(Record):
    """Bounds of one check. What exceeds them is refused by name, never cut short."""

    archive_bytes: Bytes = 1 << 30
    """The archive, unpacked."""
    download_bytes: Bytes = 1 << 28
    """The archive as it lies in the bucket."""
    entries: Count = 50_000
    """Files and folders of the archive, folder or repository."""
    leaves: Count = 5_000
    file_bytes: Bytes = 1 << 20
    """One qna.yaml."""
    taxonomy_bytes: Bytes = 1 << 26
    """All qna.yaml files together; they are held in memory."""
    yaml_nodes: Count = 50_000
    """Values in one qna.yaml, with every alias written out."""
    depth: Count = 32
    """Folders above a file, and levels of nesting in a qna.yaml."""
    repository_bytes: Bytes = 1 << 29
    """What is fetched of one Git repository (packed)."""
    document_bytes: Bytes = 1 << 28
    """All documents together."""
    problems: Count = 1_000
    """Problems, and warnings, that one check collects; a report that nobody could read helps nobody."""
    documents: Count = 10_000
    """Document files of all leaves."""
    git_memory_bytes: Bytes = 384 << 20
    """Address space of a Git process; less than the container has, which the kernel would end as a whole."""
    git_seconds: Count = 300
    """One fetch from a Git server."""
    total_seconds: Count = 840
    """The whole check; less than the Job's own deadline, so that a report is written."""


class Network(Record):
    """Which addresses a Git server may have. Public ones may be used unless denied."""

    allowed_hosts: tuple[str, ...] = ()
    """Globs of host names that may have a private address, or single hosts and addresses that may have any; with
    ``http://`` in front the host may also be reached over plain http (see `allowedhost`)."""
    allowed_ranges: tuple[IPvAnyNetwork, ...] = ()
    """Ranges that may be used whatever they are."""
    denied_ranges: tuple[IPvAnyNetwork, ...] = ()
    """Ranges that may never be used."""


class ValidateRequest(Versioned):
    """``SDG_VALIDATE``."""

    source: Source
    report_key: str
    """Where the full report goes (`layout.report_key`)."""
    snapshot_prefix: str = SNAPSHOT_PREFIX
    """Folder of snapshots in the bucket; a snapshot is named by its digest."""
    credentials: tuple[GitCredential, ...] = ()
    limits: Limits = Limits()
    network: Network = Network()
    lint: Lint = "Warn"
    storage_folder: str = "/var/run/secrets/sdg/storage"
    work_folder: str = "/work"
    ca_file: str | None = None
    """PEM file of further authorities for Git servers, beside the system's."""

    @model_validator(mode="after")
    def _absolute_folders(self) -> "ValidateRequest":
        for folder in (self.storage_folder, self.work_folder, *(item.folder for item in self.credentials)):
            if not PurePosixPath(folder).is_absolute():
                raise ValueError(f"{folder!r} is not an absolute path")
        return self
