"""When an operator could do its work: of one that was being killed, replaced or cut off no status need be true."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.e2e.judge import Service


@dataclass
class Services:
    """Of one operator, in order; only the last may still go on."""

    known: list[Service] = field(default_factory=list)

    def begin(self) -> None:
        self.known.append(Service(time.time()))

    def end(self) -> None:
        if self.known and self.known[-1].ended is None:
            self.known[-1] = replace(self.known[-1], ended=time.time())

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """For the length of the block it may be away; it must be there when the block ends."""
        self.end()
        yield
        self.begin()
