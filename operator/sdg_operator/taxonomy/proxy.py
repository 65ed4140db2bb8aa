"""The proxy that the environment names for a URL (HTTPS_PROXY, NO_PROXY), as every other program reads it."""

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that makes tunnels (CONNECT)."""

    url: str
    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)


def proxy_for(url: GitUrl) -> Proxy | None:
    """Give the proxy for a URL; None for a direct connection. Raises `CheckError` when the setting is no URL."""
    setting = getproxies().get(url.scheme)
    if not setting or proxy_bypass(f"{url.host}:{url.port}") or proxy_bypass(url.host):
        return None
    parts = urlsplit(setting if "://" in setting else f"http://{setting}")
    if parts.scheme != "http" or not parts.hostname:
        raise CheckError("CloneFailed", "the proxy in HTTPS_PROXY is not an http:// URL; the administrator sets it")
    headers = {}
    if parts.username:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    return Proxy(parts.geturl(), parts.hostname, parts.port or 80, headers)
