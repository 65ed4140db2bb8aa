"""How far a run's status lags behind its Jobs and pods while many runs are active.

A real kube-apiserver, a real S3 server and the operator's program. There is no node and no Job controller: this program
writes what they would, namely pods, and the statuses of pods and Jobs. ``python -m bench.status_latency [--runs 100]``
measures from just before an event is sent to the API server until the DataGeneration says so: pods that start all at
once (a few requests at a time, as nodes send them), then pods that start and Jobs that fail one after the other, while
the progress of all runs at work is read from the bucket as often as by default.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hack.cluster.apiserver import ApiServer
from hack.cluster.s3 import S3Server
from hack.cluster.steps import until_established
from sdg_operator.clients.kubernetes import KubernetesApi, connect
from sdg_operator.clients.protocols import Json, Resource
from sdg_operator.reconcile import clock
from sdg_operator.reconcile.names import ATTEMPT_LABEL, NAME_LABEL, ROLE_LABEL
from tests.integration.controller.objects import ready_for_runs, run
from tests.integration.controller.operators import OperatorProcess

ROOT = Path(__file__).parents[1]
NAMESPACE: Final = "busy"
BUCKET: Final = "bench"
_PATIENCE_SECONDS: Final = 60.0
_NODES: Final = 8
"""How many send something at the same time."""

Names = list[str]


def now() -> str:
    return clock.to_text(datetime.now(UTC))


def state_of(pod: Json, phase: str, state: dict[str, Any]) -> Json:
    """The pod with all its containers in one state, as the kubelet reports it."""
    running = "running" in state

    def said(container: Json) -> Json:
        image = {"image": container["image"], "imageID": ""}
        return {"name": container["name"], "ready": running, "restartCount": 0, "state": state, **image}

    pod["status"] |= {
        "phase": phase,
        "initContainerStatuses": [said(c) for c in pod["spec"].get("initContainers", [])],
        "containerStatuses": [said(c) for c in pod["spec"]["containers"]],
    }
    return pod


class Load:
    """Who keeps this machine's processors busy from now on: what lags for want of them says nothing of the operator."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._operator = operator
        self._began = time.monotonic()
        self._before = self._spent()

    def _spent(self) -> dict[str, float]:
        """Processor seconds so far."""
        idle = sum(map(int, Path("/proc/stat").read_text().split()[4:6]))  # idle and iowait, in ticks: proc_stat(5)
        return {
            "operator": self._operator.metric("process_cpu_seconds_total"),
            "this bench": time.process_time(),
            "idle": idle / os.sysconf("SC_CLK_TCK"),
        }

    def show(self) -> None:
        seconds, cores = time.monotonic() - self._began, os.cpu_count() or 1
        parts = {who: (now - self._before[who]) / seconds for who, now in self._spent().items()}
        parts["its servers and others"] = cores - sum(parts.values())
        print(f"meanwhile, of {cores} processors:", ", ".join(f"{who} {part:.2f}" for who, part in parts.items()))


