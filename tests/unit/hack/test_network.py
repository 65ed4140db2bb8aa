"""Of the packet filter only what is ours goes away."""

import os
from pathlib import Path

import pytest

from hack.cluster import network

# What iptables-save says of a machine where another engine has a bridge of its own.
RULES = {
    "filter": [
        ":FORWARD DROP [0:0]",
        ":DOCKER - [0:0]",
        "-A FORWARD -j DOCKER",
        "-A FORWARD -o docker0 -j DOCKER",
        "-A FORWARD -i sdg-kind -o sdg-kind -j ACCEPT",
        "-A DOCKER -d 198.18.16.2/32 ! -i sdg-kind -o sdg-kind -p tcp -j ACCEPT",
        "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -j ACCEPT",
    ],
    "nat": [":DOCKER - [0:0]", "-A POSTROUTING -s 198.18.16.0/24 ! -o sdg-kind -j MASQUERADE"],
    "raw": [
        "-A PREROUTING -d 198.18.16.2/32 ! -i sdg-kind -j DROP",
        "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",
    ],
}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    log = tmp_path / "log"
    for table, lines in RULES.items():
        (tmp_path / table).write_text("\n".join(lines))
    for name, text in {
        "iptables-save": f'cat {tmp_path}/"$2"',
        "iptables": f'echo "$*" >>{log}',
        "ip": f'echo "ip $*" >>{log}',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return log


OURS = [
    "-t filter -D FORWARD -i sdg-kind -o sdg-kind -j ACCEPT",
    "-t filter -D DOCKER -d 198.18.16.2/32 ! -i sdg-kind -o sdg-kind -p tcp -j ACCEPT",
    "-t nat -D POSTROUTING -s 198.18.16.0/24 ! -o sdg-kind -j MASQUERADE",
    "-t raw -D PREROUTING -d 198.18.16.2/32 ! -i sdg-kind -j DROP",
    "ip -oneline link show type veth master sdg-kind",
    "ip link delete sdg-kind",
]


def test_chains_that_were_there_before_or_are_anothers_stay(calls: Path) -> None:
    network.remove_docker_rules(keep=["filter/DOCKER", "nat/DOCKER"])
    assert calls.read_text().splitlines() == OURS


def test_chains_that_our_engine_made_go(calls: Path) -> None:
    network.remove_docker_rules(keep=[])
    called = calls.read_text().splitlines()
    assert set(OURS) < set(called)
    assert "-t filter -D FORWARD -j DOCKER" in called
    assert [line for line in called if "-F" in line or "-X" in line] == [
        "-t filter -F DOCKER",
        "-t nat -F DOCKER",
        "-t filter -X DOCKER",
        "-t nat -X DOCKER",
    ]
