"""Which examples a state machine is tried with."""

import os

from hypothesis import HealthCheck, Phase, settings

EXPLORE = int(os.environ.get("SDG_PROPERTY_EXPLORE", "0"))
"""How many examples to try that nobody tried before; else the same ones each time, which the mutants are judged by."""
DEEP = bool(os.environ.get("SDG_PROPERTY_DEEP"))
"""Whether to try so many that also the rarest of the seeded mistakes is found: minutes, not seconds."""


def fuzz(share: int = 1) -> settings:
    """For functions of one input: the same inputs each time, unless others are to be explored.

    `share`: only one in so many of the many, for a test whose examples are long.
    """
    return settings(
        max_examples=EXPLORE or (3000 // share if DEEP else 100),
        derandomize=not EXPLORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def examples() -> settings:
    """The same settings on every machine: no deadline, and no chance unless others are to be explored."""
    return settings(
        max_examples=EXPLORE or (1500 if DEEP else 100),
        derandomize=not EXPLORE,
        database=None,
        stateful_step_count=30,
        deadline=None,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.generate) if os.environ.get("SDG_PROPERTY_UNSHRUNK") else tuple(Phase),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
