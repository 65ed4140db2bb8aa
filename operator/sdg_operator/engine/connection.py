"""One exchange with the teacher over HTTP: what goes out, and what an answer, a refusal or a failure means."""

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from sdg_operator.engine.access import invalid_settings
from sdg_operator.engine.trouble import Kind, Trouble, refusal, without
from sdg_operator.engine.wire import PATHS, Answer, Prompt, parse, served_models

_CONNECT_SECONDS: Final = 15
_LONG_SECONDS: Final = 20
"""A connection that is lost before that is not lost because the answer took too long."""
_LISTING_SECONDS: Final = 10
_MAX_ANSWER_BYTES: Final = 64 << 20


class Connection:
    """Everything is called in one event loop, which `open` is called in too."""

    def __init__(self, token_file: Path | None, ca_file: Path | None) -> None:
        self._token_file = token_file
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession

    async def open(self) -> None:
        """Raises EngineFailure where the CA file cannot be used."""
        tls = None
        if self._ca_file is not None:
            try:
                tls = ssl.create_default_context(cafile=str(self._ca_file))
            except (OSError, ssl.SSLError) as error:
                raise invalid_settings(f"the teacher's CA file cannot be used: {error}") from error
        connector = aiohttp.TCPConnector(limit=0, ssl=tls if tls is not None else True)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=True)

    async def close(self) -> None:
        await self._session.close()

    def token(self) -> str | None:
        """Read the token anew: it may have been rotated. Raises Trouble (``token``) where it cannot be sent."""
        if self._token_file is None:
            return None
        try:
            token = self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is no text"
            raise Trouble("token", f"the teacher's token file cannot be read: {problem}") from None
        if any(not "!" <= character <= "~" for character in token):
            raise Trouble("token", "the teacher's token must be one word of printable ASCII")
        return token or None

    def has_other_token(self, used: str | None) -> bool:
        """Whether the token is another than the one that was `used`."""
        try:
            return used != self.token()
        except Trouble:
            return False

    async def post(self, base: URL, prompt: Prompt, body: Mapping[str, Any], seconds: float) -> Answer:
        """Send a request for the choices that `body` says, and read its answer. Redirects are not followed.

        Raises Trouble.
        """
        token = self.token()
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        began = time.monotonic()
        try:
            async with self._session.post(
                base / PATHS[prompt.api], json=body, headers=_headers(token), allow_redirects=False, timeout=limit
            ) as response:
                content = await _bounded(response.content)
                if response.status == 200:
                    return parse(prompt, content, int(body.get("n") or 1), token)
                raise refusal(response.status, response.headers, content, token)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _trouble(error, seconds, time.monotonic() - began, token) from error

    async def served(self, base: URL) -> tuple[str, ...]:
        """Return the names of some models that are served; none where that cannot be found out."""
        limit = aiohttp.ClientTimeout(total=_LISTING_SECONDS)
        try:
            token = self.token()
            async with self._session.get(
                base / "models", headers=_headers(token), allow_redirects=False, timeout=limit
            ) as response:
                names = served_models(await _bounded(response.content)) if response.status == 200 else ()
        except (aiohttp.ClientError, OSError, Trouble):
            return ()
        return tuple(without(token, name) for name in names)


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _trouble(error: Exception, limit: float, lasted: float, token: str | None) -> Trouble:
    """Say what a failure means, after so many seconds. The order matters: some of these are kinds of others."""
    kind: Kind = "away"
    message = f"{type(error).__name__}: {error}"
    match error:
        case aiohttp.ConnectionTimeoutError():
            message = f"no connection within {_CONNECT_SECONDS} s"
        case TimeoutError():
            kind, message = "silent", f"no answer within {limit:.0f} s"
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or "its name does not match"
            kind = "refused"
            message = f"the teacher's certificate is not trusted ({why}); its authority belongs into ca.crt"
        case aiohttp.ClientHttpProxyError():
            kind = "refused" if error.status in {403, 407} else "away"
            message = f"the proxy says HTTP {error.status}"
        case aiohttp.ClientConnectorSSLError():
            kind, message = "refused", "the address says https, and what is there does not speak TLS"
        case aiohttp.ClientConnectorError():
            pass
        case (
            aiohttp.ServerDisconnectedError()
            | aiohttp.ClientPayloadError()
            | aiohttp.ClientOSError()
            | ConnectionError()
        ):
            # Sooner it is a server that ends, and not a gateway that has waited for long enough.
            kind = "cut" if lasted >= _LONG_SECONDS else "away"
            message = f"the connection was lost before the answer was whole ({type(error).__name__})"
    return Trouble(kind, without(token, message), token=token)


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for part in stream.iter_any():
        content += part
        if len(content) > _MAX_ANSWER_BYTES:
            raise Trouble("prompt", f"an answer has more than {_MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)
