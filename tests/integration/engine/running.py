"""Start the real engine, the real mix and upstream's own run as processes, as a pod does."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sdg_operator.engine.contract import EngineResult
from sdg_operator.storage.records import SampleSettings

ENGINE = (sys.executable, "-m", "sdg_operator.engine.instructlab")


def environment(work: Path, url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "SDG_WORK": str(work), "SDG_TEACHER_URL": url} | dict(extra or {})


def run_engine(work: Path, url: str, extra: Mapping[str, str] | None = None) -> tuple[int, EngineResult, str]:
    """Run the engine to its end; return its exit code, its result and its standard error."""
    done = subprocess.run(
        ENGINE, env=environment(work, url, extra), capture_output=True, text=True, timeout=250, check=False
    )
    assert (work / "out" / "result.json").exists(), done.stderr
    result = EngineResult.model_validate_json((work / "out" / "result.json").read_bytes())
    return done.returncode, result, done.stderr


def start_engine(work: Path, url: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ENGINE, env=environment(work, url, extra), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def run_upstream(taxonomy: Path, out: Path, url: str, settings: SampleSettings) -> None:
    out.mkdir(parents=True)
    options = {
        "taxonomy": str(taxonomy),
        "out": str(out),
        "url": url,
        "pipeline": settings.pipeline,
        "scale": settings.scale_factor,
        "batch_size": settings.batch_size,
        "family": settings.model_family,
        "system_prompt": settings.system_prompt,
    }
    script = Path(__file__).with_name("upstream.py")
    subprocess.run(
        [sys.executable, str(script), json.dumps(options)],
        env=environment(out, url) | {"HOME": str(out), "PYTHONHASHSEED": "0"},
        check=True,
        timeout=280,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.005)
