"""Whether the samples that leaf records name are still in the bucket."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from sdg_operator.storage.layout import samples_folder
from sdg_operator.storage.records import LeafRecord
from sdg_operator.storage.store import Store

_MAX_LISTED: Final = 100_000


def absent_samples(store: Store, records: Iterable[LeafRecord]) -> set[str]:
    """Keys of samples that records name and somebody has deleted, or left with another size.

    Costs one listing of each pod's folder that records name (and a page more for every 1,000 leaves it finished), not
    a call a leaf. A key of another form is no pod's work: it counts as absent without a look, because it could make us
    list the whole bucket. Raises `StorageError`.
    """
    wanted = {record.data.key: record.data.size for record in records if record.data}
    folders = {folder for key in wanted if (folder := samples_folder(key))}
    sizes = {info.key: info.size for folder in sorted(folders) for info in islice(store.list(folder), _MAX_LISTED)}
    return {key for key, size in wanted.items() if sizes.get(key) != size}
