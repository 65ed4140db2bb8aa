"""A bucket of any S3-compatible store, through boto3."""

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from sdg_operator.storage.listing import Progress
from sdg_operator.storage.s3_answers import (
    AtMost,
    ask_for_no_region,
    etag_of,
    other_size,
    page_of,
    read_of,
    without_weak_condition,
)
from sdg_operator.storage.s3_errors import CUT_OFF, FAILURES, NO_S3, PATH_STYLE_REFUSED, host, no_s3, translate
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import (
    ObjectInfo,
    ObjectNotFound,
    ObjectTooLarge,
    StorageRefused,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedMultipartUploadTypeDef

T = TypeVar("T")

_LOOKS_AFTER_SECONDS = (0.0, 1.0, 2.0)
"""A store may be a moment late to show or list what it took, and to forget what was deleted."""


def soon(true: Callable[[], bool]) -> bool:
    """Look a few times whether it has come true."""
    for pause in _LOOKS_AFTER_SECONDS:
        time.sleep(pause)
        if true():
            return True
    return False


_SESSION_LOCK = threading.Lock()


@cache
def _session() -> boto3.session.Session:
    """One for all clients: with a session of its own each would read, and keep, 13 MB of descriptions of S3."""
    return boto3.session.Session()


class S3Store:
    """One bucket. Thread-safe; holds a client and its bounded pool of connections.

    `reload` gives the settings anew after the store refused them, so that rotated credentials are taken up.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        timeout_seconds: float = 30,
        attempts: int = 4,
        threads: int = 8,
        reload: Callable[[], S3Settings] | None = None,
        ca_folder: Path | None = None,
        prepare: Callable[["S3Client"], None] = lambda _: None,
    ) -> None:
        """`prepare` is given each client before its first call."""
        self._settings = settings
        self._reload = reload
        self._ca_folder = ca_folder
        self._prepare = prepare
        self._attempts = attempts
        self._lock = threading.Lock()
        # One name, and one certificate, for all buckets; stores that refuse it say so.
        self._by_host = False
        self._config = Config(
            connect_timeout=min(timeout_seconds, 10),
            read_timeout=timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=threads,
            signature_version="s3v4",
            # Bodies are guarded by the sha256 in the signature, which every store checks. boto3's own default, trailing
            # checksums in "aws-chunked" bodies, is refused by stores older than 2025.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._transfer = TransferConfig(max_concurrency=threads, multipart_chunksize=16 * 2**20)
        self._client = self._connect(settings)

    @classmethod
    def from_folder(cls, folder: Path, *, ca_folder: Path | None = None, timeout_seconds: float = 30) -> "S3Store":
        """A store whose Secret is mounted at `folder`; its files are read again when the store refuses them."""

        def load() -> S3Settings:
            return S3Settings.from_folder(folder)

        return cls(load(), reload=load, ca_folder=ca_folder, timeout_seconds=timeout_seconds)

    @property
    def bucket(self) -> str:
        return self._settings.bucket

    def close(self) -> None:
        """Close the connections that are kept for later calls."""
        self._client.close()

    def put_bytes(self, key: str, body: bytes) -> None:
        answer = self._call("write", key, lambda s3: s3.put_object(Bucket=self.bucket, Key=key, Body=body))
        if not answer.get("ETag"):
            self._see(key, len(body))

    def put_file(self, key: str, path: Path) -> None:
        size = path.stat().st_size
        self._call("write", key, lambda s3: s3.upload_file(str(path), self.bucket, key, Config=self._transfer))
        self._see(key, size)

    def _see(self, key: str, size: int) -> None:
        """Make sure that an object has arrived: a proxy's page is a 200, too, and an upload in parts may end in one."""

        if soon(lambda: (info := self.head(key)) is not None and info.size == size):
            return
        found = self.head(key)
        what = f"it has {found.size} bytes instead of {size}" if found else "it is not there"
        raise StorageUnavailable("NotStored", f"{host(self._settings.endpoint)} said that it took {key!r}, but {what}")

    def get_bytes(self, key: str, max_bytes: int) -> bytes:
        def read(s3: "S3Client") -> bytes:
            answer = s3.get_object(Bucket=self.bucket, Key=key)
            # Not `with answer["Body"]`: that gives the raw stream, without boto3's check that all has arrived.
            with closing(answer["Body"]) as body:
                # A store need not tell a length, nor the truth about it.
                size = answer.get("ContentLength", 0)
                content = b"" if size > max_bytes else read_of(body, max_bytes + 1)
            if max(size, len(content)) > max_bytes:
                raise ObjectTooLarge(key, max(size, len(content)), max_bytes)
            return content

        return self._read(key, read)

    def get_start(self, key: str, length: int) -> bytes:
        def read(s3: "S3Client") -> bytes:
            # Bounded by what is read, not by a Range: an empty object has none, and a store may ignore it.
            with closing(s3.get_object(Bucket=self.bucket, Key=key)["Body"]) as body:
                return read_of(body, length)

        return self._read(key, read)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        wanted = f"bytes={start}-{start + length - 1}"

        def read(s3: "S3Client") -> bytes:
            answer = s3.get_object(Bucket=self.bucket, Key=key, Range=wanted)
            with closing(answer["Body"]) as body:
                if start and not answer["ContentRange"].startswith(f"bytes {start}-"):
                    raise ValueError("another part of the object")
                return read_of(body, length)

        return self._read(key, read)

    def _read(self, key: str, read: Callable[["S3Client"], bytes]) -> bytes:
        """Ask again for an answer that was cut off, as boto3 does only until its body begins."""
        for left in reversed(range(self._attempts)):
            try:
                return self._call("read", key, read)
            except StorageUnavailable as cut:
                if not left or not isinstance(cut.__cause__, CUT_OFF):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def begin_upload(self, key: str) -> str:
        return self._call("write", key, lambda s3: s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"])

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        def write(s3: "S3Client") -> str:
            return s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]

        return self._call("write", key, write)

    def finish_upload(self, key: str, upload: str, parts: Sequence[str]) -> None:
        whole: CompletedMultipartUploadTypeDef = {
            "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(parts, start=1)]
        }

        def finish(s3: "S3Client") -> None:
            s3.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload=whole)

        self._call("write", key, finish)

    def drop_upload(self, key: str, upload: str) -> None:
        self._call("delete", key, lambda s3: s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload))

    def get_file(self, key: str, path: Path, max_bytes: int | None = None) -> None:
        info = self.head(key)
        if info is None:
            raise ObjectNotFound(key)
        if max_bytes is not None and info.size > max_bytes:
            raise ObjectTooLarge(key, info.size, max_bytes)
        part = path.with_name(path.name + ".part")

        def read(s3: "S3Client") -> None:
            arrived = AtMost(key, info.size)
            s3.download_file(self.bucket, key, str(part), Config=self._transfer, Callback=arrived)

        self._call("read", key, read)
        if part.stat().st_size != info.size:
            part.unlink()
            raise other_size(key, info.size)
        part.replace(path)

    def head(self, key: str) -> ObjectInfo | None:
        def look(s3: "S3Client") -> ObjectInfo:
            answer = s3.head_object(Bucket=self.bucket, Key=key)
            return ObjectInfo(key, answer["ContentLength"], etag_of(answer.get("ETag"), answer.get("LastModified")))

        try:
            return self._call("look at", key, look)
        except ObjectNotFound:
            self._ask_why(key)  # if there is one, it was written just now: the next look will find it
            return None
        except StorageRefused:
            if not self._ask_why(key):
                return None
            # The answer may have told how the store wants to be asked: by another region or form of address.
            return self._call("look at", key, look)

    def _ask_why(self, key: str) -> bool:
        """Raise the reason of a refusal by asking again by GET: the answer to a HEAD has no body, and so cannot tell an
        absent bucket from an absent object, nor a wrong key from one without rights. Else whether the object exists."""
        try:
            self._call("look at", key, lambda s3: s3.get_object(Bucket=self.bucket, Key=key)["Body"].close())
        except ObjectNotFound:
            return False
        return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        progress = Progress()
        while True:
            page = self._call("list", prefix, lambda s3: page_of(s3, self.bucket, prefix, progress.start))
            yield from progress.new_of(page.listed)
            if not page.more:
                return
            if not progress.goes_on(page.listed, page.token):
                raise StorageUnavailable(
                    "EndlessListing",
                    f"could not list {prefix!r} in bucket {self.bucket!r}: {host(self._settings.endpoint)} says that "
                    "there is more and gives the same again and again; see the store's own log",
                )

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda s3: s3.delete_object(Bucket=self.bucket, Key=key))

    def _call(self, verb: str, key: str, call: Callable[["S3Client"], T]) -> T:
        client = self._client
        try:
            return self._once(verb, key, call, client)
        except ObjectNotFound:
            raise
        except StorageRefused as refused:
            fresh = self._refreshed(client) or self._otherwise_addressed(client, refused)
            if fresh is None:
                raise
            return self._once(verb, key, call, fresh)

    def _once(self, verb: str, key: str, call: Callable[["S3Client"], T], client: "S3Client") -> T:
        try:
            return call(client)
        except FAILURES as error:
            raise translate(self._what(verb, key), key, error, self._settings.endpoint) from error
        except NO_S3 as error:
            raise no_s3(self._what(verb, key), self._settings.endpoint) from error

    def _what(self, verb: str, key: str) -> str:
        return f"could not {verb} {key!r} in bucket {self.bucket!r}"

    def _refreshed(self, refused: "S3Client") -> "S3Client | None":
        """A client with changed credentials, or None if nothing has changed since `refused` was made."""
        if self._reload is None:
            return None
        with self._lock:
            if self._client is not refused:
                return self._client
            try:
                settings = self._reload()
            except OSError:  # the kubelet is swapping the files at this very moment
                return None
            if settings == self._settings:
                return None
            self._settings = settings
            self._client = self._connect(settings)
            return self._client

    def _otherwise_addressed(self, client: "S3Client", refused: StorageRefused) -> "S3Client | None":
        """A client that writes the bucket before the host, for a store that wants it so; None if that is not it."""
        # A certificate for *.HOST is none for a name with dots before it.
        if refused.reason != PATH_STYLE_REFUSED or "." in self.bucket:
            return None
        with self._lock:
            if self._client is not client:
                return self._client
            if self._by_host:
                return None
            self._by_host = True
            self._client = self._connect(self._settings)
            return self._client

    def _connect(self, settings: S3Settings) -> "S3Client":
        # "auto" is AWS's own: by host, and by path for names with dots.
        style: Literal["virtual", "path", "auto"] = (
            "virtual" if self._by_host else "path" if settings.endpoint else "auto"
        )
        # None leaves it to the environment: AWS_CA_BUNDLE, else the public authorities.
        verify = self._ca_file(settings.ca_bundle) if settings.ca_bundle else None
        try:
            with _SESSION_LOCK:  # clients may be shared by threads, the making of one may not
                client = _session().client(
                    "s3",
                    endpoint_url=settings.endpoint,
                    region_name=settings.region or "us-east-1",
                    # Given here they keep out what the environment may have.
                    aws_access_key_id=settings.access_key,
                    aws_secret_access_key=settings.secret_key,
                    aws_session_token=settings.session_token,
                    config=self._config.merge(Config(s3={"addressing_style": style})),
                    verify=verify,
                )
        except (ValueError, BotoCoreError) as error:
            raise StorageRefused(
                "InvalidSettings",
                f"cannot use endpoint {host(settings.endpoint)!r} in region {settings.region or ''!r}: AWS_S3_ENDPOINT "
                "is https://HOST[:PORT], AWS_DEFAULT_REGION a name like us-east-1",
            ) from error
        client.meta.events.register("before-parameter-build.s3.HeadBucket", ask_for_no_region)
        client.meta.events.register("before-parameter-build.s3.GetObject", without_weak_condition)
        self._prepare(client)
        return client

    def _ca_file(self, bundle: str) -> str:
        # Named by its content: several stores may share a folder.
        name = f"storage-ca-{hashlib.sha256(bundle.encode()).hexdigest()[:16]}.pem"
        file = (self._ca_folder or Path(tempfile.gettempdir())) / name
        file.write_text(bundle + "\n")
        return str(file)
