"""The main job: two resources become `completed`, through Jobs that the operator makes as a process of its own.

API server, Jobs' controller and S3 server are real. No pod can run without a node, so the test says what a kubelet
says, and writes into the bucket what the pods' programs write.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.steps import wait_for
from sdg_operator.engine.contract import ExitCode
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.records import (
    AttemptPlan,
    FileRef,
    LeafRecord,
    Manifest,
    ManifestFile,
    MixPlan,
    RunInputs,
    SampleCounts,
    ShardProgress,
    Tokens,
)
from sdg_operator.taxonomy.report import Counts, Problem, ShortReport
from tests.integration.controller.kubelet import Pod, attempt_of, index_of
from tests.integration.controller.objects import generate_jobs, get, taxonomy, write_index
from tests.integration.controller.operators import SETTINGS, OperatorProcess
from tests.integration.controller.stage import Stage, apply_run


@pytest.fixture
def operator(stage: Stage, tmp_path: Path) -> Iterator[OperatorProcess]:
    # Looks into the bucket more often than users need, for the test waits for each.
    settings = {**SETTINGS, "limits": {**SETTINGS["limits"], "progressIntervalSeconds": 1}}
    settings["networkPolicy"] = {"create": True, "ports": [9000]}
    flags = [f"--namespace={stage.namespace}"]
    with OperatorProcess(tmp_path, stage.server.kubeconfig, *flags, settings=settings) as running:
        running.wait_ready()
        yield running


def end_check(stage: Stage, folder: Path, *leaves: str) -> None:
    """What a check's pod does: the snapshot into the bucket, the report into its last words."""
    file = folder / "snapshot"
    digest = write_index(file, *leaves)
    stage.put(snapshot_key(digest), file.read_bytes())
    (pod,) = stage.kubelet.wait_pods("birds", "validate")
    stage.kubelet.start(pod)
    report = ShortReport(
        ok=True,
        reason="Valid",
        message=f"{len(leaves)} leaves",
        digest=digest,
        snapshot_key=snapshot_key(digest),
        revision=stage.revision,
        counts=Counts(leaves=len(leaves), freeform=len(leaves), seeds=5 * len(leaves)),
    )
    stage.kubelet.end(pod, message=report.to_text())


def say_progress(stage: Stage, owner: str, pod: Pod, leaf: str, samples: int, *, done: bool = False) -> None:
    """What the sync container writes while its engine works on the leaf of this id, its only one."""
    attempt, shard = attempt_of(pod), index_of(pod)
    progress = ShardProgress(
        attempt=attempt,
        shard=shard,
        pod=pod["metadata"]["name"],
        phase="generating",
        leaf=leaf.replace("_skills_", "_skills->"),
        leaf_samples=samples,
        leaf_expected=100,
        samples=samples,
        expected=100,
        leaves_done=int(done),
        leaves_total=1,
        tokens=Tokens(prompt=10, completion=5) if done else Tokens(),
        sequence=samples,
    )
    stage.put(stage.layout(owner).progress(attempt, shard), progress.to_json())


def finish_leaf(stage: Stage, owner: str, pod: Pod, leaf: str, samples: int) -> None:
    """A leaf's samples and its done record, as the sync container writes them."""
    layout, name = stage.layout(owner), pod["metadata"]["name"]
    inputs = RunInputs.model_validate_json(stage.get(layout.inputs))
    (wanted,) = (each for each in inputs.leaves if each.id == leaf)
    key, body = layout.samples(leaf, attempt_of(pod), name), b'{"output": "a"}\n' * samples
    stage.put(key, body)
    data = FileRef(key=key, size=len(body), sha256=hashlib.sha256(body).hexdigest(), lines=samples)
    record = LeafRecord(
        leaf=leaf,
        input_digest=wanted.input_digest,
        attempt=attempt_of(pod),
        pod=name,
        outcome="done",
        samples=samples,
        expected_samples=wanted.expected_samples,
        tokens=Tokens(prompt=10, completion=5),
        data=data,
    )
    stage.put(layout.leaf_record(leaf, attempt_of(pod), name), record.to_json())
    say_progress(stage, owner, pod, leaf, samples, done=True)


def mix(stage: Stage, owner: str) -> None:
    """What the mix container does: the train file, and last the manifest."""
    layout = stage.layout(owner)
    inputs = RunInputs.model_validate_json(stage.get(layout.inputs))
    plan = MixPlan.model_validate_json(stage.get(layout.mix))
    lines = sum(source.samples for source in plan.sources)
    body = b'{"messages": []}\n' * lines
    file = ManifestFile(
        path="skills_train_msgs.jsonl", size=len(body), sha256=hashlib.sha256(body).hexdigest(), lines=lines
    )
    stage.put(layout.file(file.path), body)
    tokens = Tokens(
        prompt=sum(source.tokens.prompt for source in plan.sources),
        completion=sum(source.tokens.completion for source in plan.sources),
    )
    manifest = Manifest(
        run=inputs.run,
        snapshot=inputs.snapshot,
        engine=inputs.engine,
        settings=inputs.settings,
        versions={},
        files=(file,),
        samples=SampleCounts(skills=lines, total=lines),
        tokens=tokens,
        leaves=(),
    )
    stage.put(layout.manifest, manifest.to_json())


def leaves_of(stage: Stage, owner: str, attempt: int) -> tuple[tuple[str, ...], ...]:
    """Which shard makes which leaves, as the operator has written it."""
    return AttemptPlan.model_validate_json(stage.get(stage.layout(owner).attempt_plan(attempt))).shards


def policies(stage: Stage) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = get(stage.server, "networkpolicies", stage.namespace)["items"]
    return items


