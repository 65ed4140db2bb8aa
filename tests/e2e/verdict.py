"""Brings the judge what the bucket and the teacher have of a test's runs, and gives its verdict on all of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import Manifest
from tests.e2e import judge

if TYPE_CHECKING:
    from tests.e2e.place import Place
    from tests.e2e.watching import RunSeen


def verdict(place: "Place") -> list[str]:
    """All that was denied of any run of the namespace."""
    samples, log = place.watch.samples, place.teacher_log()
    last = {uid: course[-1][1] for uid, course in judge.courses(samples).items()}
    written = {uid: _written(place, run) for uid, run in last.items()}
    found = [
        *judge.steps_back(samples),
        *judge.at_once(samples),
        *judge.lasting(samples, [service for operator in place.operators for service in operator.known]),
        *judge.ahead_of_the_bucket(samples, written),
        *judge.asked_too_late(samples, written, log),
    ]
    for uid, run in last.items():
        found += judge.unheard(run, written[uid], log)
        if run.state in judge.ENDED and written[uid].manifest_at is not None:
            found += _unsound(place, run)
    return list(dict.fromkeys(found))


def _layout(run: "RunSeen") -> RunLayout | None:
    prefix = run.status.get("output", {}).get("prefix")
    return RunLayout(prefix) if prefix else None


def _written(place: "Place", run: "RunSeen") -> judge.Written:
    layout = _layout(run)
    if layout is None:
        return judge.Written({})
    records: dict[str, float] = {}
    for key, at in place.written(layout.leaf_records).items():
        leaf = key.split("/")[-2]
        records[leaf] = min(records.get(leaf, at), at)
    return judge.Written(records, place.written(layout.manifest).get(layout.manifest))


def _unsound(place: "Place", run: "RunSeen") -> Iterator[str]:
    layout = _layout(run)
    if layout is not None:
        manifest = Manifest.model_validate_json(place.read(layout.manifest))
        there = set(place.written(f"{layout.root}/"))
        keys = {file.path: layout.file(file.path) for file in manifest.files}
        yield from judge.unsound(
            run, manifest, {path: place.read(key) if key in there else None for path, key in keys.items()}
        )
