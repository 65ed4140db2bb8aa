"""Options of the whole suite, and what a failed test shows."""

import signal
from collections.abc import Generator
from typing import Protocol, runtime_checkable

import pytest


def pytest_configure() -> None:
    """Ctrl-C works as in a terminal, also where a shell has started us in the background, and so has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew, to be read as a diff")


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Whether golden files are to be written anew."""
    return bool(pytestconfig.getoption("--update-golden"))


@runtime_checkable
class HasLastWords(Protocol):
    """A part that keeps a log."""

    def last_words(self) -> str: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the last words of the parts that it used."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, part in item.funcargs.items():
            if isinstance(part, HasLastWords):
                report.sections.append((f"last words of {name}", part.last_words()))
    return report