def test_two_resources_become_training_files(stage: Stage, operator: OperatorProcess, tmp_path: Path) -> None:
    taxonomy(stage.server, stage.namespace, "birds")
    apply_run(stage, "birds-1", parallelism=2, engine={"resources": {"limits": {"nvidia.com/gpu": 2}}})
    end_check(stage, tmp_path, "wren", "heron")
    checked = stage.wait_status("taxonomy/birds", lambda status: status.get("state") == "completed")
    assert checked["leaves"]["total"] == 2

    first, second = stage.kubelet.wait_pods("birds-1", "generate", count=2)
    assert stage.status("dg/birds-1")["state"] == "queued", "no pod runs yet"
    assert stage.status("dg/birds-1")["snapshotDigest"] == checked["snapshot"]["digest"]
    assert stage.status("dg/birds-1")["plan"]["leaves"] == 2
    (policy,) = policies(stage)
    labels = policy["spec"]["podSelector"]["matchLabels"].items()
    assert all(labels <= pod["metadata"]["labels"].items() for pod in (first, second))
    assert policy["spec"]["egress"][1] == {"ports": [{"port": 9000, "protocol": "TCP"}]}
    (for_first,), (for_second,) = leaves_of(stage, "birds-1", 1)
    stage.kubelet.start(first, ago=timedelta(hours=1))
    stage.kubelet.start(second)
    stage.wait_status("dg/birds-1", lambda status: status.get("state") == "running")

    say_progress(stage, "birds-1", first, for_first, 12)
    name = for_first.removeprefix("compositional_skills_")
    said = f"Generating data for taxonomy path compositional_skills->{name}: 12% 12/100 (total qna processed 0/2)"
    status = stage.wait_status("dg/birds-1", lambda status: status.get("message") == said)
    assert status["progress"]["samples"] == 12

    finish_leaf(stage, "birds-1", first, for_first, 100)
    stage.kubelet.end(first)
    stage.wait_status("dg/birds-1", lambda status: status["progress"].get("leaves") == "1/2")

    operator.kill()
    operator.start()
    operator.wait_ready()
    stage.kubelet.end(second, exit_code=137)
    (replacement,) = stage.kubelet.wait_pods("birds-1", "generate")
    assert replacement["metadata"]["uid"] != second["metadata"]["uid"]
    stage.kubelet.start(replacement)
    finish_leaf(stage, "birds-1", replacement, for_second, 47)
    stage.kubelet.end(replacement)

    (mixing,) = stage.kubelet.wait_pods("birds-1", "mix")
    assert stage.status("dg/birds-1")["state"] == "running"
    stage.kubelet.start(mixing)
    mix(stage, "birds-1")
    stage.kubelet.end(mixing)
    ended = stage.wait_status("dg/birds-1", lambda status: status.get("state") not in ("queued", "running"))
    assert ended["state"] == "completed", ended["message"]
    assert ended["dataMetrics"]["samples"] == {"knowledge": 0, "skills": 147, "total": 147}
    assert ended["dataMetrics"]["tokens"] == {"prompt": 20, "completion": 10, "total": 30}
    assert (ended["progress"]["percent"], ended["progress"]["leaves"]) == (100, "2/2")
    wait_for("the end of its policy", 120, lambda: not policies(stage))
    assert 2 <= ended["cost"]["gpuSeconds"] / 3600 < 3, "the two GPUs of the first pod for an hour, and that hour once"
    assert ended["cost"]["wastedGpuSeconds"] < 3600, "all but moments were work"
    assert len(generate_jobs(stage.server, stage.namespace)) == 1, "one attempt, though pod and operator were killed"


def test_a_taxonomy_that_is_not_valid_starts_no_run(stage: Stage, operator: OperatorProcess) -> None:
    taxonomy(stage.server, stage.namespace, "birds")
    apply_run(stage, "birds-1")
    (pod,) = stage.kubelet.wait_pods("birds", "validate")
    stage.kubelet.start(pod)
    problem = Problem(file="compositional_skills/wren/qna.yaml", line=7, message="'answer' is a required property")
    report = ShortReport(
        ok=False, reason="InvalidTaxonomy", message="1 problem in 1 leaf", revision=stage.revision, problems=(problem,)
    )
    stage.kubelet.end(pod, exit_code=ExitCode.INVALID_INPUT, message=report.to_text())
    refused = stage.wait_status("taxonomy/birds", lambda status: status.get("state") == "failed")
    (told,) = refused["problems"]
    assert (told["file"], told["line"], told["message"]) == (problem.file, problem.line, problem.message)
    stage.wait_status("dg/birds-1", lambda status: "birds" in status.get("message", ""))
    assert not generate_jobs(stage.server, stage.namespace)


def test_a_canceled_run_stops_its_job_and_ends(stage: Stage, operator: OperatorProcess, tmp_path: Path) -> None:
    taxonomy(stage.server, stage.namespace, "birds")
    apply_run(stage, "birds-1")
    end_check(stage, tmp_path, "wren")
    (pod,) = stage.kubelet.wait_pods("birds-1", "generate")
    stage.kubelet.start(pod)
    stage.wait_status("dg/birds-1", lambda status: status.get("state") == "running")
    apply_run(stage, "birds-1", cancel=True)
    ended = stage.wait_status("dg/birds-1", lambda status: status.get("state") not in ("queued", "running"))
    assert ended["state"] == "canceled"
    # Without a node the API server itself takes a deleted pod away.
    assert not stage.kubelet.pods("birds-1", "generate"), "it is over when no pod holds a GPU any more"
    assert not generate_jobs(stage.server, stage.namespace)
