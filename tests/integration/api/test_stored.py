"""What an API server has stored with the CRDs of an earlier release is valid with ours, and read as it was."""

import json

import pytest

from hack.cluster.apiserver import ApiAccess
from sdg_operator.api.kinds import KINDS
from tests.integration.api.kube import Kube
from tests.integration.api.storing import STORED, ask_etcd, key_of

OBJECTS = {
    f"{release.stem}-{item['metadata']['name']}": item
    for release in sorted(STORED.glob("*.json"))
    for item in json.loads(release.read_text())
}
MODELS = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize("name", OBJECTS)
def test_is_read_as_it_was_and_can_be_written_again(api_server: ApiAccess, kube: Kube, name: str) -> None:
    stored = OBJECTS[name]
    kind = MODELS[stored["kind"]]
    found = {**stored, "metadata": {**stored["metadata"], "name": name.replace(".", "-"), "namespace": kube.namespace}}
    ask_etcd(api_server, "put", key=key_of(found, kind.plural, kube.namespace), value=json.dumps(found))

    read = json.loads(
        api_server.kubectl("get", kind.plural, found["metadata"]["name"], "-n", kube.namespace, "-o", "json")
    )
    assert read["spec"] == stored["spec"]
    assert read["status"] == stored["status"]
    assert kube.replace(kind.name, read, read["spec"])["metadata"]["generation"] == stored["metadata"]["generation"]
    written = json.loads(
        api_server.kubectl(
            "replace", "--subresource=status", "-n", kube.namespace, "-o", "json", "-f-", stdin=json.dumps(read)
        )
    )
    assert written["status"] == stored["status"]


@pytest.mark.parametrize("name", OBJECTS)
def test_is_read_by_the_operator_without_loss(name: str) -> None:
    stored = OBJECTS[name]
    kind = MODELS[stored["kind"]]
    for part, model in (("spec", kind.spec), ("status", kind.status)):
        read = model.model_validate(stored[part])
        assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == stored[part]
