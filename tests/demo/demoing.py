"""Running `make demo` from tests."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    code: int
    said: str


def demo(**variables: str) -> Ended:
    """Run the demo as a user would, with these variables set."""
    hidden = ("KUBECONFIG", "CONTEXT", "CLUSTER")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DEMO_") and k not in hidden}
    done = subprocess.run(
        [sys.executable, "-m", "hack.demo", "--start-timeout=60"],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    return Ended(done.returncode, done.stdout + done.stderr)
