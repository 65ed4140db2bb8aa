"""The hosts that the administrator allows for Git servers, as he writes them. Pure.

An entry is a glob of host names, or one host: a name or an address. In front of it ``http://`` lets the host be reached
over plain http too; behind it ``:PORT`` narrows it to one port.
"""

import fnmatch
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sdg_operator.taxonomy.request import PLAIN_HTTP

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORT: Final = re.compile(r"(?P<host>[^:]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry."""

    host: str
    """A glob, or an address without brackets."""
    port: int | None
    plain_http: bool

    @classmethod
    def parse(cls, text: str) -> "AllowedHost":
        """Read an entry; what could be no host at all matches nothing."""
        plain = text.casefold().startswith(PLAIN_HTTP)
        rest = text[len(PLAIN_HTTP) :] if plain else text
        found = _PORT.fullmatch(rest)
        host = found["host"] if found else rest
        inner = host.removeprefix("[").removesuffix("]")
        return cls(inner if _address(inner) else host.casefold(), int(found["port"]) if found else None, plain)

    def covers(self, host: str, port: int) -> bool:
        """Tell whether a URL's host and port are meant."""
        if self.port not in {None, port}:
            return False
        if mine := _address(self.host):
            return _address(host) == mine
        return fnmatch.fnmatchcase(host.casefold(), self.host)

    def means(self, address: Address) -> bool:
        """Tell whether exactly this address is named: then it may be used whatever it is.

        Who wrote it answers for this network; the taxonomy's author does not.
        """
        mine = _address(self.host)
        return address.is_loopback if self.host == "localhost" else mine is not None and _plain(mine) == address


def _plain(address: Address) -> Address:
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def covering(entries: Iterable[str], host: str, port: int) -> list[AllowedHost]:
    """Give the entries that cover a URL's host and port."""
    return [entry for entry in map(AllowedHost.parse, entries) if entry.covers(host, port)]


def plain_http(entries: Iterable[str], host: str, port: int) -> bool:
    """Tell whether a host may be reached over plain http."""
    return any(entry.plain_http for entry in covering(entries, host, port))
