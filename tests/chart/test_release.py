"""What a release publishes is whole: it installs, and says what it is made of."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import yaml

from hack.cluster.apiserver import ApiServer
from hack.cluster.images import CHART_IMAGES, IMAGES, write_context
from hack.cluster.steps import run
from hack.cluster.tools import tool
from hack.generate.chart import ROOT
from hack.release.files import (
    NAMESPACE,
    bill_of_materials,
    chart_package,
    crds,
    install_manifest,
    python_package,
)
from hack.version import VERSION


def test_one_file_installs_the_operator_and_applies_again_without_a_change() -> None:
    manifest = install_manifest("registry.example.com/ai")
    apply = ["apply", "--server-side", "--validate=strict", "--filename=-"]
    with ApiServer() as server:
        server.kubectl(*apply, stdin=crds())
        server.kubectl(*apply, stdin=manifest)
        first = server.kubectl("get", "deployment", "sdg-operator", f"--namespace={NAMESPACE}", "--output=json")
        server.kubectl(*apply, stdin=manifest)
        again = server.kubectl("get", "deployment", "sdg-operator", f"--namespace={NAMESPACE}", "--output=json")
    deployment = json.loads(first)
    assert json.loads(again)["metadata"]["generation"] == deployment["metadata"]["generation"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/ai/sdg-operator:")
    kinds = {each["kind"] for each in yaml.safe_load_all(manifest) if each}
    assert {"Namespace", "ClusterRole", "ConfigMap", "Deployment"} <= kinds
    assert "CustomResourceDefinition" not in kinds, "removing the operator would remove what users have"
    assert "managed-by: Helm" not in manifest


@pytest.mark.parametrize("image", CHART_IMAGES)
def test_a_bill_of_materials_names_every_package_of_the_lock_with_its_hashes(image: str) -> None:
    lock = (ROOT / "requirements" / f"{image.removeprefix('sdg-')}.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE | re.IGNORECASE))
    bill = json.loads(bill_of_materials(image))
    components = bill["components"]
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (image, VERSION)
    assert {each["name"]: each["version"] for each in components} == locked
    assert len(locked) > 10
    assert all(each["externalReferences"][0]["hashes"] for each in components)


def test_the_python_package_holds_the_code_and_both_commands(tmp_path: Path) -> None:
    python_package(tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [entry_points] = [name for name in names if name.endswith("entry_points.txt")]
        commands = archive.read(entry_points).decode()
    assert "sdg_operator/controller/__main__.py" in names
    assert "sdg_operator/py.typed" in names
    assert re.findall(r"^([\w-]+) ?=", commands, re.MULTILINE) == ["kubectl-sdg", "sdg"]


@pytest.mark.parametrize("image", CHART_IMAGES)
def test_an_image_of_a_release_installs_the_packages_that_it_needs(image: str, tmp_path: Path) -> None:
    """On the official base, which has none of them: that of our own builds has them already."""
    write_context(image, tmp_path / "context", ())
    recipe = (tmp_path / "context" / "Containerfile").read_text()
    assert re.search(r"^ARG BASE=python:.+\nFROM \$\{BASE\}\nUSER 0\nRUN ", recipe, re.MULTILINE)
    installed = re.findall(r"apt-get install \S+ \S+ (.+?) &&", recipe)
    assert installed == ([" ".join(packages)] if (packages := IMAGES[image].packages) else [])


def test_the_runner_of_a_release_has_git_and_ssh(tmp_path: Path) -> None:
    write_context("sdg-runner", tmp_path / "context", ())
    assert " git libnss-wrapper openssh-client " in (tmp_path / "context" / "Containerfile").read_text()


def test_the_chart_of_a_release_knows_where_its_images_lie(tmp_path: Path) -> None:
    chart_package(tmp_path, "registry.example.com/ai/")
    [package] = tmp_path.glob("sdg-operator-*.tgz")
    rendered = run([tool("helm4"), "template", "x", package, "--kube-version=1.34"])
    images = set(re.findall(r"(?:image|engine|runner): (\S+/sdg-\S+|sdg-\S+)", rendered))
    assert len(images) == 3
    assert {image.rpartition("/")[0] for image in images} == {"registry.example.com/ai"}


@pytest.mark.parametrize("image", CHART_IMAGES)
def test_an_image_is_built_for_both_architectures_from_one_context(image: str, tmp_path: Path) -> None:
    write_context(image, tmp_path / "context", ("amd64", "arm64"))
    folder = tmp_path / "context" / "site-packages"
    machines = {each.name: {file.read_bytes()[18] for file in each.rglob("*.so")} for each in folder.iterdir()}
    assert machines == {"amd64": {62}, "arm64": {183}}, "ELF's number of each machine"
    assert not [path for site in folder.iterdir() for path in (site / "bin", site / ".lock") if path.exists()]
