"""How large the chart's images are, and how long their containers take to start.

``python -m bench.image_start [--times 5]`` builds what has changed and prints for each image its size unpacked and two
medians: from ``docker run`` until the container's modules are imported and it has ended, and how much of that is its
own work, which a busy machine does not change. On a read-only root, as in a pod, without a network.
"""

import argparse
import statistics
import time
from typing import Final

from hack.cluster.engine import ensure
from hack.cluster.images import CHART_IMAGES, build_image

IMPORTS: Final = {
    "sdg-operator": "sdg_operator.controller.app",
    "sdg-runner": "sdg_operator.taxonomy.validate, sdg_operator.storage.fetch, sdg_operator.storage.sync",
    "sdg-engine": "sdg_operator.engine.instructlab, sdg_operator.engine.library",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.image_start", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="containers of each image (5)")
    times = parser.parse_args().times
    engine = ensure()
    for name in CHART_IMAGES:
        reference = build_image(engine, name)
        size = int(engine.docker("image", "inspect", "--format={{.Size}}", reference))
        options = ("--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--env=GIT_PYTHON_REFRESH=quiet")
        program = f"import time, {IMPORTS[name]}; print(time.process_time())"
        took, worked = [], []
        for _ in range(times):
            begun = time.monotonic()
            said = engine.docker("run", *options, "--entrypoint=python", reference, "-c", program)
            took.append(time.monotonic() - begun)
            worked.append(float(said.split()[-1]))
        seconds = f"{statistics.median(took):.1f} s, {statistics.median(worked):.1f} s of it its own work"
        print(f"{name}: {size / 1e6:.0f} MB, starts in {seconds}")


if __name__ == "__main__":
    main()
