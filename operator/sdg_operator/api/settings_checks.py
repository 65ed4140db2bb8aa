"""What the API server checks of a user's spec and nobody else of the settings file: keys, resources, tolerations.

The models themselves stay lenient: they must read whatever a CRD, ours or a newer one, has admitted.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from sdg_operator.api import common
from sdg_operator.api.common import Placement, Resources, Toleration
from sdg_operator.api.quantity import value_of

Finding = tuple[tuple[str | int, ...], Any, str]
"""Where below the checked value, what is there, and what is wrong with it."""

_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DOMAIN: Final = re.compile(common.DNS_NAME)
_LONGEST_DOMAIN: Final = 253
_RESERVED: Final = re.compile(rf"([^/]*\.)?({'|'.join(map(re.escape, common.RESERVED_PREFIXES))})/")


def refusing(check: Callable[[Any], Iterable[Finding]]) -> AfterValidator:
    """Make a validator that refuses what a check finds, each finding at its own place."""

    def validate(value: Any) -> Any:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{error}", {"error": words}), loc=place, input=what
            )
            for place, what, words in check(value)
        ]
        if found:
            raise ValidationError.from_exception_data("settings", found)
        return value

    return AfterValidator(validate)


def labels(given: Mapping[str, str]) -> Iterator[Finding]:
    """Find labels that Kubernetes, Kueue or the operator would misread."""
    for key in given:
        if key == common.QUEUE_LABEL:
            yield (key,), key, "users put it on their DataGeneration; for the small Jobs set queues.auxiliary"
        elif _RESERVED.match(key):
            yield (key,), key, common.reserved_words("labels")
        elif key in common.RESERVED_LABELS:
            yield (key,), key, common.RESERVED_LABEL_WORDS
        else:
            yield from _keys([key])


def placement(given: Placement) -> Iterator[Finding]:
    """Find what a pod cannot have of a placement, and more than leaves room for a run's own."""
    whole = given.model_dump(by_alias=True)
    for name, most in common.OWN_PLACEMENT.items():
        if len(whole[name]) > most:
            yield (name,), whole[name], common.OWN_PLACEMENT_WORDS
    for place, found in (
        ("nodeSelector", _keys(given.node_selector)),
        ("labels", labels(given.labels)),
        ("annotations", _annotations(given.annotations)),
    ):
        yield from _below(place, found)
    for position, toleration in enumerate(given.tolerations):
        if words := _toleration(toleration):
            shown = toleration.model_dump(by_alias=True, exclude_none=True)
            yield ("tolerations", position), shown, words


def resources(given: Resources) -> Iterator[Finding]:
    """Find what a container cannot ask for."""
    for kind, amounts in (("limits", given.limits), ("requests", given.requests)):
        for name, amount in amounts.items():
            if words := _amount(name, amount):
                yield (kind, name), amount, words
        if any(name.startswith("hugepages-") for name in amounts) and not {"cpu", "memory"} & amounts.keys():
            yield (kind,), dict(amounts), common.HUGE_PAGES_WORDS
    for name, amount in given.requests.items():
        limit = given.limits.get(name)
        if _amount(name, amount) or (limit is not None and _amount(name, limit)):
            continue
        if name not in common.PLAIN_RESOURCES:  # a device, or huge pages
            if str(limit) != str(amount):
                yield ("requests", name), amount, common.OVERCOMMIT_WORDS
        elif limit is not None and value_of(amount) > value_of(limit):
            yield ("requests", name), amount, f"{common.REQUEST_WORDS} ({limit})"


def devices(given: Mapping[str, float]) -> Iterator[Finding]:
    """Find names that no device can have."""
    for name in given:
        if "/" not in name:
            yield (name,), name, "a device's name has a domain: nvidia.com/gpu, amd.com/gpu or the like"
        else:
            yield from _keys([name])


def proxy(value: str) -> str:
    """Take an http:// or https:// address of a proxy. Raises ValueError."""
    # urlsplit leaves out what is not printable, and the container would get it.
    parts = urlsplit(value if re.fullmatch("[!-~]+", value) else "")
    # Asking for the port raises ValueError where it is no number.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("write it with its scheme, for example http://proxy.example.com:3128")
    return value


def _amount(name: str, amount: int | str) -> str | None:
    for _, _, words in _keys([name]):
        return words
    if name not in common.PLAIN_RESOURCES and "/" not in name and not re.fullmatch(common.HUGE_PAGES, name):
        return common.RESOURCE_WORDS
    if name.startswith("requests."):
        return common.RESOURCE_WORDS
    if "/" in name and not re.fullmatch(common.DEVICES, str(amount)):
        return common.DEVICES_WORDS
    if name != "cpu" and "/" not in name and str(amount)[-1] in "num":
        return common.BYTES_WORDS
    return None


def _keys(keys: Iterable[str]) -> Iterator[Finding]:
    for key in keys:
        domain, slash, name = key.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and not (_DOMAIN.fullmatch(domain) and len(domain) <= _LONGEST_DOMAIN)):
            yield (key,), key, common.KEY_WORDS


def _annotations(given: Mapping[str, str]) -> Iterator[Finding]:
    for key in given:
        if _RESERVED.match(key):
            yield (key,), key, common.reserved_words("annotations")
        else:
            yield from _keys([key])


def _below(place: str, found: Iterable[Finding]) -> Iterator[Finding]:
    return (((place, *inner), what, words) for inner, what, words in found)


def _toleration(given: Toleration) -> str | None:
    for _, _, words in _keys([given.key] if given.key is not None else []):
        return words
    if given.key is None and given.operator != "Exists":
        return common.TOLERATE_ALL_WORDS
    if given.value and given.operator == "Exists":
        return common.EXISTS_WORDS
    if given.toleration_seconds is not None and given.effect != "NoExecute":
        return common.SECONDS_WORDS
    return None
