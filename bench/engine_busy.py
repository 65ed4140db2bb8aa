"""How busy the engine keeps a teacher, beside upstream's own run.

    python -m bench.engine_busy                                             all cases: half an hour
    python -m bench.engine_busy --leaves 30 --seeds 5 --pipeline simple

The teacher is simulated: 256 choices at once, each lognormal (median 1 s, sigma 0.5), more wait their turn. Upstream is
instructlab-sdg's ``generate_taxonomy`` with its command line's 10 workers. "busy" is the part of all slots' time that
was used from the first prompt to the last answer. "at best" is what a teacher gets that has all choices before it at
once: nobody who does not know beforehand how long each takes can keep it busier. "until the last began" leaves out the
end, when no choice is left to begin.
"""

import argparse
import heapq
import json
import math
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster.processes import Server, free_port
from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import Leaf, write_taxonomy, write_work
from tests.integration.engine.running import ENGINE, environment
from tests.teacher.script import Pace


@contextmanager
def teacher(folder: Path, median: float) -> Iterator[str]:
    """Run a scripted teacher in a process of its own: it must not share a core's lock with what asks it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.teacher", "--host=127.0.0.1", f"--port={port}", f"--median={median}"]
    server = Server("teacher", command, folder / "teacher.log")
    server.start()
    try:
        server.wait_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def run_ours(folder: Path, url: str, leaves: list[Leaf], settings: SampleSettings, bound: int) -> None:
    work = write_work(folder / "work", leaves, settings, max_concurrency=bound)
    subprocess.run(ENGINE, env=environment(work, f"{url}/v1"), check=True, capture_output=True)


UPSTREAM = """
import importlib, json, os, sys
options = json.loads(sys.argv[1])
os.environ["HF_HOME"] = options["out"] + "/hf"
import openai
G = importlib.import_module("instructlab.sdg.generate_data")
out = options["out"]
G.preprocess_taxonomy(options["taxonomy"], out + "/pre", taxonomy_base="empty")
client = openai.OpenAI(base_url=options["url"] + "/v1", api_key="none", timeout=3600)
G.generate_taxonomy(client, out + "/pre", out + "/generated", model_family="mixtral", model_id="teacher", num_cpus=10,
    num_instructions_to_generate=30, console_output=False, pipeline=options["pipeline"], batch_size=32)
"""


def run_upstream(folder: Path, url: str, leaves: list[Leaf], settings: SampleSettings) -> None:
    taxonomy = write_taxonomy(folder / "taxonomy", leaves)
    options = {"out": str(folder), "taxonomy": str(taxonomy), "url": url, "pipeline": settings.pipeline}
    command = [sys.executable, "-c", UPSTREAM, json.dumps(options)]
    subprocess.run(command, env=environment(folder, url) | {"HOME": str(folder)}, check=True, capture_output=True)


def at_best(choices: int, slots: int, median: float, tries: int = 10) -> float:
    """Return the part of all slots' time that is used when choices begin as soon as a slot is free, on average."""
    parts = []
    for seed in range(tries):
        chance = random.Random(seed)
        free, busy = [0.0] * slots, 0.0
        for _ in range(choices):
            seconds = chance.lognormvariate(math.log(median), Pace().sigma)
            heapq.heapreplace(free, free[0] + seconds)
            busy += seconds
        parts.append(busy / slots / max(free))
    return sum(parts) / tries


def measure(who: str, leaves: list[Leaf], settings: SampleSettings, bound: int, median: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, teacher(folder := Path(name), median) as url:
        began = time.monotonic()
        if who == "upstream":
            run_upstream(folder, url, leaves, settings)
        else:
            run_ours(folder, url, leaves, settings, bound)
        wall = time.monotonic() - began
        with urllib.request.urlopen(f"{url}/_requests") as answer:
            seen = json.load(answer)
    slots = seen["slots"]
    return {
        "who": who if who == "upstream" else f"ours, at most {bound}",
        "choices": seen["choices"],
        "requests": seen["requests"],
        "seconds": round(slots["seconds"], 1),
        "busy": f"{slots['busy']:.0%}",
        "at best": f"{at_best(seen['choices'], Pace().slots, median):.0%}",
        "until the last began": f"{slots['busyUntilLastBegan']:.0%}",
        "whole process": round(wall, 1),
    }


@dataclass(frozen=True)
class Case:
    leaves: int
    seeds: int
    pipeline: str = "simple"


CASES = (Case(30, 5), Case(147, 5), Case(10, 200), Case(30, 5, "full"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leaves", type=int, help="freeform skills; without it, all of the cases in this file")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pipeline", default="simple")
    parser.add_argument("--bound", type=int, nargs="+", default=[1024], help="maxConcurrency of our engine")
    parser.add_argument("--median", type=float, default=1.0, help="seconds a choice")
    parser.add_argument("--no-upstream", action="store_true")
    options = parser.parse_args()
    cases = CASES if options.leaves is None else (Case(options.leaves, options.seeds, options.pipeline),)
    runs = [("ours", bound) for bound in options.bound] + ([] if options.no_upstream else [("upstream", 0)])
    for case in cases:
        leaves = [
            Leaf(f"compositional_skills/facts/bird{i:03}", "freeform", seeds=case.seeds) for i in range(case.leaves)
        ]
        settings = SampleSettings(pipeline=case.pipeline, scale_factor=30, batch_size=32, model="teacher")
        print(f"{case.leaves} leaves of {case.seeds} seeds, pipeline {case.pipeline}")
        for who, bound in runs:
            row = measure(who, leaves, settings, bound, options.median)
            print("  " + ", ".join(f"{name}: {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
