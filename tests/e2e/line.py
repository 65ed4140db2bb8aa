"""A line between one operator and its API server that a test can cut, and nobody else notices."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from hack.cluster.cluster import Cluster


@dataclass
class Line:
    """Carries bytes from a port of loopback to the API server, as long as it is not cut."""

    target: tuple[str, int]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    open: list[socket.socket] = field(default_factory=list)
    whole: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Connections end, and none is taken, for the length of the block."""
        self.whole.clear()
        for each in list(self.open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self.whole.set()

    def serve(self) -> None:
        with suppress(OSError):  # the listener was closed: the test is over
            while True:
                near, _ = self.listener.accept()
                if not self.whole.is_set():
                    near.close()
                    continue
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(self.target) as far:
            self.open += [near, far]
            back = threading.Thread(target=_carry, args=(far, near), daemon=True)
            back.start()
            _carry(near, far)
            back.join()
            self.open = [each for each in self.open if each not in (near, far)]


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(cluster: Cluster, kubeconfig: Path) -> Iterator[Line]:
    """The line, as long as the block lasts; `kubeconfig` is written, and leads through it."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    assert server.hostname is not None
    assert server.port is not None
    line = Line((server.hostname, server.port))
    line.whole.set()
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{line.port}"
    kubeconfig.write_text(yaml.safe_dump(config))
    thread = threading.Thread(target=line.serve, name="line to the API server", daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.listener.shutdown(socket.SHUT_RDWR)  # the end of `accept`, which a close alone is not
        thread.join()
        line.listener.close()
