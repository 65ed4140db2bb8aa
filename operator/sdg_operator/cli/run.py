"""What ``sdg engine run`` does: a whole run on one machine, from a taxonomy to training files, without a cluster.

A folder takes the bucket's place, and the containers of a run work on it one after the other. So a run that was stopped
or killed goes on from its finished batches when the same command is given again.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sdg_operator.cli.child import call
from sdg_operator.cli.run_folder import locked, remove_other_artifacts, remove_work, take_inputs, take_plan
from sdg_operator.cli.run_usage import WrongUsage, refuse_wrong_usage
from sdg_operator.cli.taxonomy import inspected, print_report
from sdg_operator.engine import contract
from sdg_operator.engine.contract import EngineError, EngineResult, ExitCode
from sdg_operator.engine.estimate import expected_samples
from sdg_operator.engine.pipelines import CUSTOM
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
    try:
        flow_files = refuse_wrong_usage(options)
        out: Path = options.out.resolve()
        with locked(out, _LAYOUT) as (work, lock):
            return _Run(FolderStore(out), options, flow_files, work, lock).make()
    except WrongUsage as wrong:
        print(f"sdg: {wrong}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"sdg: {error.message}", file=sys.stderr)
        return ExitCode.STORAGE_REFUSED


@dataclass(frozen=True, slots=True)
class _Run:
    store: FolderStore
    options: argparse.Namespace
    flow_files: Mapping[str, str]
    work: Path
    lock: int

    def make(self) -> int:
        inspection = inspected(self.options.path, self.options, self.work, documents=True)
        print_report(inspection.report, "text", self.options.path)
        if not inspection.report.ok:
            return 1
        archive = self.work / "packed.tar.gz"
        snapshot = inspection.write(archive)
        inputs = self._inputs(inspection, snapshot)
        if not inputs.leaves:
            print("sdg: no leaf of the taxonomy matches --leaves", file=sys.stderr)
            return 2
        self.store.put_file(snapshot_key(snapshot), archive)
        archive.unlink()
        take_inputs(self.store, _LAYOUT, inputs)
        self._forget_failures(standing(inputs, leaf_records(self.store, _LAYOUT)))
        now = standing(inputs, leaf_records(self.store, _LAYOUT))
        code = 0
        if now.missing:
            code = self._generate(now)
            now = standing(inputs, leaf_records(self.store, _LAYOUT))
            if now.missing or code == ExitCode.INTERRUPTED:
                return _left(code or ExitCode.INTERNAL, f"{len(now.missing)} of {len(inputs.leaves)} leaves are still")
        plan = plan_mix(inputs, now)
        if not plan.sources:
            return code or ExitCode.EMPTY_RESULT
        take_plan(self.store, _LAYOUT, plan)
        flags = ["--work", str(self.work), "--run-root", _LAYOUT.root, "--store-folder", str(self.work.parent)]
        if code := self._call("mix", flags, {}):
            return _left(code, "the training files are still")
        manifest = read_record(self.store, _LAYOUT.manifest, Manifest)
        remove_other_artifacts(self.store, _LAYOUT, manifest)
        remove_work(self.work)
        _tell(manifest, now, self.work.parent / _LAYOUT.root)
        return 1 if now.failed else 0

    def _inputs(self, inspection: Inspection, snapshot: str) -> RunInputs:
        """Return what the run depends on."""
        settings = self._settings()
        return RunInputs(
            run=RunIdentity(namespace=_ME, name=self.work.parent.name, uid=_ME),
            snapshot=snapshot,
            engine=_ME,
            settings=settings,
            max_concurrency=self.options.max_concurrency,
            leaves=tuple(
                LeafInput(
                    id=leaf.id,
                    path=leaf.path,
                    kind=leaf.kind,
                    input_digest=input_digest(leaf, _ME, settings),
                    expected_samples=expected_samples(leaf.kind, leaf.seeds, leaf.document_bytes, settings),
                )
                for leaf in select(inspection.index, self.options.leaves)
            ),
        )

    def _settings(self) -> SampleSettings:
        options = self.options
        return SampleSettings(
            pipeline=CUSTOM if self.flow_files else options.pipeline,
            pipeline_files=dict(self.flow_files),
            scale_factor=options.scale_factor,
            batch_size=options.batch_size,
            max_tokens=options.max_tokens,
            model=options.model,
            model_family=options.model_family,
            system_prompt=options.system_prompt,
            preview=options.preview,
        )

    def _forget_failures(self, now: Standing) -> None:
        """Whoever gives the command again wants failed leaves to be tried again."""
        for leaf in now.failed:
            record = now.chosen[leaf.id]
            self.store.delete(_LAYOUT.leaf_record(leaf.id, record.attempt, record.pod))
            for made in ("leaves", "checkpoints"):
                shutil.rmtree(self.work / "out" / made / leaf.id, ignore_errors=True)

    def _generate(self, now: Standing) -> int:
        """Run the engine on the work folder and record what it finished, however it ended."""
        attempt = 1 + sum(1 for _ in self.store.list(_LAYOUT.attempt_plan(0).removesuffix("0.json")))
        self.store.put_bytes(_LAYOUT.attempt_plan(attempt), plan_attempt(attempt, now.missing, 1, now.done).to_json())
        fetch(self.store, _LAYOUT, self.work, attempt=attempt, shard=0)
        given = {
            contract.WORK_ENV: str(self.work),
            contract.TEACHER_URL_ENV: self.options.teacher,
            contract.TEACHER_MODEL_ENV: self.options.model,
            contract.ACK_SECONDS_ENV: "0",
        }
        if self.options.token_file:
            given[contract.TEACHER_TOKEN_FILE_ENV] = str(self.options.token_file.resolve())
        if self.options.teacher_ca_file:
            given[contract.TEACHER_CA_FILE_ENV] = str(self.options.teacher_ca_file.resolve())
        code = self._call("instructlab", [], given)
        spool = self.work / "spool"
        spool.mkdir(exist_ok=True)
        sync = take_up(self.store, _LAYOUT, self.work, spool, attempt=attempt, shard=0, pod=_ME)
        try:
            sync.flush(0.0, whole=True)
        finally:
            sync.work.close()
        return code

    def _call(self, module: str, flags: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a container's program and tell why it failed."""
        said = self.work / "last-words"
        said.unlink(missing_ok=True)
        command = [sys.executable, "-m", f"sdg_operator.engine.{module}", *flags]
        code = call(command, {**os.environ, **environment, MESSAGE_ENV: str(said)}, self.lock)
        if code and (error := _last_words(said)):
            # The engine sees a copy of the flow files.
            message = error.message.replace(str(self.work / "in" / "pipeline"), self.options.pipeline)
            print(f"sdg: {error.reason}: {message}", file=sys.stderr)
        return code


def _left(code: int, what: str) -> int:
    """Tell what a run that ends early leaves to be made, and what helps."""
    cure = (
        "the same command goes on from" if code >= ExitCode.TEACHER_UNAVAILABLE else "mend that; then it goes on with"
    )
    print(f"sdg: {what} to be made; {cure} what is finished", file=sys.stderr)
    return code


def _last_words(said: Path) -> EngineError | None:
    try:
        return EngineResult.model_validate_json(said.read_bytes()).error
    except (OSError, ValidationError):  # it was killed before it had any
        return None


def _tell(manifest: Manifest, now: Standing, result: Path) -> None:
    for leaf in now.failed:
        record = now.chosen[leaf.id]
        print(f"FAILED: {leaf.path}: {record.reason}: {record.message}")
    print(f"{manifest.samples.knowledge} rows in {result / KNOWLEDGE_TRAIN_FILE}")
    print(f"{manifest.samples.skills} rows in {result / SKILLS_TRAIN_FILE}")
