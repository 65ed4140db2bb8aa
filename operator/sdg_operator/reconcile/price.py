"""What a run's pods cost an hour."""

from decimal import Decimal
from typing import Final

from sdg_operator.api.common import Resources
from sdg_operator.api.datageneration import TeacherServer
from sdg_operator.api.settings import Prices

_SMALLEST: Final = Decimal("0.000001")


def pod_hour_price(engine: Resources, server: TeacherServer | None, prices: Prices) -> str | None:
    """What the devices of one generating pod cost for an hour, with the currency; None where none has a price.

    Devices are counted by their limits: Kubernetes gives a container exactly as many.
    """
    asked = [resources.limits for resources in (engine, server.resources if server else None) if resources]
    priced = [
        Decimal(str(prices.gpu_hour[name])) * int(amount)
        for limits in asked
        for name, amount in limits.items()
        if name in prices.gpu_hour
    ]
    if not priced:
        return None
    price = sum(priced, Decimal()).quantize(_SMALLEST).normalize()
    return f"{price:f} {prices.currency}"
