"""Runs and taxonomies in every state on a node: what Argo CD shows of them then, and offers to do.

``--update-golden`` records them, for tests that have no node: tests/integration/chart/objects.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.demo.bucket import taxonomy_archive
from hack.demo.objects import NAMESPACE
from hack.demo.play import bucket, known_keys
from hack.generate.chart import ROOT
from tests.chart.node.installed import Installed, has_ended, has_samples, is_suspended
from tests.chart.promtool import assert_failed_run_is_told
from tests.integration.chart.argocd import enabled, health
from tests.integration.chart.recorded import OBJECTS

pytestmark = pytest.mark.timeout(1500, func_only=True)

See = Callable[[str, dict[str, Any]], tuple[str, set[str]]]


@pytest.fixture
def see(update_golden: bool) -> See:
    """Look at an object as Argo CD does: its health, and the actions that it offers."""

    def see(name: str, found: dict[str, Any]) -> tuple[str, set[str]]:
        if update_golden:
            found["metadata"].pop("managedFields", None)
            (OBJECTS / f"{name}.yaml").write_text(yaml.safe_dump(found, allow_unicode=True))
        return health(found)["status"], enabled(found)

    return see


def is_running(status: dict[str, Any]) -> bool:
    return status.get("state") == "running" and has_samples(status)


def finds_no_node(status: dict[str, Any]) -> bool:
    return "didn't match" in str(status.get("message"))


def has_state(status: dict[str, Any]) -> bool:
    return bool(status.get("state"))


def before_the_operator(installed: Installed, wanted: dict[str, Any]) -> dict[str, Any]:
    """An object as the API server stores it."""
    said = installed.kube.run("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(wanted))
    found: dict[str, Any] = json.loads(said)
    return found


def test_a_run_from_its_creation_to_its_end(installed: Installed, see: See) -> None:
    wanted = installed.wanted("states", 0.6)
    assert see("run-created", before_the_operator(installed, wanted)) == ("Progressing", {"suspend", "cancel"})
    installed.run("states", 0.6)
    running = installed.once("states", is_running)
    assert see("run-running", running) == ("Progressing", {"suspend", "cancel"})
    installed.set("states", suspend=True)
    assert see("run-suspended", installed.once("states", is_suspended)) == ("Suspended", {"resume", "cancel"})
    installed.set("states", suspend=False)
    completed = installed.once("states", has_ended)
    assert see("run-completed", completed) == ("Healthy", set())
    assert completed["status"]["state"] == "completed"


def test_a_run_that_waits_for_a_node_and_is_canceled(installed: Installed, see: See) -> None:
    installed.run("waits", 0.6, placement={"nodeSelector": {"no-node": "has-this"}})
    waiting = installed.once("waits", finds_no_node)
    assert see("run-queued", waiting) == ("Progressing", {"suspend", "cancel"})
    installed.set("waits", cancel=True)
    canceled = installed.once("waits", has_ended)
    assert see("run-canceled", canceled) == ("Healthy", set())
    assert canceled["status"]["state"] == "canceled"


def test_runs_that_fail_at_once_and_at_work(installed: Installed, see: See, tmp_path: Path) -> None:
    _, before = installed.scrape()
    installed.run("refused", 0, engine={"image": "registry.example.com/not/allowed:1"})
    installed.run("late", 5, activeDeadlineSeconds=20)
    refused, late = (installed.once(name, has_ended) for name in ("refused", "late"))
    assert see("run-failed", refused) == see("run-failed-at-work", late) == ("Degraded", set())
    assert [each["status"]["failure"]["reason"] for each in (refused, late)] == ["NotAllowed", "ActiveDeadlineExceeded"]
    _, after = installed.scrape()
    assert_failed_run_is_told(before, after, tmp_path)


@pytest.fixture
def uploaded(installed: Installed, tmp_path: Path) -> list[str]:
    """Two taxonomies of one leaf in the bucket: one as it should be, and one with too few examples."""
    leaf = Path("compositional_skills/writing/plain_words/qna.yaml")
    good = (ROOT / "examples" / "taxonomy" / leaf).read_text()
    few = yaml.safe_load(good)
    few["seed_examples"] = few["seed_examples"][:1]
    with bucket(installed.kube, known_keys(installed.kube)) as store:
        for name, text in (("good", good), ("bad", yaml.safe_dump(few))):
            (tmp_path / name / leaf).parent.mkdir(parents=True)
            (tmp_path / name / leaf).write_text(text)
            store.put_bytes(f"taxonomies/{name}.tar.gz", taxonomy_archive(tmp_path / name))
    return ["good", "bad"]


def test_a_good_and_a_bad_taxonomy(installed: Installed, uploaded: list[str], see: See) -> None:
    ends = {"good": ("taxonomy-ready", "Healthy"), "bad": ("taxonomy-invalid", "Degraded")}
    for name in uploaded:
        wanted = {
            "apiVersion": "sdg-operator.io/v1alpha1",
            "kind": "Taxonomy",
            "metadata": {"name": f"states-{name}", "namespace": NAMESPACE},
            "spec": {"source": {"bucket": {"key": f"taxonomies/{name}.tar.gz"}}},
        }
        assert see("taxonomy-created", before_the_operator(installed, wanted)) == ("Progressing", {"check"})
        installed.kube.run("create", "--filename=-", stdin=json.dumps(wanted))
        checking = installed.once(f"states-{name}", has_state, "taxonomy", often=0.1)
        assert see("taxonomy-checking", checking) == ("Progressing", {"check"})
        checked = installed.once(f"states-{name}", has_ended, "taxonomy")
        recorded, shown = ends[name]
        assert see(recorded, checked) == (shown, {"check"})
