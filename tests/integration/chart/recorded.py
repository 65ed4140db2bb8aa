"""Objects as a cluster gave them, in every state (``objects``), and kinds to create them with a status.

``pytest tests/chart/node/test_states.py --update-golden`` records them anew.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import until_established
from hack.generate.chart import ROOT

OBJECTS: Final = Path(__file__).parent / "objects"
NAMES: Final = sorted(file.stem for file in OBJECTS.glob("*.yaml"))
GROUP: Final = "recorded.sdg-operator.io"


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((OBJECTS / f"{name}.yaml").read_text())
    return content


def install_kinds(server: ApiAccess) -> None:
    """Our two kinds by other names and without the subresource, so that an object is created with its status."""
    made = []
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        crd["spec"]["group"] = GROUP
        kind, plural = (crd["spec"]["names"][name] for name in ("kind", "plural"))
        crd["spec"]["names"] = {"kind": f"Recorded{kind}", "plural": f"recorded{plural}"}
        crd["metadata"]["name"] = f"recorded{plural}.{GROUP}"
        for version in crd["spec"]["versions"]:
            del version["subresources"]["status"]
        made.append(crd)
    server.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(made))
    until_established(server.kubectl)


def to_create(name: str) -> dict[str, Any]:
    """A recorded object of these kinds, without what the API server gives."""
    content = recorded(name)
    version = content["apiVersion"].partition("/")[2]
    metadata = {"name": content["metadata"]["name"], "namespace": "default"}
    kind = f"Recorded{content['kind']}"
    return {**content, "apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": metadata}
