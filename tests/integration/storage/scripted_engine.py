"""A scripted engine: keeps the engine contract without a teacher, so that storage tests decide its pace and words.

``python scripted_engine.py WORK --batches 5 --rows 3 --pause 0.01 --word one`` makes each leaf of ``in/settings.json``
batch by batch, takes over whole batches from ``in/checkpoints``, and notes in ``made.txt`` each batch that it made.
With ``--hold`` it writes its result, after which sync may acknowledge, only once the file ``go`` is in ``WORK``.
"""

import argparse
import json
import os
import time
from pathlib import Path


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(content)
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.01)
    parser.add_argument("--word", default="word")
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args()
    work: Path = options.work
    settings = json.loads((work / "in/settings.json").read_text())
    out, samples = work / "out", 0
    for done, leaf in enumerate(settings["leaves"]):
        batches = []
        for batch in range(options.batches):
            name = f"batch-{batch:06d}.jsonl"
            earlier = work / "in/checkpoints" / leaf["id"] / name
            if earlier.exists():
                batches.append(earlier.read_text())
                continue
            time.sleep(options.pause)
            rows = [
                {"leaf": leaf["id"], "batch": batch, "row": row, "output": options.word} for row in range(options.rows)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            put(out / "checkpoints" / leaf["id"] / name, text)
            batches.append(text)
            with (work / "made.txt").open("a") as made:
                made.write(f"{leaf['id']}/{name}\n")
        samples += options.batches * options.rows
        put(out / "leaves" / leaf["id"] / "samples.jsonl", "".join(batches))
        result = {"formatVersion": 1, "leaf": leaf["id"], "inputDigest": leaf["inputDigest"], "outcome": "done",
                  "samples": options.batches * options.rows}  # fmt: skip
        put(out / "leaves" / leaf["id"] / "leaf.json", json.dumps(result))
        put(out / "progress.json", json.dumps({"phase": "generating", "samples": samples, "leavesDone": done + 1,
                                               "leavesTotal": len(settings["leaves"]), "sequence": done}))  # fmt: skip
    while options.hold and not (work / "go").exists():
        time.sleep(0.02)
    result = {"exitCode": 0, "leavesDone": len(settings["leaves"]), "leavesFailed": 0, "samples": samples}
    put(out / "result.json", json.dumps(result))
    while not (work / "sync/ack").exists():
        time.sleep(0.02)
    os._exit(0)


main()
