"""Which addresses a Git server may have. A taxonomy names servers, and its author may be anybody.

A host name is resolved once, its addresses are checked, and connections are made to what was checked: a second answer
of the name server can change nothing.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from sdg_operator.taxonomy.allowedhost import Address, covering
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl
from sdg_operator.taxonomy.request import Network

Resolver = Callable[[str, int], list[str]]

_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Clouds' services for a machine's own credentials, where they are not link-local: AWS, Alibaba, Azure, Oracle."""

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Decides where Git may connect to."""

    network: Network
    resolver: Resolver = resolve

    def admit(self, url: GitUrl) -> list[str]:
        """Give the addresses that may be used for a URL, in the resolver's order.

        Raises `CheckError` with reason CloneFailed when the name has none, or none that may be used.
        """
        try:
            found = self.resolver(url.host, url.port)
        except OSError as error:
            message = (
                f"the host {url.host} has no address ({error.strerror or error}); check the URL and the cluster's DNS"
            )
            raise CheckError("CloneFailed", message, retriable=True) from error
        admitted = [text for text in found if self.refusal(url, ipaddress.ip_address(text.split("%")[0])) is None]
        if not admitted:
            address = ipaddress.ip_address(found[0].split("%")[0])
            why = self.refusal(url, address)
            raise CheckError("CloneFailed", f"the host {url.host} has the address {address}, which {why}")
        return admitted

    def refusal(self, url: GitUrl, address: Address) -> str | None:
        """Say why an address may not be used for a URL; None when it may."""
        entries = covering(self.network.allowed_hosts, url.host, url.port)
        for candidate in _embedded(address):
            if any(candidate in network for network in self.network.denied_ranges):
                return "the administrator denies"
            if any(candidate in network for network in self.network.allowed_ranges):
                continue
            if any(candidate in network for network in _METADATA):
                return "belongs to a cloud's metadata service"
            if any(entry.means(candidate) for entry in entries):
                continue
            if candidate.is_loopback or candidate.is_link_local or candidate.is_multicast or candidate.is_unspecified:
                return (
                    "is a loopback, link-local, multicast or unspecified one; only `localhost` or the address itself, "
                    "listed in taxonomies.allowedHosts (sdg taxonomy check: --allow-host), admits such"
                )
            if _is_private(candidate) and not entries:
                return (
                    "is private; the administrator can add the host to the allowed ones "
                    "(taxonomies.allowedHosts of the settings)"
                )
        return None


def _is_private(address: Address) -> bool:
    # Site-local and reserved IPv6 ranges count as global in `ipaddress`.
    return not address.is_global or address.is_reserved or (address.version == 6 and address.is_site_local)


def _embedded(address: Address) -> list[Address]:
    """Give the address, and the IPv4 address that is hidden in an IPv6 one (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    hidden: list[Address] = [inner for inner in (address.sixtofour, *(address.teredo or ())) if inner is not None]
    if any(address in network for network in _NAT64):
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address, *hidden]
