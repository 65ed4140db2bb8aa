"""What a Git server's first answer, or its silence, means for the taxonomy's author. Pure."""

import http.client
import re
import ssl
from typing import Final

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.request import GitCredential
from sdg_operator.taxonomy.tree import harmless

_ADVERTISEMENT: Final = "application/x-git-upload-pack-advertisement"
_PAGE: Final = re.compile(
    r"(?P<repository>/.*?[^/])/(?:-/)?(?:tree|blob|raw|src/branch|src/tag|src/commit)/(?P<rest>[^/]+.*)"
)
_WORDS: Final = 200
_BY_CERTIFICATE: Final = {
    9: "it is not valid yet: compare the clocks of both machines",
    10: "whoever runs the server must renew it",
    62: "it was made for other hosts: use the name that it has",
}
"""What to do, by OpenSSL's code for why a certificate is refused."""
_AUTHORITY: Final = (
    "give its authority in the CA bundle (proxy.caConfigMap of the settings; sdg taxonomy check: --ca-file)"
)


def judge(url: GitUrl, credential: GitCredential | None, status: int, content_type: str) -> None:
    """Take an answer that is no redirect. Raises `CheckError` with reason CloneFailed unless it is a repository's."""
    if status == 200:
        if content_type.partition(";")[0].strip() == _ADVERTISEMENT:
            return
        message = f"{url} answers, but is not a Git repository (or a server without Git's smart protocol)"
        raise CheckError("CloneFailed", message + _of_page(url))
    if status in {401, 403}:
        raise CheckError("CloneFailed", _refused(url, credential, status))
    if status in {404, 410}:
        hint = f", or the credentials given for {credential.url_prefix} may not read it" if credential else ""
        private = "" if credential else ", or it is private and needs credentials"
        raise CheckError("CloneFailed", f"{url} does not exist ({status}){hint or private}{_of_page(url)}")
    raise CheckError("CloneFailed", f"{url} answers {status}", retriable=status == 429 or status >= 500)


def no_answer(url: GitUrl, error: OSError | http.client.HTTPException) -> CheckError:
    """Explain why there was no answer to a request."""
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = _BY_CERTIFICATE.get(error.verify_code, _AUTHORITY)
        message = f"the certificate of {url.host} is not trusted ({harmless(error.verify_message, _WORDS)}); {advice}"
        return CheckError("CloneFailed", message)
    if isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        return CheckError("CloneFailed", f"{url.host} does not speak TLS (https://) at port {url.port}; check the URL")
    words = harmless(str(error), _WORDS)
    message = f"{url.host} does not answer ({error.__class__.__name__}: {words})"
    return CheckError("CloneFailed", message, retriable=True)


def _refused(url: GitUrl, credential: GitCredential | None, status: int) -> str:
    if credential:
        return f"{url} refuses the credentials given for {credential.url_prefix} ({status})"
    if url.scheme == "http":
        return f"{url} asks for credentials ({status}), and none are ever sent over plain http; use https://"
    return f"{url} asks for credentials ({status}), and none are given for it; name a Secret in spec.credentials"


def _of_page(url: GitUrl) -> str:
    """Say what to write in place of the URL of a page that shows a folder or file."""
    page = _PAGE.fullmatch(url.path)
    if page is None:
        return ""
    repository = url.at(page["repository"])
    return f"; it looks like a page for reading: write repo {repository}, and what follows it in commit and patterns"
