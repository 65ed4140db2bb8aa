"""Finding the API server and proving who we are: a kubeconfig, or the pod's own service account."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

_CONNECTIONS: Final = 64


class LoginFailed(Exception):
    """There is no usable kubeconfig, and this is no pod with a service account. The message says what was tried."""


async def log_in(kubeconfig: Path | None) -> Configuration:
    """Read how to reach the API server. Short-lived tokens are read again by the library or by the next call of this.

    An explicit kubeconfig wins, then ``$KUBECONFIG``, then the pod's service account, then ``~/.kube/config``.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    path = kubeconfig or _from_environment()
    try:
        if path is None:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            # persist_config=False: an operator never rewrites its owner's kubeconfig.
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(path),
                client_configuration=configuration,
                persist_config=False,
            )
    except (kube_config.ConfigException, OSError, yaml.YAMLError, KeyError) as error:
        where = str(path) if path else "the pod's service account"
        raise LoginFailed(f"cannot log in to the API server with {where}: {error}") from error
    # A session that trusts the environment looks for ~/.netrc, in a thread, before each call.
    configuration.client_session_kwargs = {"trust_env": False}
    # A pod reaches its own API server directly, whatever its environment says of the way to all else.
    configuration.proxy = configuration.proxy or (_proxy(configuration.host) if path else None)
    return configuration


def _proxy(server: str) -> str | None:
    """The proxy on the way to the API server by HTTPS_PROXY and NO_PROXY; a kubeconfig's own comes before it."""
    address = urlsplit(server)
    # NO_PROXY may name a host with its port, or an IPv6 address without the brackets that a URL has.
    exempt = proxy_bypass(address.netloc) or proxy_bypass(address.hostname or "")
    return None if exempt else getproxies().get(address.scheme)


def _from_environment() -> Path | None:
    """The kubeconfig that is meant where none is named; None in a pod."""
    if named := os.environ.get("KUBECONFIG", ""):
        return Path(named)
    return None if "KUBERNETES_SERVICE_HOST" in os.environ else Path("~/.kube/config").expanduser()


async def authorization(configuration: Configuration) -> str | None:
    """Value of the Authorization header now; the library re-reads a service account's token as it ages."""
    return await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
