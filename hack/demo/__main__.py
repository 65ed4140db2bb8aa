"""``python -m hack.demo``: see the package. Exits 0 only if everything was as it should be."""

import argparse
import os
import sys
from pathlib import Path

from hack.cluster.steps import StepFailed
from hack.demo.play import Options, play
from hack.demo.screen import DemoFailed, Screen
from sdg_operator.storage.store import StorageError


def _options() -> Options:
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument("--teacher", default=given("DEMO_TEACHER", "model"), help="model, scripted, a URL, a file")
    parser.add_argument("--model", default=given("DEMO_MODEL", ""), help="model name, for a URL")
    parser.add_argument("--token", default=given("DEMO_TOKEN", ""), help="token, for a URL")
    parser.add_argument("--taxonomy", type=Path, default=Path(given("DEMO_TAXONOMY", "examples/taxonomy")))
    parser.add_argument(
        "--context", default=given("CONTEXT", ""), help="use this context of KUBECONFIG, make no cluster"
    )
    parser.add_argument("--cluster", default=given("CLUSTER", "sdg"), help="name of the cluster to make")
    parser.add_argument("--registry", default=given("DEMO_REGISTRY", ""), help="pull images from here, build none")
    parser.add_argument("--timeout", type=float, default=given("DEMO_TIMEOUT", "1800"), help="seconds for the run")
    parser.add_argument("--start-timeout", type=int, default=120, help="seconds until servers and operator are ready")
    chosen = parser.parse_args()
    kubeconfig = given("KUBECONFIG", "") if chosen.context else ""
    if chosen.context and not kubeconfig:
        parser.error("CONTEXT is given without KUBECONFIG: give both, or neither")
    return Options(
        teacher=chosen.teacher,
        model=chosen.model,
        token=chosen.token,
        taxonomy=chosen.taxonomy,
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        context=chosen.context,
        cluster=chosen.cluster,
        registry=chosen.registry,
        start_seconds=chosen.start_timeout,
        seconds=chosen.timeout,
    )


def main() -> int:
    screen = Screen()
    try:
        play(_options(), screen)
    except (DemoFailed, StepFailed, StorageError) as failure:
        screen.line(f"\nThe demo FAILED: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
