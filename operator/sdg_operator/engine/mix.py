"""The mix container: ``python -m sdg_operator.engine.mix`` makes a run's result of the samples that its plan names.

Reads ``.run/inputs.json`` and ``.run/mix.json``, verifies every file it takes, and writes the training files, the
leaves' samples, system information and, last, the manifest. A second mix of the same plan writes the same bytes.
"""

import hashlib
import itertools
import json
import logging
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdg_operator.engine import environment, logs
from sdg_operator.engine.contract import EngineError, EngineResult, ExitCode
from sdg_operator.engine.failure import EngineFailure, one_line
from sdg_operator.engine.termination import write_termination_message
from sdg_operator.storage.container import arguments, open_store, read_inputs, read_record, refusal_code
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE, RunLayout
from sdg_operator.storage.records import (
    AnswerCounts,
    FileRef,
    Manifest,
    ManifestFile,
    ManifestLeaf,
    MergeFile,
    MixPlan,
    MixSource,
    Origin,
    RunInputs,
    SampleCounts,
    Tokens,
    TrainingRows,
)
from sdg_operator.storage.store import ObjectNotFound, StorageRefused, StorageUnavailable, Store

if TYPE_CHECKING:
    from sdg_operator.engine.mixing import TrainingFile

log = logging.getLogger("sdg_operator.engine.mix")

SYSTEM_INFO = "logs/ilab_system_info.log"
MIX_LOG = "logs/mix.log"


def main() -> ExitCode:
    options = arguments("python -m sdg_operator.engine.mix", "Mix a run's samples into training files.").parse_args()
    # The first process of a container would not even notice an unhandled SIGTERM, and hold up its node's drain.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.INTERRUPTED))
    scratch: Path = options.work / "tmp"
    environment.prepare(scratch)
    log_folder = options.work / "out" / "logs"
    logs.start(log_folder, "mix")
    layout = RunLayout(options.run_root)
    samples, error = 0, None
    try:
        store = open_store(options.store_folder)
        try:
            samples = _mix(store, layout, scratch)
        finally:
            _keep_log(store, layout, log_folder / "mix.log")
        code = ExitCode.OK
    except EngineFailure as failure:
        code, error = failure.code, failure.error
    except StorageRefused as refused:
        code, error = refusal_code(refused), EngineError(reason=refused.reason, message=refused.message)
    except StorageUnavailable as away:
        code, error = ExitCode.STORAGE_UNAVAILABLE, EngineError(reason=away.reason, message=away.message)
    except Exception as defect:
        log.exception("a defect")
        message = one_line(f"{type(defect).__name__}: {defect}")
        code, error = ExitCode.INTERNAL, EngineError(reason="Internal", message=message)
    if error is not None:
        log.error("%s: %s", error.reason, error.message)
    write_termination_message(
        EngineResult(exit_code=code, leaves_done=0, leaves_failed=0, samples=samples, error=error)
    )
    return code


def _keep_log(store: Store, layout: RunLayout, path: Path) -> None:
    try:
        store.put_file(layout.file(MIX_LOG), path)
    except (StorageRefused, StorageUnavailable) as error:
        log.warning("the log of this mix is not in the bucket: %s", error)


