"""What our engine makes of a taxonomy is, byte for byte, what instructlab-sdg's own one-process run makes of it."""

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE
from sdg_operator.storage.records import SampleSettings
from tests.integration.engine.leaves import MIXED, Leaf, samples, write_taxonomy, write_work
from tests.integration.engine.ledger import LAYOUT, plan, run_mix, sources_of
from tests.integration.engine.running import run_engine, run_upstream, start_engine, wait_until
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.script import Step

pytestmark = pytest.mark.deep  # each runs upstream's engine too: minutes


@dataclass(frozen=True)
class Taxonomy:
    pipeline: str
    leaves: tuple[Leaf, ...] = MIXED
    batch_size: int = 4
    family: str = "mixtral"

    @property
    def settings(self) -> SampleSettings:
        return SampleSettings(
            pipeline=self.pipeline,
            scale_factor=4,
            batch_size=self.batch_size,
            model="teacher",
            model_family=self.family,
            system_prompt="Be kind.",
        )


TAXONOMIES = {
    "mixed, simple": Taxonomy("simple"),
    "mixed, full": Taxonomy("full", batch_size=3),
    "mixed, llama": Taxonomy("llama", family="llama"),
    "freeform skills": Taxonomy(
        "simple", tuple(Leaf(f"compositional_skills/a{i}/écrit", "freeform", seeds=5 + i) for i in range(4)), 32
    ),
    "grounded skills": Taxonomy(
        "full", tuple(Leaf(f"compositional_skills/grounded/b{i}", "grounded") for i in range(2)), 2, "granite"
    ),
    "knowledge": Taxonomy(
        "simple", tuple(Leaf(f"knowledge/c{i}/d_e", "knowledge", documents=2) for i in range(2)), 1, "merlinite"
    ),
}


def generate_in_two_shards(tmp_path: Path, taxonomy: Taxonomy, teacher: RunningTeacher) -> list[Path]:
    """Make a taxonomy's leaves as a cluster may: by two engines, one of them killed at work and started again."""
    works = [
        write_work(tmp_path / f"shard{i}", taxonomy.leaves[i::2], taxonomy.settings, max_concurrency=16) for i in (0, 1)
    ]
    teacher.teacher.script = [Step(action="silence", skip=9)]  # it hangs in the middle, until it is killed
    killed = start_engine(works[0], teacher.url)
    wait_until(lambda: len(teacher.teacher.asked) > 10 or killed.poll() is not None)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    teacher.teacher.script = []
    for work in works:
        code, _, stderr = run_engine(work, teacher.url)
        assert code == 0, stderr
    return works


def result_files(bucket: Path) -> dict[str, bytes]:
    root = bucket / LAYOUT.root
    names = [KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE, "manifest.json", "logs/ilab_system_info.log"]
    return {name: (root / name).read_bytes() for name in names} | {
        f"artifacts/{path.name}": path.read_bytes() for path in (root / "artifacts").iterdir()
    }


QUICK = ("mixed, simple", "grounded skills")
"""One that has every kind of leaf, and one of the full pipeline; the others are among the faults."""


@pytest.mark.parametrize(
    "taxonomy",
    [
        pytest.param(taxonomy, id=name, marks=() if name in QUICK else pytest.mark.deep)
        for name, taxonomy in TAXONOMIES.items()
    ],
)
def test_samples_of_each_leaf_and_both_training_files_are_identical(tmp_path: Path, taxonomy: Taxonomy) -> None:
    settings, leaves = taxonomy.settings, taxonomy.leaves
    bucket = tmp_path / "bucket"
    store = FolderStore(bucket)
    with running_teacher() as running:
        works = generate_in_two_shards(tmp_path, taxonomy, running)
        run_upstream(write_taxonomy(tmp_path / "taxonomy", leaves), tmp_path / "upstream", running.url, settings)
    for index, leaf in enumerate(leaves):
        theirs = (tmp_path / "upstream" / "generated" / f"{leaf.id}.jsonl").read_bytes()
        assert samples(works[index % 2], leaf) == theirs
        assert theirs.count(b"\n") >= 5
    plan(store, settings, sources_of(store, works, leaves, settings))
    mixed = run_mix(bucket, tmp_path / "mix", PYTHONHASHSEED="1")
    assert mixed.returncode == 0, mixed.stderr
    first = result_files(bucket)
    for name in (KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE):
        theirs_too = tmp_path / "upstream" / name  # upstream writes no file where there are no rows
        assert first[name] == (theirs_too.read_bytes() if theirs_too.exists() else b"")
    again = run_mix(bucket, tmp_path / "another-mix", PYTHONHASHSEED="2")
    assert again.returncode == 0, again.stderr
    assert result_files(bucket) == first
