"""An operator that is another than the chart's: of another version, or on a line that can be cut.

It is a process of this machine that serves one test's namespace, as the cluster's administrator.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from tests.e2e.operator import Operator
from tests.e2e.place import Place
from tests.e2e.services import Services

_END: Final = 3000
"""So much of its log is shown where a test fails."""


@contextmanager
def operating(
    place: Place, operator: Operator, folder: Path, *, package: Path | None = None, kubeconfig: Path | None = None
) -> Iterator[Services]:
    """Let it work for the length of the block, with the settings of the chart's.

    `package`: a folder with another version of it; `kubeconfig`: another way to the API server.
    """
    images = {"engine": place.images["sdg-engine"], "runner": place.images["sdg-runner"]}
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump({"images": images, **operator.values["settings"]}))
    command = [sys.executable, "-m", "sdg_operator.controller", f"--settings={settings}"]
    command += [f"--namespace={place.namespace}", f"--kubeconfig={kubeconfig or place.cluster.kubeconfig}"]
    command += ["--health-bind=127.0.0.1:0", "--metrics-bind=127.0.0.1:0"]
    log, services = folder / "operator.log", Services()
    place.operators.append(services)
    environment = os.environ | ({"PYTHONPATH": str(package)} if package else {})
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process:
        services.begin()
        try:
            yield services
            assert process.poll() is None, f"it ended with {process.returncode}"
        finally:
            services.end()
            process.kill()
            print(log.read_text()[-_END:])