def _mix(store: Store, layout: RunLayout, scratch: Path) -> int:
    """Mix, and return how many rows both training files have."""
    from sdg_operator.engine import library  # noqa: PLC0415 - not before the caches' folders are set
    from sdg_operator.engine.mixing import SEED, TrainingFile, mix_leaf  # noqa: PLC0415

    inputs = read_inputs(store, layout)
    plan = read_record(store, layout.mix, MixPlan)
    if not plan.sources and not plan.files:
        raise _empty("the run has no samples")
    library.apply(Path.read_bytes)
    library.fix_randomness(SEED)
    mixers = {
        root: library.LeafMixer(scratch, auxiliary, inputs.settings.system_prompt)
        for root, auxiliary in _auxiliaries(inputs, plan, scratch)
    }
    training: dict[library.TrainFile, TrainingFile] = {
        "knowledge": TrainingFile(scratch / KNOWLEDGE_TRAIN_FILE),
        "skills": TrainingFile(scratch / SKILLS_TRAIN_FILE),
    }
    written, read, unusable = [], [], []
    for leaf, sources in _by_leaf(plan.sources):
        log.info("leaf %s: %d samples", sources[0].path, sum(source.samples for source in sources))
        parts = []
        for number, (origin, group) in enumerate(itertools.groupby(sources, key=lambda source: source.origin)):
            part = scratch / "samples" / f"{leaf}.{number}.jsonl"
            _fetch(store, group, part)
            if warning := mix_leaf(mixers[origin], training, leaf, sources[0].kind == "knowledge", part):
                unusable.append(warning)
            parts.append(part)
        samples = _joined(parts)
        written.append(_publish(store, layout, f"artifacts/{leaf}.jsonl", samples))
        samples.unlink()
    for merged in plan.files:
        copy = scratch / "merged.jsonl"
        read.append(_fetch_whole(store, merged, copy))
        training[merged.kind].append_file(merged.key, copy)
        copy.unlink()
    files = tuple(training.values())
    if sum(file.rows.total() for file in files) == 0:
        raise _empty(one_line("; ".join(["mixing the samples gives no training row", *unusable]), 1000))
    versions = library.versions()
    written.append(_publish_text(store, layout, SYSTEM_INFO, _system_info(inputs, versions)))
    written += [_publish(store, layout, file.path.name, file.path) for file in files]
    manifest = _manifest(inputs, plan, versions, written, files)
    manifest = manifest.model_copy(update={"merged": tuple(read), "warnings": (*unusable, *manifest.warnings)})
    for warning in manifest.warnings:
        log.warning("%s", warning)
    store.put_bytes(layout.manifest, manifest.to_json())
    log.info("%d knowledge and %d skills rows", manifest.samples.knowledge, manifest.samples.skills)
    return manifest.samples.total


def _empty(message: str) -> EngineFailure:
    return EngineFailure(ExitCode.EMPTY_RESULT, "EmptyResult", message)


def _auxiliaries(inputs: RunInputs, plan: MixPlan, scratch: Path) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Yield what the pipelines of this run (None) and of each merged one say of rows that are no questions."""
    from sdg_operator.engine import library  # noqa: PLC0415

    own = Origin(pipeline=inputs.settings.pipeline, pipeline_files=inputs.settings.pipeline_files)
    folder = scratch / "pipeline"
    for root, origin in [(None, own), *plan.origins.items()]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, text in origin.pipeline_files.items():
            (folder / Path(name).name).write_text(text)
        yield root, library.auxiliary(origin.pipeline, folder)


def _by_leaf(sources: Iterable[MixSource]) -> list[tuple[str, list[MixSource]]]:
    """Return each leaf with all its sources (several where runs are merged), in the order of their file names.

    Upstream takes one file a leaf and silently loses the others, so a leaf's rows are put one after the other.
    """
    ordered = sorted(sources, key=lambda source: f"{source.leaf}.jsonl")  # stable: sources of a leaf keep their order
    return [(leaf, list(group)) for leaf, group in itertools.groupby(ordered, key=lambda source: source.leaf)]


def _fetch(store: Store, sources: Iterable[MixSource], path: Path) -> None:
    """Put a leaf's samples into one file, verified. Raises EngineFailure (CorruptSamples)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    piece = path.with_suffix(".piece")
    for source in sources:
        store.get_file(source.data.key, piece, max_bytes=source.data.size)
        found = _measure(piece)
        want = source.data
        if (found.size, found.sha256, found.lines) != (want.size, want.sha256, want.lines):
            raise EngineFailure(
                ExitCode.INPUTS_LOST,
                "CorruptSamples",
                f"{want.key} is not what its record names: {found.size} bytes, {found.lines} lines, sha256 "
                f"{found.sha256} instead of {want.size}, {want.lines}, {want.sha256}",
            )
        with path.open("ab") as whole, piece.open("rb") as part:
            shutil.copyfileobj(part, whole)
    piece.unlink()


