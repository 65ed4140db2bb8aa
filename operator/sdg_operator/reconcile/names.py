"""Names, labels and queue keys: how a Job is found again, and whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sdg_operator.api import GROUP
from sdg_operator.api.common import RESERVED_PREFIXES

Kind = Literal["DataGeneration", "Taxonomy"]
Role = Literal["validate", "generate", "mix"]

WATCH_LABEL: Final = f"{GROUP}/watch"
"""On Jobs (and their pods) that the operator follows, value ``true``. Taken off a Job once its owner has ended, so that
finished work costs the watch nothing."""
KIND_LABEL: Final = f"{GROUP}/kind"
NAME_LABEL: Final = f"{GROUP}/name"
UID_LABEL: Final = f"{GROUP}/uid"
ROLE_LABEL: Final = f"{GROUP}/role"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL: Final = "kueue.x-k8s.io/priority-class"
"""Name of a WorkloadPriorityClass: who comes first in the queue, without a word to the scheduler."""
MAIN_CONTAINERS: Final = frozenset({"validate", "engine", "mix"})
"""What pods of ours are for; whatever else runs beside their sidecars, somebody added."""
CHECK_REQUESTED_ANNOTATION: Final = f"{GROUP}/check-requested"
"""On a Taxonomy; a new value asks for a new check of its source."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What the work queue holds: one resource."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that a Job belongs to."""

    kind: Kind
    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> Key:
        return Key(self.kind, self.namespace, self.name)


def job_name(owner: Owner, role: Role, attempt: int) -> str:
    """Deterministic: a pass replayed after a crash asks for the same name and gets 409 instead of a second Job.

    The uid keeps a Job of an earlier resource of the same name apart; 32 + 5 + 8 characters and the number stay within
    the 63 less an index that pod host names allow.
    """
    return f"{owner.name}-{owner.uid.replace('-', '')[:5]}-{role}-{attempt}"


def policy_name(owner: Owner) -> str:
    """Of a run's NetworkPolicy; of an earlier resource of the same name it is another."""
    return f"{owner.name}-{owner.uid.replace('-', '')[:5]}"


def job_labels(owner: Owner, role: Role, attempt: int) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "sdg-operator",
        "app.kubernetes.io/part-of": "sdg-operator",
        "app.kubernetes.io/component": role,
        WATCH_LABEL: "true",
        KIND_LABEL: owner.kind,
        NAME_LABEL: owner.name,
        UID_LABEL: owner.uid,
        ROLE_LABEL: role,
        ATTEMPT_LABEL: str(attempt),
    }


def pods_of(owner: Owner) -> str:
    """Label selector of all pods of one resource, over all its attempts."""
    return f"{UID_LABEL}={owner.uid}"


def key_of(namespace: str, labels: Mapping[str, str]) -> Key | None:
    """Key of the resource that a Job or pod with these labels belongs to; None where the labels do not say.

    A hint for the queue only: whose a Job really is, its owner reference says.
    """
    name = labels.get(NAME_LABEL)
    if not name:
        return None
    match labels.get(KIND_LABEL):
        case "DataGeneration":
            return Key("DataGeneration", namespace, name)
        case "Taxonomy":
            return Key("Taxonomy", namespace, name)
    return None


def is_reserved(label: str) -> bool:
    """Whether a label or annotation key lies under a reserved prefix."""
    prefix, slash, _ = label.partition("/")
    return bool(slash) and any(prefix == r or prefix.endswith(f".{r}") for r in RESERVED_PREFIXES)
