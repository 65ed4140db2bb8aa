"""Logs: what is said during a pass carries the key of its resource."""

import json
import logging
from collections.abc import Iterator

import pytest

from sdg_operator.controller import logs
from sdg_operator.controller.reconciler import Key

KEY = Key("DataGeneration", "birds", "birds-1")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logs.current.set(None)


def test_a_json_line_has_the_key_of_the_resource_that_is_worked_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "info")
    log = logging.getLogger("sdg_operator.x")
    logs.current.set(KEY)
    log.info("made Job %s", "j\n1")
    logs.current.set(None)
    log.warning("no pass")
    log.debug("below the level")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert inside.pop("time").endswith("+00:00")
    assert inside == {
        "level": "info",
        "logger": "sdg_operator.x",
        "message": "made Job j\n1",
        "kind": "DataGeneration",
        "namespace": "birds",
        "name": "birds-1",
    }
    assert (outside["message"], "name" in outside) == ("no pass", False)


def test_a_traceback_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "info")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("sdg_operator.x").exception("a defect")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_a_line_of_text_names_the_resource_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "info")
    logs.current.set(KEY)
    logging.getLogger("sdg_operator.x").info("made a Job")
    logging.getLogger("sdg_operator.x").info("the pass over %s failed", KEY)
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(f"made a Job [{KEY}]")
    assert said[1].endswith(f"the pass over {KEY} failed")