def _fetch_whole(store: Store, file: MergeFile, path: Path) -> FileRef:
    """Fetch a training file of a user's, as it was when it was chosen. Raises EngineFailure (SourceChanged)."""
    info = store.head(file.key)
    if info is None:
        raise ObjectNotFound(file.key)
    if (file.size, file.etag) not in {(None, None), (info.size, info.etag)}:
        text = f"{file.key} was changed since it was chosen for this run; create another run to merge it as it is now"
        raise EngineFailure(ExitCode.INVALID_INPUT, "SourceChanged", text)
    store.get_file(file.key, path, max_bytes=info.size)
    return _measure(path).model_copy(update={"key": file.key})


def _joined(parts: Sequence[Path]) -> Path:
    """Put what different pipelines made of a leaf into the first of these files; mostly it is the only one."""
    first, *others = parts
    with first.open("ab") as whole:
        for other in others:
            with other.open("rb") as part:
                shutil.copyfileobj(part, whole)
            other.unlink()
    return first


def _measure(path: Path) -> FileRef:
    """Return a file's size, sha256 and number of lines (only ``\\n`` ends one)."""
    digest, size, count = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
            count += block.count(b"\n")
    return FileRef(key=path.name, size=size, sha256=digest.hexdigest(), lines=count)


def _publish(store: Store, layout: RunLayout, name: str, path: Path) -> ManifestFile:
    store.put_file(layout.file(name), path)
    found = _measure(path)
    return ManifestFile(path=name, size=found.size, sha256=found.sha256, lines=found.lines)


def _publish_text(store: Store, layout: RunLayout, name: str, text: str) -> ManifestFile:
    body = text.encode()
    store.put_bytes(layout.file(name), body)
    return ManifestFile(path=name, size=len(body), sha256=hashlib.sha256(body).hexdigest(), lines=body.count(b"\n"))


def _system_info(inputs: RunInputs, versions: dict[str, str]) -> str:
    """Return what ``ilab system info`` is asked for: versions and settings. Nothing in it depends on the node."""
    settings = inputs.settings.model_dump(mode="json", exclude={"pipeline_files"})
    facts = {f"{name}.version": value for name, value in versions.items()} | {"engine.image": inputs.engine}
    facts |= {f"settings.{name}": json.dumps(value, ensure_ascii=False) for name, value in settings.items()}
    return "".join(f"{name}: {value}\n" for name, value in sorted(facts.items()))


def _manifest(
    inputs: RunInputs,
    plan: MixPlan,
    versions: dict[str, str],
    written: list[ManifestFile],
    training: "Sequence[TrainingFile]",
) -> Manifest:
    knowledge, skills = (file.rows.total() for file in training)
    return Manifest(
        run=inputs.run,
        snapshot=inputs.snapshot,
        engine=inputs.engine,
        settings=inputs.settings,
        versions=versions,
        files=tuple(sorted(written, key=lambda file: file.path)),
        samples=SampleCounts(knowledge=knowledge, skills=skills, total=knowledge + skills),
        tokens=Tokens(
            prompt=sum(source.tokens.prompt for source in plan.sources),
            completion=sum(source.tokens.completion for source in plan.sources),
        ),
        prompts_given_up=sum(source.prompts_given_up for source in plan.sources),
        answers=reduce(AnswerCounts.plus, (source.answers for source in plan.sources), AnswerCounts()),
        leaves=tuple(
            ManifestLeaf(
                path=sources[0].path,
                kind=sources[0].kind,
                expected=sum(source.expected_samples for source in sources),
                actual=sum(source.samples for source in sources),
            )
            for _, sources in _by_leaf(plan.sources)
        ),
        failed=plan.failed,
        missing=plan.missing,
        training=tuple(
            TrainingRows(
                path=file.path.name,
                knowledge=file.rows["knowledge"],
                skills=file.rows["skills"],
                merged=file.rows["merged"],
                longest_row=file.longest_row,
                longest_line=file.longest_line,
                long_rows=file.long_rows,
            )
            for file in training
        ),
        warnings=tuple(warning for file in training for warning in file.warnings()),
    )


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.exit(code)
