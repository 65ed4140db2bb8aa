"""A small client for admission tests: create, replace and delete objects of ours, each answer a message or none."""

import json
from typing import Any

from kubernetes import client

from hack.cluster.apiserver import ApiAccess
from sdg_operator.api import API_VERSION, GROUP, VERSION
from sdg_operator.api.kinds import KINDS

PLURALS = {kind.name: kind.plural for kind in KINDS}


class Kube:
    """Talks to the test session's API server as the administrator, strict about unknown fields as kubectl is."""

    def __init__(self, server: ApiAccess, namespace: str) -> None:
        # Not by the kubeconfig: it skips verification, and urllib3 warns of that.
        configuration = client.Configuration(
            host=server.url,
            api_key={"authorization": f"Bearer {server.token}"},
            ssl_ca_cert=str(server.folder / "certs" / "apiserver.crt"),
        )
        self._client = client.ApiClient(configuration)
        self._api = client.CustomObjectsApi(self._client)
        self.namespace = namespace

    def create(self, kind: str, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object; raises `Refused` with the API server's words."""
        return self._call(
            self._api.create_namespaced_custom_object,
            kind,
            body={"apiVersion": API_VERSION, "kind": kind, **body},
            field_validation="Strict",
            **({"dry_run": "All"} if dry_run else {}),
        )

    def replace(self, kind: str, current: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Ask whether an object's spec could be replaced (dry run); raises `Refused` with the API server's words."""
        return self._call(
            self._api.replace_namespaced_custom_object,
            kind,
            name=current["metadata"]["name"],
            body={**current, "spec": spec},
            field_validation="Strict",
            dry_run="All",
        )

    def delete(self, kind: str, current: dict[str, Any]) -> None:
        self._call(self._api.delete_namespaced_custom_object, kind, name=current["metadata"]["name"])

    def _call(self, method: Any, kind: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = method(
                group=GROUP, version=VERSION, namespace=self.namespace, plural=PLURALS[kind], **arguments
            )
        except client.ApiException as error:
            if error.status not in {400, 422}:
                raise
            raise Refused(json.loads(error.body or "")["message"]) from None
        return answer


class Refused(Exception):
    """The API server does not take an object; its words."""
