"""Every reason that a status can carry: one word for machines, stable for scripts and alerts."""

from enum import StrEnum
from typing import Final


def reason_of(text: str) -> "Reason":
    """Read a reason back from a status; one that another version of the operator wrote counts as EngineFailed."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.ENGINE_FAILED


def refusal_of_store(word: str) -> "Reason":
    """What a store's word, or that of a Secret that leads to it, means; StorageRefused where nothing is known of it."""
    return _REFUSALS.get(word, Reason.STORAGE_REFUSED)


class Reason(StrEnum):
    # the run itself
    ACCEPTED = "Accepted"
    RUNNING = "Running"
    MIXING = "Mixing"
    COMPLETED = "Completed"
    CANCELED = "Canceled"
    FILES_NOT_MIXED = "FilesNotMixed"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    STOPPING = "Stopping"
    RETRYING = "Retrying"
    NO_SIGNAL = "NoSignal"
    # refused before anything is asked for
    NOT_ALLOWED = "NotAllowed"
    INVALID_SPEC = "InvalidSpec"
    NO_LEAVES = "NoLeaves"
    # waiting for something the user or administrator can mend
    TAXONOMY_NOT_FOUND = "TaxonomyNotFound"
    TAXONOMY_NOT_READY = "TaxonomyNotReady"
    TAXONOMY_CHECKING = "TaxonomyChecking"
    SNAPSHOT_NOT_FOUND = "SnapshotNotFound"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_NOT_READY = "SourceNotReady"
    REUSE_NOT_FOUND = "ReuseNotFound"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason
    SECRET_INCOMPLETE = "SecretIncomplete"  # noqa: S105 - a reason
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    BUCKET_NOT_FOUND = "BucketNotFound"
    INVALID_CREDENTIALS = "InvalidCredentials"
    CLOCK_SKEW = "ClockSkew"
    UNTRUSTED_CERTIFICATE = "UntrustedCertificate"
    STORAGE_REFUSED = "StorageRefused"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    TEACHER_REFUSED = "TeacherRefused"
    TEACHER_UNAVAILABLE = "TeacherUnavailable"
    # waiting in the cluster
    WAITING_IN_QUEUE = "WaitingInQueue"
    JOB_SUSPENDED = "JobSuspended"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_REFUSED = "AdmissionRefused"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL = "ImagePull"
    CONTAINER_CONFIG = "ContainerConfig"
    CONTAINER_START = "ContainerStart"
    VOLUME_MOUNT = "VolumeMount"
    TEACHER_LOADING = "TeacherLoading"
    TEACHER_CRASH_LOOPING = "TeacherCrashLooping"
    FETCHING = "Fetching"
    STARTING = "Starting"
    NODE_LOST = "NodeLost"
    FOREIGN_CONTAINER = "ForeignContainer"
    # why an attempt or a run ended
    JOB_EDITED = "JobEdited"
    JOB_DELETED = "JobDeleted"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    OUT_OF_MEMORY = "OutOfMemory"
    WORK_FOLDER_FULL = "WorkFolderFull"
    INVALID_INPUT = "InvalidInput"
    LOW_YIELD = "LowYield"
    EMPTY_RESULT = "EmptyResult"
    INTERRUPTED = "Interrupted"
    ENGINE_FAILED = "EngineFailed"
    MIX_FAILED = "MixFailed"
    RESULT_INCOMPLETE = "ResultIncomplete"
    LEAVES_FAILED = "LeavesFailed"
    NO_PROGRESS = "NoProgress"
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"
    ACTIVE_DEADLINE_EXCEEDED = "ActiveDeadlineExceeded"
    INPUTS_LOST = "InputsLost"
    # Taxonomy
    VALID = "Valid"
    CHECKING = "Checking"
    CHECK_INCONCLUSIVE = "CheckInconclusive"


_REFUSALS: Final = {
    "SecretNotFound": Reason.SECRET_NOT_FOUND,
    "SecretKeyMissing": Reason.SECRET_INCOMPLETE,
    "SecretNotAllowed": Reason.NOT_ALLOWED,
    "BucketNotFound": Reason.BUCKET_NOT_FOUND,
    "InvalidCredentials": Reason.INVALID_CREDENTIALS,
    "ClockSkew": Reason.CLOCK_SKEW,
    "UntrustedCertificate": Reason.UNTRUSTED_CERTIFICATE,
}

OBSTACLES: Final = frozenset(
    {
        Reason.QUOTA_EXCEEDED,
        Reason.ADMISSION_REFUSED,
        Reason.UNSCHEDULABLE,
        Reason.IMAGE_PULL,
        Reason.CONTAINER_CONFIG,
        Reason.CONTAINER_START,
        Reason.VOLUME_MOUNT,
        Reason.TEACHER_CRASH_LOOPING,
    }
)
"""What the cluster says of a pod that it does not let work. Where it says so of every pod, a run waits, though it has
been at work before; that there is no pod says nothing."""

STORAGE_TROUBLE: Final = frozenset(
    {*_REFUSALS.values(), Reason.STORAGE_REFUSED, Reason.STORAGE_UNAVAILABLE, Reason.INPUTS_LOST}
)
"""What a bucket or its Secret is to blame for, once a run is accepted."""
