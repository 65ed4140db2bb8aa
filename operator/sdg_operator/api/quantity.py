"""Quantities, as in a pod."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from sdg_operator.api.rules import WORDS

# An exponent has two digits: an API server works for minutes on a number that it takes to be 1e999999999.
QUANTITY: Final = r"^([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]{1,2}))?$"
_LENGTH: Final = 32
_WORDS: Final = "not a quantity; write it as in a pod, for example 1, 500m or 16Gi"
_SUFFIXES: Final = {
    **{suffix: 1000.0**power for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)},
    **{suffix: 1024.0**power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_PARTS: Final = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")


def _check(value: int | str) -> int | str:
    if len(str(value)) > _LENGTH or not re.fullmatch(QUANTITY, str(value)):
        raise ValueError(_WORDS)
    return value


Quantity = Annotated[
    int | str,
    AfterValidator(_check),
    Field(
        description="A quantity as in a pod, for example 1, 500m or 16Gi.",
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "pattern": QUANTITY,
            "maxLength": _LENGTH,
            WORDS: _WORDS,
        },
    ),
]


def value_of(quantity: int | str) -> float:
    """Return a quantity as a number, in nine digits: enough to tell a mistake, and 300m is 0.3. Raises ValueError."""
    match = _PARTS.fullmatch(str(quantity))
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(f"{float(match[1]) * _SUFFIXES[match[2]]:.9e}")
