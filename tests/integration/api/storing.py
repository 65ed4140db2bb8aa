"""``python -m tests.integration.api.storing NAME``: keep what an API server stores with the CRDs of a release.

It makes objects with every field set, as test_stored.py reads them under all later CRDs, and writes what lies in etcd
to stored/NAME.json. A file that is there belongs to a release: it is not written again.
"""

import argparse
import base64
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.apiserver import ApiAccess, ApiServer
from hack.cluster.steps import until_established
from tests.integration.api.filled import filled

ROOT = Path(__file__).parents[3]
STORED = Path(__file__).parent / "stored"
_NAMESPACE = "default"


def ask_etcd(server: ApiAccess, what: str, **request: str | bytes) -> dict[str, Any]:
    """Ask etcd by its JSON gateway (https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/)."""
    body = {name: base64.b64encode(v.encode() if isinstance(v, str) else v).decode() for name, v in request.items()}
    with urllib.request.urlopen(f"{server.etcd_url}/v3/kv/{what}", json.dumps(body).encode(), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def key_of(found: dict[str, Any], plural: str, namespace: str) -> str:
    """Where the API server keeps a custom resource."""
    group = found["apiVersion"].partition("/")[0]
    return f"/registry/{group}/{plural}/{namespace}/{found['metadata']['name']}"


def _stored(server: ApiServer, crds: Path) -> list[dict[str, Any]]:
    server.kubectl("apply", "--server-side", "--filename", str(crds))
    until_established(server.kubectl)
    found = []
    for file in sorted(crds.glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        for item in filled(crd):
            text = json.dumps(item)
            server.kubectl("create", "--namespace", _NAMESPACE, "--filename=-", stdin=text)
            server.kubectl("replace", "--subresource=status", "--namespace", _NAMESPACE, "--filename=-", stdin=text)
            key = key_of(item, crd["spec"]["names"]["plural"], _NAMESPACE)
            (value,) = ask_etcd(server, "range", key=key)["kvs"]
            found.append(json.loads(base64.b64decode(value["value"])))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the release, for example 0.1.0")
    parser.add_argument("--crds", type=Path, default=ROOT / "crds", help="folder of its CRDs")
    options = parser.parse_args()
    path = STORED / f"{options.name}.json"
    if path.exists():
        print(f"{path} is there; what a release has stored does not change", file=sys.stderr)
        return 1
    with ApiServer(controller_manager=False) as server:
        found = _stored(server, options.crds)
    lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in found)
    path.write_text(f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
