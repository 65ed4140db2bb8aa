"""What an entry of allowedHosts admits: the host that it names, and nothing near it."""

from ipaddress import ip_address, ip_network

import pytest

from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.request import Network

CASES = [
    # entry, URL, address that its host has, admitted
    ("http://gitea.ci.svc", "http://gitea.ci.svc/a/b.git", "10.0.0.7", True),
    ("http://gitea.ci.svc", "http://GITEA.ci.svc:3000/a/b.git", "10.0.0.7", True),
    ("http://gitea.ci.svc", "https://gitea.ci.svc/a/b.git", "10.0.0.7", True),
    ("HTTP://*.svc", "http://gitea.ci.svc/a/b.git", "10.0.0.7", True),
    ("http://gitea.ci.svc:3000", "http://gitea.ci.svc:3000/a/b.git", "10.0.0.7", True),
    ("http://gitea.ci.svc:3000", "http://gitea.ci.svc/a/b.git", "10.0.0.7", False),
    ("gitea.ci.svc:8443", "https://gitea.ci.svc:8443/a/b.git", "10.0.0.7", True),
    ("gitea.ci.svc:8443", "https://gitea.ci.svc/a/b.git", "10.0.0.7", False),
    ("gitea.ci.svc", "http://gitea.ci.svc/a/b.git", "10.0.0.7", False),
    ("http://gitea.ci.svc", "http://gitea.ci.svc.evil.net/b.git", "8.8.8.8", False),
    ("http://gitea.ci.svc", "http://gitea.ci.svc/a/b.git", "127.0.0.1", False),
    ("http://gitea.ci.svc", "http://gitea.ci.svc/a/b.git", "169.254.169.254", False),
    ("http://*", "http://127.0.0.1/b.git", "127.0.0.1", False),
    ("*", "https://localhost/b.git", "127.0.0.1", False),
    ("localhos?", "https://localhost/b.git", "127.0.0.1", False),
    ("localhost", "https://localhost/b.git", "::1", True),
    ("localhost", "https://localhost/b.git", "169.254.1.1", False),
    ("localhost", "https://evil.net/b.git", "127.0.0.1", False),
    ("localhost", "http://localhost/b.git", "127.0.0.1", False),
    ("http://localhost", "http://localhost:18080/b.git", "127.0.0.1", True),
    ("127.0.0.1", "https://127.0.0.1/b.git", "127.0.0.1", True),
    ("127.0.0.1", "https://127.0.0.2/b.git", "127.0.0.2", False),
    ("127.0.0.1", "https://evil.net/b.git", "127.0.0.1", False),
    ("127.0.0.1", "https://2130706433/b.git", "127.0.0.1", False),
    ("http://127.0.0.1:18080", "http://127.0.0.1:18080/b.git", "127.0.0.1", True),
    ("http://127.0.0.1:18080", "http://127.0.0.1:80/b.git", "127.0.0.1", False),
    ("::1", "https://[::1]/b.git", "::1", True),
    ("http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000/b.git", "::1", True),
    ("http://[::1]:3000", "http://[::1]:3001/b.git", "::1", False),
    ("::ffff:127.0.0.1", "https://[::ffff:127.0.0.1]/b.git", "::ffff:127.0.0.1", True),
    ("169.254.7.7", "https://169.254.7.7/b.git", "169.254.7.7", True),
    ("169.254.169.254", "https://169.254.169.254/b.git", "169.254.169.254", False),
    ("http://169.254.169.254", "http://169.254.169.254/b.git", "169.254.169.254", False),
    ("fd00:ec2::254", "https://[fd00:ec2::254]/b.git", "fd00:ec2::254", False),
    ("https://gitea.ci.svc", "https://gitea.ci.svc/b.git", "10.0.0.7", False),
]


def admitted(url: str, address: str, network: Network) -> bool:
    guard = AddressGuard(network, lambda _host, _port: [address])
    try:
        return guard.admit(GitUrl.parse(url, network.allowed_hosts)) == [address]
    except CheckError:
        return False


@pytest.mark.parametrize(("entry", "url", "address", "want"), CASES)
def test_an_entry_admits_what_it_names(entry: str, url: str, address: str, want: bool) -> None:
    assert admitted(url, address, Network(allowed_hosts=(entry,))) == want


@pytest.mark.parametrize(("entry", "url", "address", "want"), [case for case in CASES if case[3]])
def test_a_denied_range_stays_denied(entry: str, url: str, address: str, want: bool) -> None:
    plain = ip_address(address)
    inner = getattr(plain, "ipv4_mapped", None) or plain
    network = Network(allowed_hosts=(entry,), denied_ranges=(ip_network(inner),))
    assert not admitted(url, address, network)


def test_the_refusal_of_plain_http_says_what_to_write() -> None:
    with pytest.raises(CheckError) as error:
        GitUrl.parse("http://gitea.ci.svc:3000/a/b.git", ["gitea.ci.svc"])
    assert "use https://, or let the administrator list http://gitea.ci.svc:3000 in" in error.value.message
    assert "--allow-host http://gitea.ci.svc:3000" in error.value.message
