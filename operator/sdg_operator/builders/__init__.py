"""Pure: from decided inputs to the JSON of a Job. One builder a kind of Job; nothing is looked up here."""

from typing import Any

from sdg_operator.builders.generate import build_generate
from sdg_operator.builders.mix import build_mix
from sdg_operator.builders.network_policy import build_network_policy
from sdg_operator.builders.validate import build_validate
from sdg_operator.reconcile.jobs import GenerateJob, Job, MixJob

__all__ = ["build", "build_generate", "build_mix", "build_network_policy", "build_validate"]


def build(job: Job) -> dict[str, Any]:
    """The manifest of a Job, ready to be sent."""
    if isinstance(job, GenerateJob):
        return build_generate(job)
    if isinstance(job, MixJob):
        return build_mix(job)
    return build_validate(job)
