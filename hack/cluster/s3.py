"""An S3 server on loopback: versitygw over a folder."""

import secrets
import tempfile
from pathlib import Path
from types import TracebackType

import boto3
from botocore.config import Config
from mypy_boto3_s3 import S3Client

from hack.cluster.cache import Scratch
from hack.cluster.processes import Server, free_port
from hack.cluster.tools import tool


class S3Access:
    """An S3 server that somebody has started, with the administrator's keys."""

    access_key = "test"

    def __init__(self, port: int, secret_key: str) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.secret_key = secret_key

    def client(self) -> S3Client:
        """A new client with the administrator's keys; whoever asks for it closes it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )


class S3Server(S3Access):
    """A real S3 server for one test or session; its data is gone when it is left.

    ``with S3Server() as s3: s3.client().create_bucket(Bucket="mine")``
    """

    def __init__(self) -> None:
        self._scratch = Scratch("sdg-s3server-", Path(tempfile.gettempdir()))
        folder = self._scratch.path
        super().__init__(free_port(), secrets.token_hex(16))
        data = folder / "data"
        data.mkdir()
        self._server = Server(
            "versitygw",
            [tool("versitygw"), "--port", f"127.0.0.1:{self.port}", "--quiet", "posix", data],
            folder / "versitygw.log",
            env={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
        )

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        """Start it, also after a stop: same address, same data."""
        self._server.start()
        self._server.wait_port(self.port)

    def stop(self, *, kill: bool = False) -> None:
        self._server.stop(kill=kill)

    def __enter__(self) -> "S3Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._scratch.remove()
