"""What a Job does by itself when a pod of it fails; everything else is the operator's decision."""

from collections.abc import Sequence
from typing import Final, Literal

from sdg_operator.builders.pod import Json
from sdg_operator.engine.contract import ExitCode

HOPELESS: Final = sorted(int(code) for code in ExitCode if code and not code.retriable)

OUTAGES: Final = [int(ExitCode.TEACHER_UNAVAILABLE), int(ExitCode.STORAGE_UNAVAILABLE)]
"""A pod has waited for as long as it may: the operator waits on, without the pod's GPU."""


def failure_policy(action: Literal["FailJob", "FailIndex"], waited: Sequence[int] = ()) -> Json:
    """Pods lost to a disruption cost no retry; exit codes that no retry can cure, or that another pod would only wait
    for again (`waited`), end the Job (or its index) at once."""
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": action, "onExitCodes": {"operator": "In", "values": [*HOPELESS, *waited]}},
        ]
    }
