"""What answers of S3 say, read without trusting that S3 gave them."""

import threading
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from sdg_operator.storage.store import ObjectInfo, StorageUnavailable

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_BLOCK: Final = 64 * 2**10
_KEY_BYTES: Final = 1024
"""No store of S3's kind takes a longer key, and what ours write are shorter; a hostile one may list any."""
_ETAG_CHARACTERS: Final = 256


class Page(NamedTuple):
    listed: list[ObjectInfo]
    more: bool
    token: str | None
    """By which to ask for more."""


def page_of(s3: "S3Client", bucket: str, prefix: str, start: Mapping[str, str]) -> Page:
    page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **start)  # type: ignore[arg-type]  # one of two strings
    # boto3 reads any XML, also a proxy's page, as a listing without objects: then this is missing.
    more = page["IsTruncated"]
    listed = [ObjectInfo(item["Key"], item["Size"], etag_of(item.get("ETag"))) for item in page.get("Contents", ())]
    ours = [info for info in listed if info.key.startswith(prefix) and len(info.key.encode()) <= _KEY_BYTES]
    return Page(ours, more, page.get("NextContinuationToken"))


def ask_for_no_region(**_: object) -> None:
    """Refuse the HEAD of the bucket by which botocore, redirected to a region that is not named, would look for it: if
    that is redirected too, it asks again until the stack is full."""
    raise ClientError({"ResponseMetadata": {"HTTPHeaders": {}}}, "HeadBucket")  # type: ignore[typeddict-item]


def without_weak_condition(params: dict[str, Any], **_: object) -> None:
    """A large file is read in parts, each if it still has the ETag of the first; a weak one never counts."""
    if str(params.get("IfMatch", "")).startswith("W/"):
        del params["IfMatch"]


def etag_of(said: str | None, changed: datetime | None = None) -> str:
    """Some stores and proxies call it weak, or give none: then the time of the change has to do."""
    return (said or "").removeprefix("W/").strip('"')[:_ETAG_CHARACTERS] or (
        f"{changed:%Y%m%dT%H%M%SZ}" if changed else ""
    )


class AtMost:
    """Counts the bytes of an object as they arrive, in several threads, and stops a store that sends more than it said.

    Its counts are those of boto3, which takes back what it asks for again.
    """

    def __init__(self, key: str, size: int) -> None:
        self._key, self._size, self._seen = key, size, 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self._seen += count
            if self._seen > self._size:
                raise other_size(self._key, self._size)


def other_size(key: str, size: int) -> StorageUnavailable:
    return StorageUnavailable("Interrupted", f"object {key!r} has {size} bytes by a look at it, and others were sent")


def read_of(body: "StreamingBody", limit: int) -> bytes:
    """Read to the end or to `limit`. Only a read at the end makes boto3 notice that an answer was cut off."""
    content = BytesIO()  # gives what it has without a copy
    while (left := limit - content.tell()) > 0 and (block := body.read(min(left, _BLOCK))):
        content.write(block)
    return content.getvalue()
