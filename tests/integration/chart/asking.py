"""Asking an API server whether it would take an object, a hundred times without a kubectl for each."""

import json
import ssl
import urllib.error
import urllib.request
from typing import Any, Final

from hack.cluster.apiserver import ApiAccess
from sdg_operator.api.kinds import KINDS

# Its certificate is made at each start; it listens on loopback.
_UNVERIFIED: Final = ssl.create_default_context()
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


def refusal(server: ApiAccess, wanted: dict[str, Any]) -> str:
    """The API server's words of refusal of an object of ours; empty if it would take it. Nothing is kept."""
    plural = next(kind.plural for kind in KINDS if kind.name == wanted["kind"])
    place = f"{server.url}/apis/{wanted['apiVersion']}/namespaces/{wanted['metadata']['namespace']}/{plural}"
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{place}?dryRun=All", json.dumps(wanted).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=_UNVERIFIED):
            return ""
    except urllib.error.HTTPError as refused:
        with refused:
            return str(json.load(refused)["message"])
