"""What a storage Secret may say."""

import pytest

from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import StorageRefused

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_S3_BUCKET": "bucket"}


@pytest.mark.parametrize(
    "endpoint", ["http://minio:9000", "https://s3.example.com", "http://[::1]:9000", "https://s3.example.com/base"]
)
def test_an_address_is_taken_as_it_is(endpoint: str) -> None:
    assert S3Settings.from_secret({**KEYS, "AWS_S3_ENDPOINT": f"{endpoint}\n"}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        *("minio:9000", "s3://bucket", "http://", "http://minio:9000:9000", "http://minio:port", "http://minio:99999"),
        *("https://s3..example.com", "http://[::1", "https://user:hunter2/x@host", "https://" + "a" * 64 + ".example"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(StorageRefused) as refused:
        S3Settings.from_secret({**KEYS, "AWS_S3_ENDPOINT": endpoint})
    assert refused.value.reason == "InvalidEndpoint"
    assert "hunter2" not in refused.value.message
