"""A foreign engine without libraries: it asks five times a leaf, one batch each, and keeps the contract.

The first argument, if any, names a way to break it, or a strange way to keep it (`alone`, `few`).
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

breaks = sys.argv[1] if len(sys.argv) > 1 else ""
work, url = Path(os.environ["SDG_WORK"]), os.environ["SDG_TEACHER_URL"]
out = work / "out"
token = Path(os.environ["SDG_TEACHER_TOKEN_FILE"]).read_text()
patience = float(os.environ["SDG_TEACHER_PATIENCE_SECONDS"])
batches, choices = (1 if breaks == "few" else 5), {"alone": 12, "few": 8}.get(breaks, 2)
counts = {"leavesDone": 0, "leavesFailed": 0, "samples": 0}


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = work / f".part-{path.name}"
    part.write_bytes(content)
    part.replace(path)


def end(code: int) -> NoReturn:
    if breaks != "no-result":
        put(out / "result.json", json.dumps({"exitCode": code, **counts}).encode())
    os._exit(code)


def ask(prompt: str) -> list[str]:
    body = json.dumps({"model": "teacher", "prompt": prompt, "n": choices}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    since, refused = time.monotonic(), 0
    while time.monotonic() - since < patience:
        try:
            request = urllib.request.Request(f"{url}/completions", body, headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return [choice["text"] for choice in json.load(answer)["choices"]]
        except urllib.error.HTTPError:
            refused += 1
            if breaks != "asks-on" or refused > 20:
                end(20)
        except OSError:
            time.sleep(0.1)
    end(30)


def row(kind: str, text: str) -> bytes:
    question, mark, response = text.partition("?")
    found: dict[str, Any] = {"question": question + mark, "response": response}
    if kind == "knowledge":
        found |= {"document": "d", "domain": "d"}
    if breaks == "columns":
        found = {"text": text}
    return json.dumps(found | ({"score": float("nan")} if breaks == "nan" else {})).encode() + b"\n"


def make(leaf: dict[str, str]) -> bytes:
    rows = b""
    for number in range(batches):
        name = f"b.{number}" if breaks == "name" else f"b{number}.jsonl"
        kept = work / "in" / "checkpoints" / leaf["id"] / name
        if kept.exists():
            batch = kept.read_bytes()
        else:
            batch = b"".join(row(leaf["kind"], text) for text in ask(f"{leaf['id']} {number}"))
        if breaks != "no-checkpoints":
            put(out / "checkpoints" / leaf["id"] / name, batch.rstrip() if breaks == "cut-checkpoint" else batch)
        rows += batch
    return {"cut": rows.rstrip(), "blank": rows + b"\n", "bom": b"\xef\xbb\xbf" + rows}.get(breaks, rows)


def finish(leaf: dict[str, str], rows: bytes) -> None:
    folder, count = out / "leaves" / leaf["id"], rows.count(b"\n") + (breaks == "cut")
    outcome = "failed" if breaks == "all-failed" else "done"
    said = {"leaf": leaf["id"], "inputDigest": leaf["inputDigest"], "outcome": outcome}
    result = json.dumps(said | {"samples": 0 if outcome == "failed" else count}).encode()
    if breaks == "leaf-first":
        put(folder / "leaf.json", result)
        time.sleep(0.5)
    if breaks == "halves":
        folder.mkdir(parents=True)
        (folder / "leaf.json").write_bytes(result[:9])
        time.sleep(0.5)
    if breaks == "hard-link":
        put(work / "mine" / leaf["id"], rows)
        folder.mkdir(parents=True)
        (folder / "samples.jsonl").hardlink_to(work / "mine" / leaf["id"])
    else:
        put(folder / "samples.jsonl", rows)
    put(folder / "leaf.json", result)
    counts["leavesFailed" if outcome == "failed" else "leavesDone"] += 1
    counts["samples"] += 0 if outcome == "failed" else count
    sequence = counts["leavesDone"] + counts["leavesFailed"]
    put(out / "progress.json", json.dumps({"phase": "generating", "sequence": sequence}).encode())


def misbehave() -> None:
    match breaks:
        case "fifo-leaf" | "fifo-checkpoint":
            folder, name = (out / "leaves", "leaf.json") if breaks == "fifo-leaf" else (out / "checkpoints", "a.jsonl")
            (folder / "zzz").mkdir(parents=True, exist_ok=True)
            os.mkfifo(folder / "zzz" / name)
        case "folder":
            (out / "leaves" / "zzz" / "samples.jsonl").mkdir(parents=True)
        case "deep":
            put(out / "checkpoints" / "trial_freeform" / "deep.jsonl", b"[" * 100_000 + b"\n")
        case "token-name":
            put(out / "logs" / f"{token}.log", b"x\n")
        case "token-cache":
            put(work / "tmp" / "cache", token.encode())
        case "session":
            subprocess.Popen(["sh", "-c", "sleep 1; :", token], start_new_session=True)
        case "outlives":
            subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
        case "beside":
            Path("../stray").write_text("x")
        case "link":
            (work / "link").symlink_to("/etc/passwd")
        case "input":
            (work / "in" / "leaves" / "trial_freeform" / "qna.yaml").write_text("x")


signal.signal(signal.SIGTERM, lambda *_: end(31))
try:
    todo = json.loads((work / "in" / "settings.json").read_text())["leaves"]
except ValueError:
    end(10)
misbehave()
for each in todo:
    finish(each, make(each))
end(0)
