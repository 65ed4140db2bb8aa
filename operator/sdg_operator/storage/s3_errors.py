"""What a refusal or silence of S3 means, in words that hold neither an answer's body nor a credential."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error, RetriesExceededError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from sdg_operator.storage.store import ObjectNotFound, StorageError, StorageRefused, StorageUnavailable

FAILURES: Final = (Boto3Error, BotoCoreError, ClientError, OSError)
"""Everything that boto3 raises: its transfers have an error class of their own, which is none of botocore's."""

NO_S3: Final = (KeyError, ValueError, RuntimeError)
"""What reading an answer raises that is none of S3's: an element is missing, or is no number or date."""

CUT_OFF: Final = (IncompleteReadError, ResponseStreamingError)
_SILENCE: Final = (HTTPClientError, BotoConnectionError, *CUT_OFF)
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""Reasons of OpenSSL when the other side answers in plain HTTP."""

NODE_ENV: Final = "NODE_NAME"
"""Name of the node, by the downward API: whose clock it is."""
PATH_STYLE_REFUSED: Final = "PathStyleRefused"
_REASONS: Final = {
    "InvalidAccessKeyId": "InvalidCredentials",
    "XAdminUserNotFound": "InvalidCredentials",  # versitygw's word for it
    "SignatureDoesNotMatch": "InvalidCredentials",
    "ExpiredToken": "InvalidCredentials",
    "InvalidToken": "InvalidCredentials",
    "AuthorizationHeaderMalformed": "WrongRegion",
    "PermanentRedirect": "WrongRegion",
    "IllegalLocationConstraintException": "WrongRegion",
    "SecondLevelDomainForbidden": PATH_STYLE_REFUSED,  # Alibaba's word for it
    "PathStyleDomainForbidden": PATH_STYLE_REFUSED,  # Tencent's
    "InvalidPathAccess": PATH_STYLE_REFUSED,  # Volcano Engine's
    "RequestTimeTooSkewed": "ClockSkew",
    "NoSuchBucket": "BucketNotFound",
    "AccessDenied": "AccessDenied",
    "QuotaExceeded": "StoreFull",
    "XMinioStorageFull": "StoreFull",
}
_BUSY: Final = frozenset(
    {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "BadDigest"}
)
_MENDS: Final = {
    "InvalidCredentials": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the storage Secret",
    "WrongRegion": "check AWS_DEFAULT_REGION in the storage Secret",
    "ClockSkew": "the clocks of this cluster and the store differ; set them right",
    PATH_STYLE_REFUSED: "the store wants the bucket's name before the host's, which has to be a name without dots, and "
    "AWS_S3_ENDPOINT the store's own name",
    "BucketNotFound": "check AWS_S3_BUCKET in the storage Secret, or create the bucket",
    "AccessDenied": "grant the key in the storage Secret read, write, list and delete on the bucket",
    "StoreFull": "make room in the bucket, or raise its quota",
}


def translate(what: str, key: str, error: Exception, endpoint: str | None) -> StorageError:
    """Turn what boto3 raised into an error of ours; `what` begins the message."""
    error = _cause(error)
    if isinstance(error, ClientError):
        return _answered(what, key, error)
    if isinstance(error, SSLError):
        return _tls(what, error, endpoint)
    if isinstance(error, _SILENCE):
        return StorageUnavailable("Unreachable", f"{what}: {type(error).__name__} from {host(endpoint)}")
    if isinstance(error, ParamValidationError):
        return StorageRefused("InvalidKey", f"{what}: such a key or bucket name cannot be asked for")
    if isinstance(error, BotoCoreError):
        return StorageRefused(
            "InvalidSettings",
            f"{what}: {type(error).__name__}; check the storage Secret, and that {host(endpoint)} speaks S3",
        )
    return StorageUnavailable("Interrupted", f"{what}: {type(error).__name__}")


def host(endpoint: str | None) -> str:
    """Name an endpoint without anything that might be secret in its address."""
    if endpoint is None:
        return "AWS"
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def no_s3(what: str, endpoint: str | None) -> StorageRefused:
    return StorageRefused(
        "InvalidSettings",
        f"{what}: {host(endpoint)} does not answer as S3 does; check AWS_S3_ENDPOINT and the proxy settings",
    )


def _cause(error: Exception) -> Exception:
    """Return the error that a transfer of boto3 wraps."""
    if isinstance(error, RetriesExceededError):
        return _cause(error.last_exception)  # type: ignore[attr-defined]  # absent from its stubs
    if isinstance(error, Boto3Error) and isinstance(error.__context__, Exception):
        return _cause(error.__context__)
    return error


def _tls(what: str, error: SSLError, endpoint: str | None) -> StorageError:
    """Tell wrong settings from a handshake that was cut off, which a restart of the store does."""
    inner = [each for each in _chain(error) if isinstance(each, ssl.SSLError)]
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in inner):
        return StorageRefused(
            "UntrustedCertificate",
            f"{what}: the certificate of {host(endpoint)} is not trusted, or is of another name; put its CA as ca.crt "
            "into the storage Secret",
        )
    if any(each.reason in _NOT_TLS for each in inner):
        return StorageRefused(
            "NotTls",
            f"{what}: {host(endpoint)} does not speak TLS; write http:// in AWS_S3_ENDPOINT, or mend the store",
        )
    return StorageUnavailable("Unreachable", f"{what}: the TLS handshake with {host(endpoint)} was cut off")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    left = [error]
    while left:
        inner = left.pop()
        if inner is None or inner in seen:
            continue
        seen.append(inner)
        yield inner
        left += [inner.__cause__, inner.__context__, *(arg for arg in inner.args if isinstance(arg, BaseException))]


def _answered(what: str, key: str, error: ClientError) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # HEAD answers have no body, and so no code but the status.
    if code in ("NoSuchKey", "404", "NotFound") and status == 404:
        return ObjectNotFound(key)
    reason = _REASONS.get(code)
    if reason is None and (status >= 500 or status == 429 or code in _BUSY):
        return StorageUnavailable("Unavailable", f"{what}: the store answered {status}")
    reason = reason or ("AccessDenied" if status in (401, 403) else "Refused")
    mend = _MENDS.get(reason, "see the store's own log")
    if reason == "ClockSkew":
        mend = _clocks(error.response, datetime.now(UTC)) or mend
    if reason == "WrongRegion" and (region := _region(error.response)):
        mend = f"the store names region {region}; write it as AWS_DEFAULT_REGION into the storage Secret"
    return StorageRefused(reason, f"{what}: {reason} (HTTP {status}); {mend}")


def _clocks(response: Mapping[str, Any], here: datetime) -> str | None:
    """What both clocks say; None where the store does not tell its own."""
    try:
        there = parsedate_to_datetime(_headers(response)["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
    minutes = round(abs((here - there).total_seconds()) / 60)
    node = os.environ.get(NODE_ENV)
    whose = f"of node {node}" if node else "here"
    return (
        f"the clock {whose} says {here:%Y-%m-%d %H:%M} and the store's {there:%Y-%m-%d %H:%M} (UTC), {minutes} minutes "
        "apart; set the one that is wrong right"
    )


def _region(response: Mapping[str, Any]) -> str | None:
    named = _headers(response).get("x-amz-bucket-region") or str(response.get("Error", {}).get("Region", ""))
    return named if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", named) else None


def _headers(response: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return found
