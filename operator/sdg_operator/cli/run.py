"""What ``sdg engine run`` does: a whole run on one machine, from a taxonomy to training files, without a cluster.

A folder takes the bucket's place, and the containers of a run work on it one after the other. So a run that was stopped
or killed goes on from its finished batches when the same command is given again.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sdg_operator.cli.taxonomy import inspected, print_report
from sdg_operator.engine import contract
from sdg_operator.engine.contract import EngineResult, ExitCode
from sdg_operator.engine.estimate import expected_samples
from sdg_operator.engine.termination import MESSAGE_ENV
from sdg_operator.reconcile.leaves import input_digest, select
from sdg_operator.storage.container import read_record
from sdg_operator.storage.fetch import fetch, leaf_records
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE, RunLayout, snapshot_key
from sdg_operator.storage.ledger import Standing, plan_attempt, plan_mix, standing
from sdg_operator.storage.records import LeafInput, Manifest, RunIdentity, RunInputs, SampleSettings
from sdg_operator.storage.store import StorageError
from sdg_operator.storage.sync import take_up
from sdg_operator.taxonomy.inspection import Inspection

_LAYOUT: Final = RunLayout("result")
_ME: Final = "local"
"""Stands where a cluster has a namespace, a pod and an image."""


def run(options: argparse.Namespace) -> int:
    """Make everything that is not made yet; returns the command's exit code."""
    if problem := _unusable(options):
        print(f"sdg: {problem}", file=sys.stderr)
        return 2
    out: Path = options.out.resolve()
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    inspection = inspected(options.path, options, work, documents=True)
    print_report(inspection.report, "text", options.path)
    if not inspection.report.ok:
        return 1
    try:
        return _make(FolderStore(out), inspection, options, work)
    except StorageError as error:
        print(f"sdg: {error.message}", file=sys.stderr)
        return ExitCode.STORAGE_REFUSED


def _make(store: FolderStore, inspection: Inspection, options: argparse.Namespace, work: Path) -> int:
    inputs = _inputs(store, inspection, options, work)
    if not inputs.leaves:
        print("sdg: no leaf of the taxonomy matches --leaves", file=sys.stderr)
        return 2
    store.put_bytes(_LAYOUT.inputs, inputs.to_json())
    _forget_failures(store, standing(inputs, leaf_records(store, _LAYOUT)), work)
    now = standing(inputs, leaf_records(store, _LAYOUT))
    code = 0
    if now.missing:
        attempt = 1 + sum(1 for _ in store.list(_LAYOUT.attempt_plan(0).removesuffix("0.json")))
        store.put_bytes(_LAYOUT.attempt_plan(attempt), plan_attempt(attempt, now.missing, 1, now.done).to_json())
        fetch(store, _LAYOUT, work, attempt=attempt, shard=0)
        code = _generate(store, work, attempt, options)
        now = standing(inputs, leaf_records(store, _LAYOUT))
        if now.missing:
            left = f"{len(now.missing)} of {len(inputs.leaves)} leaves are still to be made"
            print(f"sdg: {left}; the same command goes on from what is finished", file=sys.stderr)
            return code or ExitCode.INTERNAL
    mix = plan_mix(inputs, now)
    if not mix.sources:
        return code or ExitCode.EMPTY_RESULT
    store.put_bytes(_LAYOUT.mix, mix.to_json())
    flags = ["--work", str(work), "--run-root", _LAYOUT.root, "--store-folder", str(work.parent)]
    if code := _call("mix", flags, {}, work):
        return code
    shutil.rmtree(work)
    _tell(store, now, work.parent / _LAYOUT.root)
    return 1 if now.failed else 0


def _forget_failures(store: FolderStore, now: Standing, work: Path) -> None:
    """Whoever gives the command again wants failed leaves to be tried again."""
    for leaf in now.failed:
        record = now.chosen[leaf.id]
        store.delete(_LAYOUT.leaf_record(leaf.id, record.attempt, record.pod))
        for made in ("leaves", "checkpoints"):
            shutil.rmtree(work / "out" / made / leaf.id, ignore_errors=True)


