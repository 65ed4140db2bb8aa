"""A mix that is stopped, overtaken by the next one, and continued, as real processes."""

import hashlib
import signal
from pathlib import Path

import pytest

from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.records import Manifest, SampleSettings
from tests.integration.engine.leaves import Leaf
from tests.integration.engine.ledger import LAYOUT, plan, run_mix, source, start_mix
from tests.integration.engine.test_mix import body, skill_rows
from tests.integration.storage.pods import wait_until

pytestmark = pytest.mark.deep  # two mixes, each of which loads its library

SETTINGS = SampleSettings(pipeline="simple", scale_factor=2, model="teacher")
LEAVES = [Leaf(f"compositional_skills/subject/leaf{number:03}", "freeform") for number in range(120)]


def result(store: FolderStore) -> dict[str, bytes]:
    """All that a mix leaves but its log, which tells of one process."""
    files = {info.key.removeprefix(f"{LAYOUT.root}/"): info.key for info in store.list(f"{LAYOUT.root}/")}
    return {
        name: store.get_bytes(key, 1 << 24)
        for name, key in files.items()
        if not name.startswith(".run/") and name != "logs/mix.log"
    }


def assert_whole(found: dict[str, bytes]) -> None:
    """The manifest names each file as it is."""
    manifest = Manifest.model_validate_json(found["manifest.json"])
    assert {file.path for file in manifest.files} == found.keys() - {"manifest.json"}
    for file in manifest.files:
        assert hashlib.sha256(found[file.path]).hexdigest() == file.sha256, file.path


@pytest.mark.parametrize("stopped_after", [1, 60])
def test_a_stopped_mix_that_is_overtaken_and_goes_on_changes_nothing(tmp_path: Path, stopped_after: int) -> None:
    """Both write the same keys, and the same bytes: what is mixed is frozen, and how does not depend on when."""
    bucket = tmp_path / "bucket"
    store = FolderStore(bucket)
    plan(
        store, SETTINGS, [source(store, leaf, SETTINGS, body(skill_rows(leaf, 12)), n) for n, leaf in enumerate(LEAVES)]
    )

    first = start_mix(bucket, tmp_path / "first")
    try:
        wait_until(lambda: len(result(store)) >= stopped_after)
        first.send_signal(signal.SIGSTOP)
        assert "manifest.json" not in result(store), "it was stopped too late to be overtaken"

        second = run_mix(bucket, tmp_path / "second", SDG_TERMINATION_LOG=str(tmp_path / "said"))
        assert second.returncode == 0, second.stderr
        before = result(store)
        assert_whole(before)

        first.send_signal(signal.SIGCONT)
        assert first.wait(120) == 0
    finally:
        first.kill()
        first.communicate()
    assert result(store) == before
