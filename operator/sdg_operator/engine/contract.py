"""The engine contract, version 1: what an engine finds in its work folder, what it leaves there, how it exits.

``docs/engine-contract.md`` is the text for people who write an engine; this module is what our code uses. An engine
needs no Kubernetes, no bucket and no network but the teacher's::

    /work/in/settings.json                    EngineSettings
    /work/in/leaves/<leaf id>/qna.yaml        one folder a leaf, documents beside it in documents/
    /work/in/pipeline/*.yaml                  flow files of a custom pipeline
    /work/in/checkpoints/<leaf id>/*          checkpoints of earlier attempts (whole files; may be absent)
    /work/out/leaves/<leaf id>/samples.jsonl  the samples, then
    /work/out/leaves/<leaf id>/leaf.json      LeafResult, written last and atomically: the leaf is done
    /work/out/checkpoints/<leaf id>/*         new checkpoints, each file written atomically, never changed
    /work/out/progress.json                   Progress, rewritten atomically, at most once a second
    /work/out/result.json                     EngineResult, written once, last
    /work/out/logs/*.log                      append only
    /work/sync/ack                            appears when all of out/ is in safe hands; waiting for it is a courtesy
"""

from enum import IntEnum
from typing import Final, Literal

from sdg_operator.storage.records import AnswerCounts, Digest, LeafKind, Record, SampleSettings, Tokens, Versioned

WORK_ENV: Final = "SDG_WORK"
TEACHER_URL_ENV: Final = "SDG_TEACHER_URL"
"""Base address of an OpenAI-compatible server, with its ``/v1``."""
TEACHER_MODEL_ENV: Final = "SDG_TEACHER_MODEL"
TEACHER_TOKEN_FILE_ENV: Final = "SDG_TEACHER_TOKEN_FILE"  # noqa: S105 - a path, not a token
"""Path of a file with the token, re-read when the teacher answers 401; may be unset."""
TEACHER_CA_FILE_ENV: Final = "SDG_TEACHER_CA_FILE"
TEACHER_PATIENCE_ENV: Final = "SDG_TEACHER_PATIENCE_SECONDS"
"""Seconds without any good answer after which the engine ends with TEACHER_UNAVAILABLE; 900 if unset."""
TEACHER_TIMEOUT_ENV: Final = "SDG_TEACHER_TIMEOUT_SECONDS"
"""Seconds to wait for one answer; 600 if unset."""
ACK_SECONDS_ENV: Final = "SDG_ACK_SECONDS"
"""Seconds to wait for `sync/ack` after the result; 120 if unset."""


class ExitCode(IntEnum):
    """One code for each class of failure. Below 30 no retry can cure it; from 30 on one can."""

    OK = 0
    """Every leaf of the engine has a LeafResult (done, or failed by its own fault and not the only ones of the run)."""
    INVALID_INPUT = 10
    """Settings, pipeline or every leaf of the run cannot be used."""
    TEACHER_REFUSED = 20
    """401, 403, 404 or an unknown model at the very first request."""
    LOW_YIELD = 21
    """No leaf keeps any sample of what the teacher answers."""
    STORAGE_REFUSED = 22
    """The store refuses: credentials, bucket, rights (fetch, sync, mix)."""
    EMPTY_RESULT = 23
    """Nothing to mix."""
    INPUTS_LOST = 24
    """What the run stands on is gone from the bucket, or is not what was recorded of it (fetch, mix)."""
    TEACHER_UNAVAILABLE = 30
    """The teacher worked once, then was away or refused for longer than the bound."""
    INTERRUPTED = 31
    """SIGTERM: what was finished is flushed."""
    STORAGE_UNAVAILABLE = 32
    """The store did not answer for longer than the bound (fetch, sync, mix)."""
    INTERNAL = 40
    """A defect; the log has the traceback."""

    @property
    def retriable(self) -> bool:
        return self >= 30


class EngineLeaf(Record):
    id: str
    path: str
    kind: LeafKind
    input_digest: Digest
    expected_samples: int


class EngineSettings(Versioned):
    """``in/settings.json``."""

    settings: SampleSettings
    max_concurrency: int
    """Bound on choices asked of the teacher at once, for this engine alone."""
    leaves: tuple[EngineLeaf, ...]
    """The leaves to make, in order."""
    leaves_elsewhere: int = 0
    """Other leaves of the run: dealt to other engines, or finished before. With any, an engine whose own leaves all
    fail by their own fault ends with OK: the run is not lost."""
    leaves_with_samples: int = 0
    """Those of them that are known to have samples. With any, LOW_YIELD is never the run's fault."""


class LeafResult(Versioned):
    """``out/leaves/<leaf id>/leaf.json``."""

    leaf: str
    input_digest: Digest
    outcome: Literal["done", "failed"]
    samples: int = 0
    tokens: Tokens = Tokens()
    prompts_given_up: int = 0
    """Prompts that the teacher would not answer, so that their samples are missing."""
    answers: AnswerCounts = AnswerCounts()
    reason: str | None = None
    message: str | None = None


class Progress(Versioned):
    """``out/progress.json``."""

    phase: str
    leaf: str | None = None
    leaf_samples: int = 0
    leaf_expected: int = 0
    samples: int = 0
    expected: int = 0
    leaves_done: int = 0
    leaves_total: int = 0
    tokens: Tokens = Tokens()
    tokens_expected: Tokens | None = None
    """At what samples have cost so far; absent until there are some."""
    seconds_left: int | None = None
    waiting: str | None = None
    """What the teacher says while it gives no good answer to anyone; None while it works."""
    sequence: int = 0
    text: str = ""
    """The service's status line, as `status_text` words it."""


class EngineError(Record):
    reason: str
    message: str
    leaf: str | None = None


class EngineResult(Versioned):
    """``out/result.json``."""

    exit_code: int
    leaves_done: int
    leaves_failed: int
    samples: int
    tokens: Tokens = Tokens()
    answers: AnswerCounts = AnswerCounts()
    error: EngineError | None = None


def status_text(path: str, samples: int, expected: int, leaves_done: int, leaves_total: int) -> str:
    """The service's own status line, for example ``Generating data for taxonomy path
    compositional_skills->STEM->math->area: 12% 12/100 (total qna processed 1/147)``.

    `leaves_*` count qna.yaml files. The percentage is capped at 100: an estimate may be exceeded.
    """
    percent = min(100, 100 * samples // expected) if expected > 0 else 0
    return (
        f"Generating data for taxonomy path {path}: {percent}% {samples}/{expected} "
        f"(total qna processed {leaves_done}/{leaves_total})"
    )
