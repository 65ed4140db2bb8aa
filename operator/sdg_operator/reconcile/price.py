"""What a run's pods cost an hour."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from sdg_operator.api.common import Resources
from sdg_operator.api.datageneration import TeacherServer
from sdg_operator.api.settings import Prices

_SMALLEST: Final = Decimal("0.000001")


def pod_limits(engine: Resources, server: TeacherServer | None) -> Iterator[tuple[str, int | str]]:
    """Limits of a generating pod's engine and of the teacher that it serves. Devices are counted by them: Kubernetes
    gives a container exactly as many."""
    yield from engine.limits.items()
    if server:
        yield from server.resources.limits.items()


def pod_hour_price(engine: Resources, server: TeacherServer | None, prices: Prices) -> str | None:
    """What the devices of one generating pod cost for an hour, with the currency; None where none has a price."""
    priced = [
        Decimal(str(prices.gpu_hour[name])) * int(amount)
        for name, amount in pod_limits(engine, server)
        if name in prices.gpu_hour
    ]
    if not priced:
        return None
    price = sum(priced, Decimal()).quantize(_SMALLEST).normalize()
    return f"{price:f} {prices.currency}"
