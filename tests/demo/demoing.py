"""Running `make demo` from tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.cluster import Cluster

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


@contextmanager
def owned(name: str) -> Iterator[Cluster]:
    """A cluster of the tests' own; taken away again if it was not there before."""
    cluster = Cluster(name)
    there = cluster.answers()
    cluster.up()
    yield cluster
    if not there:
        cluster.down()
