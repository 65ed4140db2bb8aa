"""Git servers and a way to fetch from them. Loopback is refused unless allowed by name, as here."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from hack.gitserver.certificates import Certificates, make_certificates
from sdg_operator.taxonomy.address import AddressGuard, Resolver, resolve
from sdg_operator.taxonomy.authorities import write_bundle
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.repository import Access
from sdg_operator.taxonomy.request import GitCredential, Limits, Network
from tests.git.https import HttpsGitServer, https_git_server
from tests.git.repositories import BareRepository
from tests.git.ssh import SshGitServer, ssh_git_server

LOOPBACK = Network(allowed_ranges=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    names = ["localhost", "git.example.org", "other.example.org", "IP:127.0.0.1"]
    return make_certificates(tmp_path_factory.mktemp("tls"), names)


@pytest.fixture
def server(tmp_path: Path, certificates: Certificates) -> Iterator[HttpsGitServer]:
    with https_git_server(tmp_path / "repositories", certificates) as running:
        yield running


@pytest.fixture
def other(tmp_path: Path, certificates: Certificates) -> Iterator[HttpsGitServer]:
    """Another server, with repositories of its own."""
    with https_git_server(tmp_path / "others", certificates) as running:
        yield running


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshGitServer]:
    with ssh_git_server(tmp_path_factory.mktemp("repositories"), tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def birds(server: HttpsGitServer) -> BareRepository:
    return BareRepository.create(server.root / "birds.git")


class Client:
    """Makes an `Access`, by default to loopback and with the test's authority."""

    def __init__(self, work: Path, certificates: Certificates) -> None:
        self._work = work
        self._bundle = write_bundle(work / "authorities.pem", certificates.authority)
        self._secrets = 0

    def access(
        self,
        *credentials: GitCredential,
        network: Network = LOOPBACK,
        resolver: Resolver = resolve,
        ca_file: Path | None = None,
        seconds: float = 60,
        **limits: int,
    ) -> Access:
        guard = AddressGuard(network, resolver)
        return Access(guard, credentials, Limits(**limits), self._work, ca_file or self._bundle, Deadline(seconds))

    def basic(self, prefix: str, user: str, password: str) -> GitCredential:
        """Write a kubernetes.io/basic-auth Secret for a prefix."""
        self._secrets += 1
        folder = self._work / f"secret-{self._secrets}"
        folder.mkdir()
        (folder / "username").write_text(user)
        (folder / "password").write_text(password + "\n")
        return GitCredential(url_prefix=prefix, folder=str(folder))


@pytest.fixture
def client(tmp_path: Path, certificates: Certificates) -> Client:
    work = tmp_path / "work"
    work.mkdir()
    return Client(work, certificates)
