"""A look that takes too long is said, not passed over in silence."""

from datetime import datetime

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.api import API_VERSION
from sdg_operator.api.datageneration import DataGenerationStatus
from sdg_operator.api.settings import Settings
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.protocols import Json
from sdg_operator.clients.stores import SecretStores
from sdg_operator.controller import datageneration
from sdg_operator.controller.datageneration import DataGenerationReconciler
from sdg_operator.reconcile.names import Key
from sdg_operator.reconcile.plan import Event
from tests.integration.controller.objects import apply, get, storage_secret
from tests.integration.controller.operators import SETTINGS


async def test_a_look_that_takes_too_long_is_said_in_the_status(
    api_server: ApiAccess,
    namespace: str,
    s3_server: S3Access,
    bucket: str,
    silent_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage_secret(api_server, namespace, s3_server, bucket, AWS_S3_ENDPOINT=silent_endpoint)
    spec = {"dataSources": [{"skillsKey": f"files/{number}.jsonl"} for number in range(20)]}
    meta = {"name": "merge", "namespace": namespace}
    apply(api_server, {"apiVersion": API_VERSION, "kind": "DataGeneration", "metadata": meta, "spec": spec})
    monkeypatch.setattr(datageneration, "LOOK_SECONDS", 1.0)

    async def publish(body: Json, event: Event) -> None: ...

    def want_check(taxonomy: Key, created: datetime) -> None: ...

    def ended(created: datetime, status: DataGenerationStatus) -> None: ...

    async with connect(api_server.kubeconfig) as api:
        stores = SecretStores(api)
        settings = Settings.model_validate(SETTINGS)
        reconciler = DataGenerationReconciler(
            api, stores, settings, publish=publish, want_check=want_check, ended=ended
        )
        try:
            again = await reconciler.reconcile(Key("DataGeneration", namespace, "merge"))
        finally:
            stores.close()
    (found,) = get(api_server, "datagenerations", namespace)["items"]
    assert again is not None
    assert found["status"]["state"] == "queued"
    assert "took longer than 1 s" in found["status"]["message"]
