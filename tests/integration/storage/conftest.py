"""Both stores, so that each promise is checked on both."""

from pathlib import Path

import pytest

from hack.cluster.s3 import S3Access
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import Store


@pytest.fixture
def settings(s3_server: S3Access, bucket: str) -> S3Settings:
    return S3Settings(s3_server.access_key, s3_server.secret_key, bucket, s3_server.endpoint)


@pytest.fixture(params=["s3", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    return S3Store(request.getfixturevalue("settings"), timeout_seconds=5)
