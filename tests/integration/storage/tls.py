"""A real S3 server that speaks TLS."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.processes import Server, free_port
from hack.cluster.tools import tool
from hack.gitserver.certificates import Certificates

KEYS = {"AWS_ACCESS_KEY_ID": "the-access-key", "AWS_SECRET_ACCESS_KEY": "the-secret-key"}


@contextmanager
def tls_server(folder: Path, certificates: Certificates, objects: Mapping[str, bytes]) -> Iterator[str]:
    """Serve these objects (``bucket/key``) to the holder of `KEYS`; yields the endpoint."""
    port = free_port()
    for name, content in objects.items():
        file = folder / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    server = Server(
        "versitygw",
        [tool("versitygw"), "--port", f"127.0.0.1:{port}", "--cert", certificates.certificate, "--key",
         certificates.key, "--quiet", "posix", folder / "data"],
        folder / "log",
        env={"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]},
    )  # fmt: skip
    server.start()
    try:
        server.wait_port(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        server.stop()
