"""The files of a release: one manifest for `kubectl apply`, the chart, the Python package, bills of materials."""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from hack.cluster.steps import StepFailed, run
from hack.cluster.tools import tool
from hack.generate.chart import CHART, ROOT
from hack.version import VERSION

NAMESPACE: Final = "sdg-system"
_BEGIN: Final = f"""\
# The operator, without Helm: kubectl apply --server-side -f crds.yaml -f install.yaml
# Removing what is in this file ends the operator alone; with crds.yaml all Taxonomies and DataGenerations go.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
"""


def install_manifest(registry: str) -> str:
    """The chart with its defaults as one file, its namespace first, without the CRDs.

    `registry` is where its images are pulled from.
    """
    command: list[str | Path] = [tool("helm4"), "template", "sdg-operator", CHART, f"--namespace={NAMESPACE}"]
    # Without a server there is no version to ask for: the least one that the chart allows.
    options = ["--kube-version=1.32", "--skip-tests", "--set=crds.enabled=false", f"--set=images.registry={registry}"]
    # Who is said to manage an object is who may change it: Helm would take none of these over, nor should it.
    return _BEGIN + re.sub(
        r"^ *app.kubernetes.io/managed-by: Helm\n", "", run([*command, *options]), flags=re.MULTILINE
    )


def crds() -> str:
    """Both CustomResourceDefinitions as one file."""
    return "---\n".join(file.read_text() for file in sorted((ROOT / "crds").glob("*.yaml")))


def chart_package(folder: Path, registry: str) -> None:
    """Write the chart as ``sdg-operator-<version>.tgz``, with the registry that its images are pulled from."""
    with tempfile.TemporaryDirectory() as scratch:
        chart = Path(scratch) / CHART.name
        shutil.copytree(CHART, chart)
        text, found = re.subn(
            r"^(  registry: )''$",
            rf"\g<1>{registry.rstrip('/')}",
            (chart / "values.yaml").read_text(),
            flags=re.MULTILINE,
        )
        if found != 1:
            raise StepFailed("values.yaml has no empty images.registry to fill in")
        (chart / "values.yaml").write_text(text)
        run([tool("helm4"), "package", chart, f"--destination={folder}"])


def python_package(folder: Path) -> None:
    """Write wheel and source archive."""
    uv = Path(sys.prefix) / "bin" / "uv"
    run([uv, "build", "--quiet", "--no-build-isolation", f"--out-dir={folder}", ROOT])


def bill_of_materials(image: str) -> str:
    """CycloneDX JSON of an image's Python packages with their hashes, from its lock; the same for the same lock.

    A lock is called as its image without ``sdg-``.
    """
    lock = ROOT / "requirements" / f"{image.removeprefix('sdg-')}.txt"
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--of=JSON", lock]
    bill = json.loads(run([str(part) for part in command]))
    bill["metadata"]["component"] = {"type": "container", "bom-ref": image, "name": image, "version": VERSION}
    return json.dumps(bill, indent=1)
