"""Our engine's image, started as a pod starts it, keeps the engine contract."""

import pytest

from hack.cluster.engine import running
from sdg_operator.cli.main import main


def test_the_engines_image_keeps_the_contract_under_a_pods_limits(
    images: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker = running()
    assert docker is not None
    for name, value in docker.env.items():
        monkeypatch.setenv(name, value)
    code = main(["engine", "conformance", "--image", images["sdg-engine"]])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "BREAKS" not in said
    assert main(["engine", "conformance", "--image", "localhost/there-is-none:1"]) == 2
