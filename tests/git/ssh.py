"""A real sshd on loopback that serves the repositories of one folder by Git's own commands."""

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.packages import need
from hack.cluster.processes import Server, free_port


@dataclass(frozen=True)
class SshGitServer:
    """A running server."""

    root: Path
    port: int
    host_key: str
    """A known_hosts line for it."""
    user_key: Path
    """Private key that it lets in."""

    def url(self, name: str) -> str:
        return f"ssh://{getpass.getuser()}@localhost:{self.port}{self.root / name}"

    def secret(self, folder: Path, *, key: Path | None = None, known_hosts: str | None = None) -> Path:
        """Write the files of a kubernetes.io/ssh-auth Secret."""
        folder.mkdir(parents=True)
        (folder / "ssh-privatekey").write_text((key or self.user_key).read_text())
        (folder / "known_hosts").write_text(self.host_key if known_hosts is None else known_hosts)
        return folder


def make_key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(file)], check=True)
    return file


@contextmanager
def ssh_git_server(root: Path, folder: Path) -> Iterator[SshGitServer]:
    """Start a server whose own files are in `folder`."""
    need("git", "ssh", "sshd")
    folder.mkdir(parents=True, exist_ok=True)
    host_key, user_key = make_key(folder / "host"), make_key(folder / "user")
    authorized = folder / "authorized_keys"
    # The account may do nothing but read repositories.
    command = 'command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"",restrict'
    authorized.write_text(f"{command} {user_key.with_suffix('.pub').read_text()}")
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\nPidFile none\n"
        "UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nUseDNS no\n"
    )
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own folder for privilege separation
    server = Server("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", config], folder / "sshd.log")
    server.start()
    try:
        server.wait_port(port)
        kind, key, *_ = host_key.with_suffix(".pub").read_text().split()
        yield SshGitServer(root, port, f"[localhost]:{port} {kind} {key}\n", user_key)
    finally:
        server.stop()
