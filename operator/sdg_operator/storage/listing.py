"""Following a listing page by page without trusting it. Pure: pages in, what is new and how to go on out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sdg_operator.storage.store import ObjectInfo

MAX_PAGES: Final = 10_000
"""Ten million objects; a store that goes on beyond is not believed."""
MAX_IDLE: Final = 10
"""How often in a row a page may be given once more, before the store is taken to do so for ever."""


@dataclass(slots=True)
class Progress:
    """How far a listing has come.

    Stores repeat pages and tokens, and not all of them sort as S3 does. So order is not relied on: a page brings
    something new if it ends at a key at which none has ended before. Memory: one key for each page, and a page.
    """

    start: dict[str, str] = field(default_factory=dict)
    """How to ask for the next page."""
    pages: int = 0
    idle: int = 0
    _ends: set[str] = field(default_factory=set)
    _tokens: set[int] = field(default_factory=set)
    """As hashes: a store may make them as long as it likes."""
    _latest: frozenset[str] = frozenset()

    def new_of(self, listed: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
        """What the page before did not name, each key once."""
        page = {info.key: info for info in listed}
        if page and next(reversed(page)) in self._ends:
            return
        latest, self._latest = self._latest, frozenset(page)
        yield from (info for key, info in page.items() if key not in latest)

    def goes_on(self, listed: list[ObjectInfo], token: str | None) -> bool:
        """Whether to ask for the page that follows; False for a listing that leads nowhere."""
        self.pages += 1
        end = listed[-1].key if listed else None
        if end is not None and end not in self._ends:
            self._ends.add(end)
            self.idle = 0
        elif end is not None or hash(token) in self._tokens:
            self.idle += 1
        # An empty page with another token is none of both: it may stand for what was deleted.
        self._tokens.add(hash(token))
        if token is not None:
            self.start = {"ContinuationToken": token}
        elif end is not None:
            self.start = {"StartAfter": end}  # there is more, and nobody says where
        else:
            return False
        return self.idle < MAX_IDLE and self.pages < MAX_PAGES
