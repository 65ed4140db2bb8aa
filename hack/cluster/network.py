"""Routes and packet filter rules: what a cluster needs, and how every trace of it goes away again."""

from collections.abc import Collection
from typing import Final

from hack.cluster.steps import all_as_root, run, succeeds

POD_NETWORK: Final = "198.18.32.0/20"
SERVICE_NETWORK: Final = "198.19.32.0/24"
NODE_NETWORK: Final = "198.18.16.0/24"
"""Addresses of nodes: in the range reserved for benchmarks, clear of every private range a machine may sit in."""

BRIDGE: Final = "sdg-kind"
"""Of the nodes' network: what bears this name is ours."""

_TABLES: Final = ("filter", "nat", "raw")


def stray_routes() -> list[str]:
    """The routes of `forbid_strays` that are there."""
    return [
        addresses
        for addresses in (POD_NETWORK, SERVICE_NETWORK)
        if run(["ip", "route", "show", "type", "unreachable", addresses]).strip()
    ]


def forbid_strays() -> None:
    """Give packets to addresses that no pod or Service has an end here: else they leave by the default route."""
    there = stray_routes()
    all_as_root(
        [["ip", "route", "add", "unreachable", each] for each in (POD_NETWORK, SERVICE_NETWORK) if each not in there],
        "packets to pods and Services that are gone could leave this machine",
    )


def allow_strays() -> None:
    """Take the routes of `forbid_strays` away."""
    all_as_root([["ip", "route", "del", "unreachable", each] for each in stray_routes()], "routes of ours are left")


def forward_policy() -> str:
    listing = run(["iptables", "-S", "FORWARD"])
    return listing.split("-P FORWARD ", 1)[1].split()[0]


def docker_chains() -> list[str]:
    """Chains of the packet filter that a Docker engine makes, as table/chain."""
    found = []
    for table in _TABLES:
        lines = run(["iptables-save", "-t", table]).splitlines()
        found += [f"{table}/{line[1:].split()[0]}" for line in lines if line.startswith(":DOCKER")]
    return found


def remove_bridge() -> None:
    """Remove the nodes' bridge with all that is tied to it, for a time when no engine of ours runs.

    Where everything was killed, the kernel keeps the links of the nodes that are gone. The next node gets the same
    addresses, and what answers is then the one or the other: connections end with EOF now and then.
    """
    for line in run(["ip", "-oneline", "link", "show", "type", "veth", "master", BRIDGE], check=False).splitlines():
        succeeds(["ip", "link", "delete", line.split(": ")[1].partition("@")[0]])
    succeeds(["ip", "link", "delete", BRIDGE])


def remove_docker_rules(keep: Collection[str]) -> None:
    """Remove the rules, chains and bridge that our dockerd leaves behind when it ends, but no chain of `keep`."""
    chains = [chain for chain in docker_chains() if chain not in keep]
    for table in _TABLES:
        ours = {chain.split("/")[1] for chain in chains if chain.startswith(table)} | {BRIDGE}
        for line in run(["iptables-save", "-t", table]).splitlines():
            words = line.split()
            if words[0] == "-A" and (ours.intersection(words) or any("198.18.16." in word for word in words)):
                run(["iptables", "-t", table, "-D", *words[1:]], check=False)
    for verb in ("-F", "-X"):
        for chain in chains:
            table, name = chain.split("/")
            run(["iptables", "-t", table, verb, name], check=False)
    remove_bridge()
