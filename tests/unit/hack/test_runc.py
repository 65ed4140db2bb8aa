"""The runtime wrapper takes one capability away and leaves everything else as it was."""

import json
from pathlib import Path

import pytest

from hack.cluster import runc

CAPABILITIES = {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE", "CAP_KILL"]}
WITHOUT = {"bounding": ["CAP_CHOWN"], "effective": ["CAP_KILL"]}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, arguments: calls.append(arguments))
    return calls


def test_create_loses_the_capability_in_the_bundle(tmp_path: Path, called: list[list[str]]) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": {"capabilities": CAPABILITIES, "args": ["x"]}, "root": {}}))
    runc.main(["create", "--bundle", str(tmp_path), "name"])
    assert json.loads(config.read_text()) == {"process": {"capabilities": WITHOUT, "args": ["x"]}, "root": {}}
    assert called == [["runc", "create", "--bundle", str(tmp_path), "name"]]


def test_exec_loses_the_capability_in_the_process(tmp_path: Path, called: list[list[str]]) -> None:
    process = tmp_path / "process.json"
    process.write_text(json.dumps({"capabilities": CAPABILITIES}))
    runc.main(["exec", "--process", str(process), "name"])
    assert json.loads(process.read_text()) == {"capabilities": WITHOUT}
    assert len(called) == 1