class Cluster:
    """The hands of the node and the Job controller that are not there."""

    def __init__(self, api: KubernetesApi) -> None:
        self.api = api

    async def statuses(self, names: Names) -> dict[str, Json]:
        """Of one run by itself: reading all of them over and over would be a load of its own."""
        if len(names) == 1:
            found = [await self.api.get(Resource.DATA_GENERATIONS, NAMESPACE, names[0])]
        else:
            found = await self.api.list(Resource.DATA_GENERATIONS, NAMESPACE)
        return {body["metadata"]["name"]: body.get("status") or {} for body in found}

    async def bind_pods(self, attempt: int, count: int) -> None:
        """Make the pod of each run's attempt once its Job is there, on a node and not yet started."""
        labels = f"{ROLE_LABEL}=generate,{ATTEMPT_LABEL}={attempt}"
        until = time.monotonic() + _PATIENCE_SECONDS
        while len(jobs := await self.api.list(Resource.JOBS, NAMESPACE, label_selector=labels)) < count:
            assert time.monotonic() < until, f"{len(jobs)} of {count} Jobs are there"
            await asyncio.sleep(0.5)
        await asyncio.gather(*(self._bind(job, attempt) for job in jobs))

    async def _bind(self, job: Json, attempt: int) -> None:
        meta, template = job["metadata"], job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{meta['labels'][NAME_LABEL]}-{attempt}",
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner],
            },
            "spec": template["spec"] | {"nodeName": "node-1"},
        }
        await self.api.create(Resource.PODS, NAMESPACE, pod)

    async def start_pod(self, name: str, attempt: int) -> None:
        pod = await self.api.get(Resource.PODS, NAMESPACE, f"{name}-{attempt}")
        await self.api.replace_status(Resource.PODS, state_of(pod, "Running", {"running": {"startedAt": now()}}))

    async def fail_job(self, name: str, attempt: int) -> None:
        pod = await self.api.get(Resource.PODS, NAMESPACE, f"{name}-{attempt}")
        end = {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()}
        await self.api.replace_status(Resource.PODS, state_of(pod, "Failed", {"terminated": end}))
        job = await self.api.get(Resource.JOBS, NAMESPACE, pod["metadata"]["ownerReferences"][0]["name"])
        said = {"status": "True", "reason": "PodFailurePolicy", "message": "a pod failed", "lastTransitionTime": now()}
        job["status"] = {
            "startTime": job["metadata"]["creationTimestamp"],
            "failed": 1,
            "conditions": [{"type": "FailureTarget", **said}, {"type": "Failed", **said}],
        }
        await self.api.replace_status(Resource.JOBS, job)

    async def lags(
        self, names: Names, event: Callable[[str], Awaitable[None]], said: Callable[[Json], bool]
    ) -> list[float]:
        """Let the event happen to all these runs at once; seconds from each one's event until its status says so."""
        before = await self.statuses(names)
        assert not any(said(before[name]) for name in names), "a status says so already"
        began = time.monotonic()
        sent: dict[str, float] = {}
        nodes = asyncio.Semaphore(_NODES)

        async def happen(name: str) -> None:
            async with nodes:
                sent[name] = time.monotonic()
                await event(name)

        happening = asyncio.gather(*(happen(name) for name in names))
        lags: dict[str, float] = {}
        while len(lags) < len(names):
            assert time.monotonic() - began < _PATIENCE_SECONDS, "a status never says so"
            if happening.done():
                happening.result()  # what was refused is told at once
            for name, status in (await self.statuses(names)).items():
                if name in names and said(status):
                    lags.setdefault(name, time.monotonic() - sent[name])
            await asyncio.sleep(0.02 if len(names) == 1 else 0.1)
        await happening
        if len(names) > 1:
            print(f"the {len(names)} events were sent within {max(sent.values()) - began:.2f} s")
        return list(lags.values())


def show(what: str, lags: list[float]) -> None:
    p95 = statistics.quantiles(lags, n=20, method="inclusive")[-1]
    print(f"{what}: p50 {statistics.median(lags):.2f} s, p95 {p95:.2f} s, longest {max(lags):.2f} s (promised: 2 s)")


async def measure(server: ApiServer, operator: OperatorProcess, digest: str, count: int, single: int) -> None:
    names = [f"r{number}" for number in range(count)]
    async with connect(server.kubeconfig) as api:
        cluster = Cluster(api)
        await asyncio.to_thread(operator.wait_ready)
        began = time.monotonic()
        await asyncio.gather(*(api.create(Resource.DATA_GENERATIONS, NAMESPACE, run(name, digest)) for name in names))
        await cluster.bind_pods(1, count)
        print(f"{count} runs had their Jobs after {time.monotonic() - began:.1f} s")

        def at_work(status: Json) -> bool:
            return bool(status["state"] == "running")

        def tried_again(status: Json) -> bool:
            return bool(status["attempt"]["number"] == 2)

        load = Load(operator)
        lags = await cluster.lags(names[single:], lambda name: cluster.start_pod(name, 1), at_work)
        show(f"{len(lags)} pods that start at once", lags)
        load.show()
        load = Load(operator)
        lags = []
        for name in names[:single]:
            lags += await cluster.lags([name], lambda name: cluster.start_pod(name, 1), at_work)
        show("pods that start one after the other", lags)
        lags = []
        for name in names[-single:]:
            lags += await cluster.lags([name], lambda name: cluster.fail_job(name, 1), tried_again)
        show("Jobs that fail one after the other", lags)
        load.show()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="active runs")
    parser.add_argument("--single", type=int, default=30, help="events of each kind that happen one after the other")
    options = parser.parse_args()
    with ApiServer(controller_manager=False) as server, S3Server() as s3, tempfile.TemporaryDirectory() as folder:
        server.kubectl("apply", "--filename", str(ROOT / "crds"))
        until_established(server.kubectl)
        client = s3.client()
        client.create_bucket(Bucket=BUCKET)
        server.kubectl("create", "namespace", NAMESPACE)
        server.kubectl("create", "serviceaccount", "default", "--namespace", NAMESPACE)
        digest = ready_for_runs(server, NAMESPACE, s3, client, BUCKET, Path(folder))
        with OperatorProcess(Path(folder), server.kubeconfig) as operator:
            asyncio.run(measure(server, operator, digest, options.runs, options.single))
    return 0


if __name__ == "__main__":
    sys.exit(main())
