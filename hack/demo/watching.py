"""Follow a run until it ends, showing what the operator says of it."""

import time
from collections.abc import Callable
from typing import Any

from hack.demo.screen import DemoFailed, Screen
from sdg_operator.api.common import TERMINAL_STATES


def conditions(resource: dict[str, Any]) -> str:
    """The conditions of a resource in a readable form, for the case that it does not come to an end."""
    found = resource.get("status", {}).get("conditions", [])
    return "; ".join(f"{c['type']}={c['status']} ({c['reason']}) {c.get('message', '')}".strip() for c in found)


def _describe(resource: dict[str, Any]) -> str:
    status = resource.get("status", {})
    return f"{status.get('state') or 'no state yet'}: {status.get('message') or ''} [{conditions(resource)}]"


def until_ready(look: Callable[[], dict[str, Any]], request: str, screen: Screen, seconds: float) -> dict[str, Any]:
    """Wait until a Taxonomy is checked as `request` asked; raise with the operator's words if it is not usable."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        status = seen.get("status", {})
        check = status.get("check") or {}
        answered = check.get("request") == request and not check.get("open")
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        if answered and ready:
            return seen
        if answered and status.get("state") == "failed":
            problems = "\n".join(f"  {p.get('file')}: {p['message']}" for p in status.get("problems", []))
            raise DemoFailed(f"the taxonomy is not usable: {_describe(seen)}\n{problems}")
        if time.monotonic() > end:
            raise DemoFailed(f"the taxonomy was not checked within {seconds:.0f} s; it says {_describe(seen)}")
        screen.progress(status.get("state") or "queued", 0, status.get("message") or "")
        time.sleep(0.5)


def until_ended(look: Callable[[], dict[str, Any]], screen: Screen, seconds: float) -> dict[str, Any]:
    """Show a DataGeneration's progress until it has ended, well or badly; raise if it takes too long."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        status = seen.get("status", {})
        state, progress = status.get("state") or "queued", status.get("progress") or {}
        screen.progress(state, int(progress.get("percent") or 0), status.get("message") or "")
        if state in TERMINAL_STATES:
            return seen
        if time.monotonic() > end:
            raise DemoFailed(f"the run did not end within {seconds:.0f} s; it says {_describe(seen)}")
        time.sleep(1)
