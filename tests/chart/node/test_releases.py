"""The chart on a real node, around running runs: helm test, upgrade, rollback, uninstall.

Helm 4 up to the uninstall; what comes after it is Helm 3's: install, upgrade and rollback, each with ``--wait``.
"""

import json
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hack.cluster.cluster import Cluster
from hack.cluster.steps import run, succeeds
from hack.demo.objects import NAMESPACE, SYSTEM
from hack.generate.chart import CHART, ROOT
from tests.chart.node.installed import Installed, has_ended, has_samples, is_suspended
from tests.chart.promtool import assert_holds

# Making the cluster and its images may take longer than a test, and is not its time.
pytestmark = pytest.mark.timeout(1500, func_only=True)


def test_helm_test_passes(installed: Installed) -> None:
    """Also through the chart's NetworkPolicy, where the cluster's network enforces it."""
    values = yaml.safe_load(installed.helm("get", "values", "sdg-operator", "--output=yaml"))
    closed = {**values, "networkPolicy": {"enabled": True}}
    installed.helm("upgrade", "sdg-operator", str(CHART), "--wait", "--timeout=120s", **closed)
    assert "Succeeded" in installed.helm("test", "sdg-operator", "--timeout=90s")


def test_each_query_of_the_dashboard_has_data_after_a_run(installed: Installed, tmp_path: Path) -> None:
    """The operator's own metrics after the demo's run, as Prometheus would have them after an hour of such runs."""
    pod, scraped = installed.scrape()
    series = []
    for family in text_string_to_metric_families(scraped):
        growth = "0+{}x60" if family.type in ("counter", "histogram") else "{}+0x60"
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in {**sample.labels, "pod": pod}.items())
            series.append({"series": f"{sample.name}{{{labels}}}", "values": growth.format(sample.value)})
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 10
    asked = [
        {"expr": f"count(({query}) >= 0) > bool 0", "eval_time": "60m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for query in queries
    ]
    assert_holds({"input_series": series, "promql_expr_test": asked}, tmp_path, {"groups": []})


def test_after_a_full_run_a_teams_folder_shows_no_difference(installed: Installed, tmp_path: Path) -> None:
    """`examples/gitops` with what is another here: where the taxonomy lies, the run's name and its teacher."""
    source = {"bucket": {"key": "taxonomies/taxonomy.tar.gz"}}
    own = installed.wanted("drift-1", 0)["spec"]
    patches = {
        "Taxonomy": [{"op": "replace", "path": "/spec/source", "value": source}],
        "DataGeneration": [
            {"op": "replace", "path": "/metadata/name", "value": "drift-1"},
            *(
                {"op": "add", "path": f"/spec/{key}", "value": own[key]}
                for key in ("teacher", "pipeline", "generation")
            ),
        ],
    }
    kustomization = {
        "resources": [os.path.relpath(ROOT / "examples" / "gitops", tmp_path.resolve())],
        "namespace": NAMESPACE,
        "patches": [{"target": {"kind": kind}, "patch": json.dumps(patch)} for kind, patch in patches.items()],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    folder = f"--kustomize={tmp_path}"
    installed.kube.run("apply", folder)
    assert installed.until("drift-1", has_ended)["state"] == "completed"
    diff: list[str | Path] = [installed.kube.kubectl, f"--kubeconfig={installed.kube.kubeconfig}", "diff", folder]
    assert succeeds(diff)
    assert succeeds([*diff, "--server-side", "--field-manager=git"])
    # What `kubectl diff` says of a file that has changed: it does look.
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({**kustomization, "commonAnnotations": {"a": "b"}}))
    assert not succeeds(diff)


@pytest.fixture
def before(own: Cluster, installed: Installed, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The operator as it was before its latest change, installed by its own chart; gives the values of now."""
    changed = ("operator/sdg_operator", "images/sdg-operator", "charts/sdg-operator/templates")
    commits = run(["git", "log", "--format=%H", "-2", "--", *changed], cwd=ROOT).split()
    if len(commits) < 2:
        shallow = run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT).strip() == "true"
        # A workflow that fetches no history must not pass for one that has tested the upgrade.
        end = pytest.fail if shallow and os.environ.get("GITHUB_ACTIONS") else pytest.skip
        end("no history here: nothing to upgrade from")
    archive = tmp_path / "old.tar"
    run(["git", "archive", f"--output={archive}", commits[1]], cwd=ROOT)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "old", filter="data")
    load = (
        "from hack.cluster.cluster import Cluster; from hack.cluster.images import load_images;"
        f"print(load_images(Cluster({own.name!r}), ['sdg-operator'])['sdg-operator'])"
    )
    old = {"PYTHONPATH": f"{tmp_path / 'old'}:{tmp_path / 'old/operator'}"}
    repository, _, tag = run([sys.executable, "-c", load], cwd=tmp_path / "old", env=old).strip().rpartition(":")
    now = yaml.safe_load(installed.helm("get", "values", "sdg-operator", "--output=yaml"))
    image = {"images": {**now["images"], "operator": {"repository": repository, "tag": tag}}}
    chart = str(tmp_path / "old/charts/sdg-operator")
    installed.helm("upgrade", "sdg-operator", chart, "--wait", "--timeout=120s", **{**now, **image})
    yield now
    installed.helm("upgrade", "sdg-operator", str(CHART), "--wait", "--timeout=120s", **now)


def test_upgrade_and_rollback_leave_running_and_suspended_runs_alone(
    installed: Installed, before: dict[str, Any]
) -> None:
    """Upgraded from the chart and the image of before, and rolled back to them."""
    installed.run("halfway", 1.0)
    installed.run("paused", 1.0)
    at_half = installed.until("halfway", has_samples)
    installed.until("paused", has_samples)
    installed.set("paused", suspend=True)
    installed.until("paused", is_suspended)
    made = installed.status("paused")["progress"]["samples"]

    change = {"settings": {**before["settings"], "defaults": {"scaleFactor": 9, "maxConcurrency": 1}}}
    installed.helm("upgrade", "sdg-operator", str(CHART), "--wait", "--timeout=120s", **{**before, **change})
    upgraded = installed.status("halfway")
    assert upgraded["state"] == "running", "the run was over too soon to say anything"
    assert upgraded["attempt"]["jobUid"] == at_half["attempt"]["jobUid"]
    assert installed.status("paused")["state"] == "queued"
    installed.helm("rollback", "sdg-operator", "--wait", "--timeout=120s")

    after = installed.until("halfway", has_ended)
    assert after["state"] == "completed", after["message"]
    assert after["attempt"]["number"] == 1, "the upgrade cost an attempt"
    assert after["resolved"] == at_half["resolved"]
    assert installed.status("paused")["state"] == "queued"
    installed.set("paused", suspend=False)
    resumed = installed.until("paused", has_ended)
    assert resumed["state"] == "completed", resumed["message"]
    assert resumed["attempt"]["number"] == 2
    assert resumed["progress"]["samples"] >= made


def test_a_run_outlives_an_uninstall(installed: Installed) -> None:
    installed.run("orphan", 1.0)
    installed.until("orphan", has_samples)
    values = yaml.safe_load(installed.helm("get", "values", "sdg-operator", "--output=yaml"))
    installed.helm("uninstall", "sdg-operator", "--wait")
    jobs = installed.kube.json("get", "jobs", f"--namespace={NAMESPACE}", "--selector=sdg-operator.io/name=orphan")
    assert len(jobs["items"]) == 1
    installed.helm("install", "sdg-operator", str(CHART), "--wait", "--timeout=120s", by="helm3", **values)
    after = installed.until("orphan", has_ended)
    assert after["state"] == "completed", after["message"]
    assert after["attempt"]["number"] == 1


def test_two_replicas_with_rights_in_one_namespace_do_the_same(installed: Installed) -> None:
    change = {"replicas": 2, "watchNamespaces": [NAMESPACE]}
    installed.helm(
        "upgrade", "sdg-operator", str(CHART), "--reuse-values", "--wait", "--timeout=120s", by="helm3", **change
    )
    bindings = installed.kube.json("get", "clusterrolebindings", "--selector=app.kubernetes.io/name=sdg-operator")
    assert bindings["items"] == []
    lease = installed.kube.json("get", "lease", "sdg-operator", f"--namespace={SYSTEM}")
    assert lease["spec"]["holderIdentity"].startswith("sdg-operator-")
    installed.run("two-replicas", 0)
    ended = installed.until("two-replicas", has_ended)
    assert ended["state"] == "completed", ended["message"]
    installed.helm("rollback", "sdg-operator", "--wait", "--timeout=120s", by="helm3")
