"""A finished engine waits for its files to be in safe hands, and not longer than it may."""

import time
from pathlib import Path

import pytest

from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import Leaf, write_work
from tests.integration.engine.running import start_engine, wait_until
from tests.teacher.running import running_teacher

pytestmark = pytest.mark.deep  # it measures time


@pytest.mark.parametrize("end", ["acknowledged", "told to stop"])
def test_a_finished_engine_waits_until_it_is_acknowledged_or_told_to_stop(tmp_path: Path, end: str) -> None:
    settings = SampleSettings(pipeline="simple", scale_factor=3, batch_size=2, model="teacher")
    work = write_work(tmp_path / "work", [Leaf("compositional_skills/facts/wren", "freeform")], settings)
    (work / "sync").mkdir()
    with running_teacher() as teacher:
        engine = start_engine(work, teacher.url, {"SDG_ACK_SECONDS": "900"})
        wait_until((work / "out" / "result.json").exists, 200)
        assert engine.poll() is None
        if end == "acknowledged":
            (work / "sync" / "ack").touch()
        else:
            engine.terminate()
        began = time.monotonic()
        assert engine.wait(60) == 0
        assert time.monotonic() - began < 30