def _unusable(options: argparse.Namespace) -> str | None:
    for file in (options.path, options.token_file, options.teacher_ca_file):
        if file is not None and not file.exists():
            return f"there is no {file}"
    if find_spec("instructlab.sdg") is None:
        return "the engine is not installed here: install sdg-operator[engine], or use the engine's image"
    return None


def _inputs(store: FolderStore, inspection: Inspection, options: argparse.Namespace, work: Path) -> RunInputs:
    """Put the snapshot into the store, and return what the run depends on."""
    settings = _settings(options)
    archive = work / "packed.tar.gz"
    snapshot = inspection.write(archive)
    store.put_file(snapshot_key(snapshot), archive)
    archive.unlink()
    return RunInputs(
        run=RunIdentity(namespace=_ME, name=options.out.resolve().name, uid=_ME),
        snapshot=snapshot,
        engine=_ME,
        settings=settings,
        max_concurrency=options.max_concurrency,
        leaves=tuple(
            LeafInput(
                id=leaf.id,
                path=leaf.path,
                kind=leaf.kind,
                input_digest=input_digest(leaf, _ME, settings),
                expected_samples=expected_samples(leaf.kind, leaf.seeds, leaf.document_bytes, settings),
            )
            for leaf in select(inspection.index, options.leaves)
        ),
    )


def _settings(options: argparse.Namespace) -> SampleSettings:
    folder, custom = Path(options.pipeline), "/" in options.pipeline
    return SampleSettings(
        pipeline="custom" if custom else options.pipeline,
        pipeline_files={file.name: file.read_text() for file in sorted(folder.glob("*.yaml"))} if custom else {},
        scale_factor=options.scale_factor,
        batch_size=options.batch_size,
        max_tokens=options.max_tokens,
        model=options.model,
        model_family=options.model_family,
        system_prompt=options.system_prompt,
        preview=options.preview,
    )


def _generate(store: FolderStore, work: Path, attempt: int, options: argparse.Namespace) -> int:
    """Run the engine on the work folder and record what it finished, however it ended."""
    given = {
        contract.WORK_ENV: str(work),
        contract.TEACHER_URL_ENV: options.teacher,
        contract.TEACHER_MODEL_ENV: options.model,
        contract.ACK_SECONDS_ENV: "0",
    }
    if options.token_file:
        given[contract.TEACHER_TOKEN_FILE_ENV] = str(options.token_file.resolve())
    if options.teacher_ca_file:
        given[contract.TEACHER_CA_FILE_ENV] = str(options.teacher_ca_file.resolve())
    code = _call("instructlab", [], given, work)
    spool = work / "spool"
    spool.mkdir(exist_ok=True)
    sync = take_up(store, _LAYOUT, work, spool, attempt=attempt, shard=0, pod=_ME)
    try:
        sync.flush(0.0, whole=True)
    finally:
        sync.work.close()
    return code


def _call(module: str, flags: Sequence[str], environment: Mapping[str, str], work: Path) -> int:
    """Run a container's program and tell why it failed. Ctrl-C reaches it too, and it ends in order."""
    said = work / "last-words"
    said.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"sdg_operator.engine.{module}", *flags]
    process = subprocess.Popen(command, env={**os.environ, **environment, MESSAGE_ENV: str(said)})
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = _patiently(process)
    finally:
        signal.signal(signal.SIGTERM, before)
    if code and said.exists() and (error := EngineResult.model_validate_json(said.read_bytes()).error):
        print(f"sdg: {error.reason}: {error.message}", file=sys.stderr)
    return code


def _patiently(process: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _tell(store: FolderStore, now: Standing, result: Path) -> None:
    manifest = read_record(store, _LAYOUT.manifest, Manifest)
    for leaf in now.failed:
        record = now.chosen[leaf.id]
        print(f"FAILED: {leaf.path}: {record.reason}: {record.message}")
    print(f"{manifest.samples.knowledge} rows in {result / KNOWLEDGE_TRAIN_FILE}")
    print(f"{manifest.samples.skills} rows in {result / SKILLS_TRAIN_FILE}")
