"""On a cluster that was given, the demo touches only what it has made, and its last line removes all of that."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.cluster.apiserver import ApiServer
from hack.cluster.steps import until_established
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from hack.demo.objects import NAMESPACE, RELEASE, SYSTEM, namespace
from hack.demo.place import Place, refuse_what_is_not_ours
from hack.demo.play import chart_values
from hack.demo.screen import DemoFailed
from hack.demo.teacher import DemoTeacher
from hack.generate.chart import CHART

IMAGES = {name: f"{name}:0" for name in ("sdg-operator", "sdg-runner", "sdg-engine")}


@pytest.fixture
def kube() -> Iterator[Kube]:
    with ApiServer() as server:
        yield Kube(server.kubeconfig, "api-only", tool("kubectl"), tool("helm4"))


def install(kube: Kube, values: dict[str, object], *options: str) -> None:
    command = ("install", RELEASE, str(CHART), f"--namespace={SYSTEM}", "--values=-", *options)
    kube.run_helm(*command, stdin=yaml.safe_dump(values))


def test_an_operator_that_somebody_else_has_installed_is_left_alone(kube: Kube) -> None:
    install(kube, {}, "--create-namespace")
    with pytest.raises(DemoFailed, match=f"namespace {SYSTEM}, .*datagenerations.*, not made by the demo"):
        refuse_what_is_not_ours(kube)


def test_crds_that_somebody_else_has_installed_are_left_alone(kube: Kube) -> None:
    """An operator in another namespace, or one that has gone and left its users' resources."""
    kube.run("apply", "--filename", str(CHART / "files" / "crds"))
    with pytest.raises(DemoFailed, match=r"datagenerations\.sdg-operator\.io, not made by the demo"):
        refuse_what_is_not_ours(kube)


def test_the_last_line_removes_all_that_the_demo_made_from_this_cluster_alone(kube: Kube, tmp_path: Path) -> None:
    refuse_what_is_not_ours(kube)
    there = everything(kube)
    kube.apply(namespace(SYSTEM), namespace(NAMESPACE))
    install(kube, chart_values(IMAGES, DemoTeacher("nobody")))
    until_established(kube.run)
    refuse_what_is_not_ours(kube)
    assert len(everything(kube)) > len(there) + 5

    # The user's own kubeconfig leads to another cluster.
    (tmp_path / "config").write_text("{apiVersion: v1, kind: Config}")
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "config")}
    subprocess.run(["bash", "-euc", Place(kube, None, "registry").remove], env=environment, check=True, timeout=120)
    assert everything(kube) == there


def everything(kube: Kube) -> set[str]:
    kinds = "namespaces,clusterroles,clusterrolebindings,customresourcedefinitions"
    return set(kube.run("get", kinds, "--output=name").split())
