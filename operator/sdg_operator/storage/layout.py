"""Where everything of a run lies in the bucket. Pure: names only, no I/O.

A run owns one folder, ``<prefix>/<uid>/``. Below ``.run/`` a pod writes only under its own
``<attempt>-<pod>/`` and records nobody else writes, so two writers can never overwrite each other
and a store needs no locks or conditional writes.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

DEFAULT_RUN_PREFIX = "synthetic_data"
SNAPSHOT_PREFIX = "taxonomies/.snapshots"
REPORT_PREFIX = "taxonomies/.reports"

KNOWLEDGE_TRAIN_FILE = "knowledge_train_msgs.jsonl"
SKILLS_TRAIN_FILE = "skills_train_msgs.jsonl"
MANIFEST_FILE = "manifest.json"

# A POSIX-backed store refuses segments of more than 255 bytes, and records add a suffix.
_MAX_LEAF_ID_BYTES = 180


def leaf_path(folder: str) -> str:
    """``compositional_skills/STEM/math`` → ``compositional_skills->STEM->math``, the service's own word for a leaf."""
    return "->".join(part for part in folder.split("/") if part)


def leaf_id(folder: str) -> str:
    """Return the name of a leaf in keys and file names: its folder joined by ``_``, as instructlab-sdg names files.

    Two leaves of a taxonomy must not share an id (``a_b/c`` and ``a/b_c`` would); the taxonomy check refuses that.
    An id too long for a file name is cut and made unique by a hash of the whole folder.
    """
    joined = "_".join(part for part in folder.split("/") if part)
    raw = joined.encode()
    if len(raw) <= _MAX_LEAF_ID_BYTES:
        return joined
    head = raw[: _MAX_LEAF_ID_BYTES - 17].decode(errors="ignore")
    return f"{head}-{sha256(folder.encode()).hexdigest()[:16]}"


def snapshot_key(digest: str) -> str:
    """Key of the snapshot whose file has this ``sha256:<hex>`` digest."""
    return f"{SNAPSHOT_PREFIX}/{digest.removeprefix('sha256:')}.tar.gz"


def report_key(taxonomy_uid: str, attempt: int) -> str:
    """Key of the full validation report of one check of a Taxonomy."""
    return f"{REPORT_PREFIX}/{taxonomy_uid}/{attempt}.json"


_SAMPLES: Final = re.compile(r"(?P<folder>.+/\.run/\d{1,9}-[^/]+/samples/)[^/]+\.jsonl")


def samples_folder(key: str) -> str | None:
    """Prefix under which one pod, of whichever run, wrote the samples at `key`; None for the key of something else."""
    found = _SAMPLES.fullmatch(key)
    return found["folder"] if found else None


_CHECKPOINT: Final = re.compile(r"(?P<attempt>\d{1,9})-(?P<pod>[^/]+)/checkpoints/(?P<leaf>[^/]+)/(?P<name>[^/]+)")


@dataclass(frozen=True, slots=True, order=True)
class CheckpointKey:
    """A checkpoint by its place in the bucket; in order of the attempts that wrote them."""

    attempt: int
    pod: str
    leaf: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Keys of one run, whose folder is ``<prefix>/<uid>``."""

    root: str

    @classmethod
    def of(cls, prefix: str, uid: str) -> "RunLayout":
        return cls(f"{prefix.strip('/')}/{uid}")

    @property
    def inputs(self) -> str:
        """Frozen inputs (`records.RunInputs`); written once, before the first attempt."""
        return f"{self.root}/.run/inputs.json"

    @property
    def mix(self) -> str:
        """The frozen choice of samples to mix (`records.MixPlan`)."""
        return f"{self.root}/.run/mix.json"

    def frozen(self, digest: str) -> str:
        """Copy of inputs or mix plan under its own digest: what the operator reads back, whoever edits the original."""
        return f"{self.root}/.run/frozen/{digest.removeprefix('sha256:')}.json"

    @property
    def manifest(self) -> str:
        return f"{self.root}/{MANIFEST_FILE}"

    @property
    def leaf_records(self) -> str:
        """Prefix of all leaf records of the run."""
        return f"{self.root}/.run/leaves/"

    def file(self, path: str) -> str:
        """Key of a result file by its path in the manifest."""
        return f"{self.root}/{path}"

    def attempt_plan(self, attempt: int) -> str:
        """Which shard makes which leaves in this attempt (`records.AttemptPlan`); written before its Job."""
        return f"{self.root}/.run/attempts/{attempt}.json"

    def progress(self, attempt: int, shard: int) -> str:
        """Latest progress of one shard; the attempt is in the name so that an overtaken pod cannot mislead."""
        return f"{self.root}/.run/progress/{attempt}-{shard}.json"

    def leaf_record(self, leaf: str, attempt: int, pod: str) -> str:
        """A leaf's done record (`records.LeafRecord`), the truth about it."""
        return f"{self.leaf_records}{leaf}/{attempt}-{pod}.json"

    def samples(self, leaf: str, attempt: int, pod: str) -> str:
        return f"{self.root}/.run/{attempt}-{pod}/samples/{leaf}.jsonl"

    def checkpoints(self, leaf: str, attempt: int, pod: str) -> str:
        """Prefix of the checkpoint files that one pod wrote for a leaf."""
        return f"{self.root}/.run/{attempt}-{pod}/checkpoints/{leaf}/"

    @property
    def pods(self) -> str:
        """Prefix of what pods wrote."""
        return f"{self.root}/.run/"

    def checkpoint(self, key: str) -> CheckpointKey | None:
        """Take the key of a checkpoint apart; None if it is the key of something else."""
        found = _CHECKPOINT.fullmatch(key.removeprefix(self.pods)) if key.startswith(self.pods) else None
        return CheckpointKey(int(found["attempt"]), found["pod"], found["leaf"], found["name"], key) if found else None

    def log(self, attempt: int, pod: str, name: str) -> str:
        return f"{self.root}/logs/{attempt}-{pod}/{name}"
