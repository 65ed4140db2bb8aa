"""The gateway to the API server: what each refusal becomes, and what is asked under which precondition."""

import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.apiserver import ApiAccess
from sdg_operator.api import API_VERSION
from sdg_operator.clients.kubernetes import KubernetesApi, connect
from sdg_operator.clients.login import LoginFailed
from sdg_operator.clients.protocols import (
    AlreadyExists,
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    Resource,
    Unavailable,
)
from tests.git.proxy import tunnel_proxy


@pytest.fixture
async def api(api_server: ApiAccess) -> AsyncIterator[KubernetesApi]:
    async with connect(api_server.kubeconfig) as found:
        yield found


def job(name: str, **labels: str) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/c:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"suspend": True, "template": template},
    }


def taxonomy(name: str) -> dict[str, Any]:
    spec = {"source": {"bucket": {"key": "taxonomy.tar.gz"}}}
    return {"apiVersion": API_VERSION, "kind": "Taxonomy", "metadata": {"name": name}, "spec": spec}


async def test_what_is_not_there_is_not_found(api: KubernetesApi, namespace: str) -> None:
    with pytest.raises(NotFound, match="none"):
        await api.get(Resource.JOBS, namespace, "none")


async def test_a_name_that_is_taken_is_told_from_a_conflict(api: KubernetesApi, namespace: str) -> None:
    await api.create(Resource.JOBS, namespace, job("one"))
    with pytest.raises(AlreadyExists):
        await api.create(Resource.JOBS, namespace, job("one"))


@pytest.mark.parametrize(("exempt", "tunnels"), [("localhost", 1), ("127.0.0.1", 0)])
async def test_the_environments_proxy_is_on_the_way_unless_it_is_exempt(
    api_server: ApiAccess, namespace: str, monkeypatch: pytest.MonkeyPatch, exempt: str, tunnels: int
) -> None:
    with tunnel_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exempt)
        async with connect(api_server.kubeconfig) as through:
            await through.list(Resource.JOBS, namespace)
        assert [target for target, _ in proxy.seen] == [api_server.url.removeprefix("https://")] * tunnels


async def test_a_webhook_that_does_not_answer_is_told_from_a_server_that_does_not(
    api: KubernetesApi, api_server: ApiAccess, namespace: str
) -> None:
    webhook = {
        "name": "jobs.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}],
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"away-{namespace}"},
        "webhooks": [webhook],
    }
    api_server.kubectl("apply", "--filename=-", stdin=json.dumps(body))
    end = time.monotonic() + 120
    found: Unavailable | None = None
    while found is None:  # the API server takes note of a webhook a moment later
        assert time.monotonic() < end, "the webhook is never asked"
        try:
            await api.create(Resource.JOBS, namespace, job(f"try-{time.monotonic_ns()}"))
        except Unavailable as error:
            found = error
    assert found.webhook
    assert 'failed calling webhook "jobs.example.com"' in found.message


async def test_a_status_that_rests_on_an_older_object_is_a_conflict(api: KubernetesApi, namespace: str) -> None:
    seen = await api.create(Resource.TAXONOMIES, namespace, taxonomy("birds"))
    newer = await api.replace_status(Resource.TAXONOMIES, {**seen, "status": {"state": "running"}})
    assert newer["status"]["state"] == "running"
    with pytest.raises(Conflict) as raised:
        await api.replace_status(Resource.TAXONOMIES, {**seen, "status": {"state": "failed"}})
    assert not isinstance(raised.value, AlreadyExists)


async def test_an_object_of_an_earlier_life_is_neither_deleted_nor_patched(api: KubernetesApi, namespace: str) -> None:
    earlier = (await api.create(Resource.JOBS, namespace, job("one")))["metadata"]["uid"]
    await api.delete(Resource.JOBS, namespace, "one", uid=earlier)
    later = (await api.create(Resource.JOBS, namespace, job("one")))["metadata"]["uid"]
    with pytest.raises(Conflict):
        await api.delete(Resource.JOBS, namespace, "one", uid=earlier)
    with pytest.raises(Conflict):
        await api.patch(Resource.JOBS, namespace, "one", {"metadata": {"uid": earlier, "labels": {"a": "b"}}})
    found = await api.get(Resource.JOBS, namespace, "one")
    assert (found["metadata"]["uid"], found["metadata"].get("labels", {}).get("a")) == (later, None)


async def test_what_the_schema_forbids_is_refused_in_the_servers_words(api: KubernetesApi, namespace: str) -> None:
    body = taxonomy("birds") | {"spec": {"source": {}}}
    with pytest.raises(Refused, match="set exactly one of bucket and git"):
        await api.create(Resource.TAXONOMIES, namespace, body)


async def test_quota_is_told_from_missing_rights(
    api: KubernetesApi, api_server: ApiAccess, namespace: str, tmp_path: Path
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    api_server.kubectl("apply", "--namespace", namespace, "--filename=-", stdin=json.dumps(quota))
    status = "jsonpath={.status.hard}"
    api_server.kubectl("wait", f"--for={status}", "resourcequota/none", "--namespace", namespace, "--timeout=120s")
    with pytest.raises(Forbidden) as raised:
        await api.create(Resource.JOBS, namespace, job("one"))
    assert raised.value.quota
    config = json.loads(api_server.kubeconfig.read_text())
    api_server.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", namespace, "--timeout=120s")
    token = api_server.kubectl("create", "token", "default", "--namespace", namespace).strip()
    config["users"][0]["user"] = {"token": token}
    poor = tmp_path / "kubeconfig"
    poor.write_text(json.dumps(config))
    async with connect(poor) as without:
        with pytest.raises(Forbidden) as refused:
            await without.create(Resource.JOBS, namespace, job("one"))
    assert not refused.value.quota


async def test_a_list_comes_page_by_page_and_by_selectors(api: KubernetesApi, namespace: str) -> None:
    for number in range(5):
        await api.create(Resource.JOBS, namespace, job(f"j{number}", odd=str(number % 2)))
    pages = [len(page) async for page in api.pages(Resource.JOBS, namespace, limit=2)]
    assert pages == [2, 2, 1]
    assert len(await api.list(Resource.JOBS, namespace, label_selector="odd=1")) == 2
    assert len(await api.list(Resource.JOBS, namespace, field_selector="metadata.name=j3")) == 1


async def test_a_secret_is_read_as_text(api: KubernetesApi, api_server: ApiAccess, namespace: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "data": {"text": "YWJj", "binary": "/w=="},
    }
    api_server.kubectl("apply", "--filename=-", stdin=json.dumps(body))
    assert await api.secret(namespace, "s") == {"text": "abc"}


async def test_a_token_that_has_run_out_is_read_again(api_server: ApiAccess, tmp_path: Path) -> None:
    """As an exec plug-in or a tool that rewrites the kubeconfig does it."""
    config = json.loads(api_server.kubeconfig.read_text())
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    async with connect(file) as api:
        api._configuration.api_key["BearerToken"] = "Bearer out-of-date"
        api._logged_in -= 60
        assert "gitVersion" in await api.raw("/version")


@pytest.mark.deep
@pytest.mark.parametrize("listening", [False, True])
async def test_a_server_that_does_not_answer_is_unavailable_in_words(tmp_path: Path, listening: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not listening:
            server.close()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(config))
        async with connect(file) as api:
            with pytest.raises(Unavailable, match=address):
                await api.raw("/version")


async def test_a_kubeconfig_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoginFailed, match="no-such-file"):
        async with connect(tmp_path / "no-such-file"):
            pass
