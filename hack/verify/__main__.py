"""The one gate: ``python -m hack.verify [check …]``; all checks by default, and all problems at once."""

import sys
import time
from collections.abc import Callable
from typing import Final

from hack.verify import generated, links, locks, places, unused, versions, workflows
from hack.verify.tools import TOOLS

CHECKS: Final[dict[str, Callable[[], list[str]]]] = {
    **TOOLS,
    "generated": generated.check,
    "locks": locks.check,
    "links": links.check,
    "places": places.check,
    "unused": unused.check,
    "versions": versions.check,
    "workflows": workflows.check,
}


def main(names: list[str]) -> int:
    if unknown := set(names) - CHECKS.keys():
        print(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or CHECKS:
        begin = time.monotonic()
        problems = CHECKS[name]()
        failed += bool(problems)
        print(f"{name}: {f'{len(problems)} problems' if problems else 'ok'} ({time.monotonic() - begin:.1f} s)")
        for problem in problems:
            print(f"  {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
