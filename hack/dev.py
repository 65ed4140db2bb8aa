"""``python -m hack.dev``: the operator on this machine, against any cluster; anew when its code or settings change.

The cluster is that of ``KUBECONFIG`` (one file or several, as kubectl has it), else the one of ``make cluster-up``. The
settings are the file named by ``SETTINGS``, else some with the images that ``make images`` loads. The CRDs are applied
first.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from hack.cluster.cluster import Cluster, require
from hack.cluster.images import load_images
from hack.cluster.steps import StepFailed, die_with_parent, run
from hack.cluster.tools import tool
from sdg_operator.api.settings import Images, Settings

ROOT: Final = Path(__file__).parents[1]
_SOURCES: Final = ROOT / "operator" / "sdg_operator"


def _kubeconfig(given: str, cluster: Cluster) -> str:
    if given:
        return given
    require(cluster)
    return str(cluster.kubeconfig)


def _settings(given: str, cluster: Cluster, folder: Path) -> Path:
    if given:
        return Path(given)
    if os.environ.get("KUBECONFIG"):
        raise StepFailed("SETTINGS must name a settings file: the images of a cluster of yours are not known here")
    images = load_images(cluster, ["sdg-engine", "sdg-runner"])
    settings = Settings(images=Images(engine=images["sdg-engine"], runner=images["sdg-runner"]))
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(by_alias=True, mode="json", exclude_defaults=True)))
    return path


def _seen(settings: Path) -> dict[Path, int]:
    """When each source file and the settings were last changed; an editor or Git may take one away for a moment."""
    found = {}
    with suppress(OSError):
        for path in (settings, *_SOURCES.rglob("*.py")):
            with suppress(OSError):
                found[path] = path.stat().st_mtime_ns
    return found


@contextmanager
def _started(command: list[str], env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=die_with_parent)  # noqa: PLW1509 - one prctl call
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _serve(command: list[str], env: dict[str, str], settings: Path) -> None:
    """Run the operator until it is interrupted; a change starts it anew, also after it fell over."""
    while True:
        seen = _seen(settings)
        with _started(command, env):
            while _seen(settings) == seen:
                time.sleep(0.5)
        print("dev: code or settings have changed, starting anew", file=sys.stderr)


def main() -> int:
    given = os.environ.get
    for number in (signal.SIGINT, signal.SIGTERM):  # in order by either, also where a shell had it ignore the first
        signal.signal(number, signal.default_int_handler)
    with TemporaryDirectory(prefix="sdg-dev-") as folder, suppress(KeyboardInterrupt):
        try:
            cluster = Cluster(given("CLUSTER", "sdg"))
            # By the environment, which takes several files too.
            env = {**os.environ, "KUBECONFIG": _kubeconfig(given("KUBECONFIG", ""), cluster)}
            settings = _settings(given("SETTINGS", ""), cluster, Path(folder))
            run([tool("kubectl"), "apply", "--server-side", "-f", ROOT / "crds"], env=env)
        except StepFailed as failed:
            print(failed, file=sys.stderr)
            return 1
        binds = ["--health-bind=127.0.0.1:8080", "--metrics-bind=127.0.0.1:9090"]
        command = [sys.executable, "-m", "sdg_operator.controller", f"--settings={settings}", *binds, *sys.argv[1:]]
        _serve(command, env, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
