"""The API-only cluster: etcd, kube-apiserver and kube-controller-manager as processes, all on loopback.

For tests of what the API server alone decides: CRDs, CEL, apply, rights, garbage collection. No node: no pod runs.
"""

import json
import secrets
from pathlib import Path
from types import TracebackType

from hack.cluster.cache import Scratch
from hack.cluster.processes import Server, free_port, tail
from hack.cluster.steps import StepFailed, run, succeeds, wait_for
from hack.cluster.tools import tool

_MEMORY_DISK = Path("/dev/shm")


class ApiAccess:
    """An API server that somebody has started; `kubeconfig` is an administrator's."""

    def __init__(self, folder: Path, port: int, token: str) -> None:
        self.folder = folder
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.token = token
        self.kubeconfig = folder / "kubeconfig"

    @property
    def etcd_url(self) -> str:
        """Where its etcd answers: what the API server has stored, without the API server."""
        return (self.folder / "etcd-url").read_text()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator; `StepFailed` with its words if it fails."""
        return run([tool("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments], stdin=stdin)

    def last_words(self) -> str:
        """The last lines that each part has logged."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.stem}\n{tail(log, lines=3)}" for log in logs)


class ApiServer(ApiAccess):
    """A kube-apiserver of its own."""

    def __init__(self, *, controller_manager: bool = True) -> None:
        self._scratch = Scratch("sdg-apiserver-", _MEMORY_DISK if _MEMORY_DISK.is_dir() else None)
        super().__init__(self._scratch.path, free_port(), secrets.token_hex(16))
        self._etcd_port, etcd_peer = free_port(), free_port()
        etcd = f"http://127.0.0.1:{self._etcd_port}"
        self._write_files(etcd)
        peer = f"http://127.0.0.1:{etcd_peer}"
        self.etcd = Server(
            "etcd",
            [
                tool("etcd"),
                f"--data-dir={self.folder / 'etcd'}",
                "--unsafe-no-fsync",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ],
            self.folder / "etcd.log",
        )
        key = self.folder / "sa.key"
        self.apiserver = Server(
            "kube-apiserver",
            [
                tool("kube-apiserver"),
                f"--etcd-servers={etcd}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                "--advertise-address=127.0.0.1",
                f"--cert-dir={self.folder / 'certs'}",
                "--authorization-mode=RBAC",
                f"--token-auth-file={self.folder / 'tokens.csv'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-cluster-ip-range=198.19.48.0/24",
                # Without a node there is no cluster network; nothing uses the endpoint of `kubernetes`.
                "--endpoint-reconciler-type=none",
            ],
            self.folder / "apiserver.log",
        )
        self.controller_manager = (
            Server(
                "kube-controller-manager",
                [
                    tool("kube-controller-manager"),
                    f"--kubeconfig={self.kubeconfig}",
                    "--leader-elect=false",
                    "--secure-port=0",  # nobody asks it anything
                    # Else half of its start goes by in waiting for its own limit.
                    "--kube-api-qps=500",
                    "--kube-api-burst=1000",
                    f"--service-account-private-key-file={key}",
                    f"--root-ca-file={self.folder / 'certs/apiserver.crt'}",
                    "--controllers=*,-nodeipam,-route,-service-lb-controller,-cloud-node-lifecycle",
                ],
                self.folder / "controller-manager.log",
            )
            if controller_manager
            else None
        )

    def _write_files(self, etcd: str) -> None:
        (self.folder / "etcd-url").write_text(etcd)
        (self.folder / "certs").mkdir(exist_ok=True)
        run(["openssl", "genrsa", "-out", self.folder / "sa.key", "2048"])
        (self.folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        cluster = {"server": self.url, "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "api-only",
            "clusters": [{"name": "api-only", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "api-only", "context": {"cluster": "api-only", "user": "admin"}}],
        }
        self.kubeconfig.write_text(json.dumps(config))

    def start(self) -> None:
        """Start everything and wait until it answers and the `default` namespace is there."""
        self.etcd.start()
        self.etcd.wait_port(self._etcd_port)
        self.start_apiserver()
        if self.controller_manager:
            self.controller_manager.start()

    def start_apiserver(self) -> None:
        self.apiserver.start()
        self.apiserver.wait_port(self.port, 120)
        probe: list[str | Path] = [tool("kubectl"), f"--kubeconfig={self.kubeconfig}"]

        def ready() -> bool:
            if not self.apiserver.alive():
                raise StepFailed(f"kube-apiserver ended:\n{self.apiserver.tail()}")
            return succeeds([*probe, "get", "--raw", "/readyz"]) and succeeds([*probe, "get", "namespace", "default"])

        wait_for("kube-apiserver", 120, ready)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Take the API away, for tests of an outage; `start_apiserver` brings it back with all it had."""
        self.apiserver.stop(kill=kill)

    def stop(self) -> None:
        for server in (self.controller_manager, self.apiserver, self.etcd):
            if server:
                server.stop(kill=True)
        self._scratch.remove()

    def __enter__(self) -> "ApiServer":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
