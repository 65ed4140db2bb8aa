"""Memory, scratch space and time of the mix container.

    python -m bench.engine_mix --samples 250000
    python -m bench.engine_mix --samples 50000 --largest 50000    # nearly all of them in one leaf
    python -m bench.engine_mix --samples 3000 --merge-mib 2000    # beside a training file of the user's own

Two thirds of the samples are knowledge (leaves of 2,000, chunks of 300 words), the rest skills (leaves of 150).
"""

import argparse
import contextlib
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from hashlib import sha256
from pathlib import Path

from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.records import Manifest, MergeFile, SampleSettings
from tests.integration.engine.leaves import Leaf
from tests.integration.engine.ledger import LAYOUT, plan, run_mix, source

WORDS = tuple("the bird builds its nest near water and feeds on seeds in winter while rivers freeze".split())  # noqa: SIM905


@functools.lru_cache(maxsize=4096)
def text(seed: int, words: int) -> str:
    return " ".join(WORDS[(seed * 7 + i * (seed % 13 + 1)) % len(WORDS)] for i in range(words)) + f" {seed}"


def knowledge(leaf: Leaf, count: int) -> bytes:
    rows = (
        {"document": text(i // 25, 300), "icl_document": text(i % 5, 120), "document_outline": "Birds",
         "domain": "birds", "leaf_node_type": "knowledge", "icl_query_1": text(i % 5, 12),
         "icl_response_1": text(i, 30), "leaf_node_path": leaf.id, "output": f"{text(i, 14)}? {text(i + 1, 60)}"}
        for i in range(count)
    )  # fmt: skip
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def skill(leaf: Leaf, count: int) -> bytes:
    rows = (
        {"task_description": "Tell.", "seed_question": text(i % 5, 15), "seed_response": text(i % 5, 60),
         "leaf_node_type": "freeform_skill", "leaf_node_path": leaf.id, "output": f"{text(i, 14)}? {text(i + 1, 80)}"}
        for i in range(count)
    )  # fmt: skip
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def training_file(path: Path, mib: int) -> None:
    """Write a training file of about this size."""
    line = json.dumps({"messages": [{"role": "user", "content": text(1, 400)}], "id": "1", "metadata": "{}"}) + "\n"
    with path.open("w") as file:
        for _ in range((mib << 20) // len(line)):
            file.write(line)


class Watch(threading.Thread):
    """Looks twice a second how much the work folder holds, and how much memory no file backs.

    The rest of a process's memory is pages of mapped files, which the kernel takes back when a limit is reached.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.scratch = 0
        self.memory = 0
        self.over = threading.Event()

    def run(self) -> None:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        while not self.over.wait(0.5):
            done = subprocess.run(["du", "-sb", str(self.folder)], capture_output=True, text=True, check=False)
            self.scratch = max(self.scratch, int(done.stdout.split()[0]) if done.stdout else 0)
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{child}/status").read_text().partition("RssAnon:")[2]
                    self.memory = max(self.memory, int(status.split()[0]) << 10 if status else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=250_000)
    parser.add_argument("--largest", type=int, default=2000, help="samples of a knowledge leaf")
    parser.add_argument("--merge-mib", type=int, default=0, help="size of a training file that is merged")
    options = parser.parse_args()
    settings = SampleSettings(pipeline="simple", model="teacher")
    with tempfile.TemporaryDirectory() as folder:
        bucket, work = Path(folder, "bucket"), Path(folder, "work")
        store, sources = FolderStore(bucket), []
        for i in range(-(-options.samples * 2 // 3 // options.largest)):
            leaf = Leaf(f"knowledge/bench/leaf{i:04}", "knowledge")
            sources.append(source(store, leaf, settings, knowledge(leaf, options.largest)))
        for i in range(options.samples // 3 // 150):
            leaf = Leaf(f"compositional_skills/bench/leaf{i:04}", "freeform")
            sources.append(source(store, leaf, settings, skill(leaf, 150)))
        merged = []
        if options.merge_mib:
            training_file(bucket / "own.jsonl", options.merge_mib)
            merged.append(MergeFile(key="own.jsonl", kind="skills"))
        plan(store, settings, sources, merged)
        given = sum(each.data.size for each in sources)
        watch = Watch(work)
        watch.start()
        began = time.monotonic()
        done = run_mix(bucket, work, timeout=7200)
        seconds = time.monotonic() - began
        watch.over.set()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        manifest = Manifest.model_validate_json(store.get_bytes(LAYOUT.manifest, 1 << 30))
        print(
            f"{sum(each.samples for each in sources)} samples, {given >> 20} MiB, {len(sources)} leaves -> "
            f"{manifest.samples.total} rows, {sum(file.size for file in manifest.files) >> 20} MiB\n"
            f"{watch.memory >> 20} MiB of memory ({used.ru_maxrss >> 10} MiB with mapped files), "
            f"{watch.scratch >> 20} MiB of scratch, "
            f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU; "
            f"files sha256:{sha256(repr(manifest.files).encode()).hexdigest()[:16]}"
        )


if __name__ == "__main__":
    main()
