"""Which proxy is on the way to the API server."""

from pathlib import Path

import pytest
import yaml
from kubernetes.aio.config import incluster_config

from sdg_operator.clients.login import log_in

PROXY = "http://proxy.example.com:3128"
OWN = "http://own.example.com:3128"


@pytest.mark.parametrize(
    ("server", "exempt", "own", "want"),
    [
        ("https://api.example.com:6443", "", None, PROXY),
        ("https://api.example.com:6443", ".example.com", None, None),
        ("https://api.example.com:6443", "api.example.com:6443", None, None),
        ("https://api.example.com:6443", "api.example.com:443", None, PROXY),
        ("https://[fd00::1]:443", "fd00::1", None, None),
        ("https://[fd00::1]:443", "fd00::2", None, PROXY),
        ("https://api.example.com:6443", ".example.com", OWN, OWN),
    ],
)
async def test_the_proxy_is_the_kubeconfigs_own_or_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, exempt: str, own: str | None, want: str | None
) -> None:
    for name in ("https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exempt)
    cluster = {"server": server, **({"proxy-url": own} if own else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert (await log_in(tmp_path / "config")).proxy == want


async def test_a_pod_asks_its_own_api_server_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in (("SERVICE_TOKEN_FILENAME", "token"), ("SERVICE_CERT_FILENAME", "ca.crt")):
        (tmp_path / file).write_text("t")
        monkeypatch.setattr(incluster_config, name, str(tmp_path / file))
    for name in ("KUBECONFIG", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    given = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "HTTPS_PROXY": PROXY}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    configuration = await log_in(None)
    assert (configuration.host, configuration.proxy) == ("https://10.96.0.1:443", None)
