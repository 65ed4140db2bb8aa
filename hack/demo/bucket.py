"""The demo's bucket: the taxonomy goes in, the training files come out."""

import gzip
import io
import tarfile
from pathlib import Path

import boto3

from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import ObjectNotFound

_MAX_FILE = 256 << 20


def open_store(secret: dict[str, str], endpoint: str) -> S3Store:
    """The bucket of a storage Secret, reached from here under another address than from the cluster."""
    return S3Store(S3Settings.from_secret({**secret, "AWS_S3_ENDPOINT": endpoint}))


def make_bucket(secret: dict[str, str], endpoint: str) -> None:
    """Create the bucket if it is not there; everything else in the demo is done as a user would."""
    session = boto3.session.Session(secret["AWS_ACCESS_KEY_ID"], secret["AWS_SECRET_ACCESS_KEY"])
    client = session.client("s3", endpoint_url=endpoint, region_name=secret["AWS_DEFAULT_REGION"])
    try:
        client.create_bucket(Bucket=secret["AWS_S3_BUCKET"])
    except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        return


def taxonomy_archive(folder: Path) -> bytes:
    """A TAR.gz of a taxonomy's folder. Equal folders give equal bytes, so a second upload changes nothing."""
    buffer = io.BytesIO()
    # A gzip header holds the time unless told otherwise.
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = tarfile.TarInfo(f"taxonomy/{path.relative_to(folder).as_posix()}")
            body = path.read_bytes()
            entry.size, entry.mode = len(body), 0o644
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def read_or_none(store: S3Store, key: str) -> bytes | None:
    try:
        return store.get_bytes(key, _MAX_FILE)
    except ObjectNotFound:
        return None
