"""How long a new run waits for its Job while thousands of resources of another namespace are due.

A real kube-apiserver, a real S3 server and the operator's program. ``python -m bench.queue_fairness [--keys 10000]``
fills one namespace with Taxonomies, starts the operator, and while their first passes are under way applies runs in
other namespaces, one after the other; it prints how long each waited for the Job that generates.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hack.cluster.apiserver import ApiServer
from hack.cluster.s3 import S3Server
from hack.cluster.steps import until_established
from sdg_operator.api import API_VERSION
from sdg_operator.clients.kubernetes import KubernetesApi, connect
from sdg_operator.clients.protocols import Resource
from sdg_operator.reconcile.names import ROLE_LABEL
from tests.integration.controller.objects import ready_for_runs, run
from tests.integration.controller.operators import OperatorProcess

ROOT = Path(__file__).parents[1]
CROWD = "crowd"


def taxonomy(name: str) -> dict[str, Any]:
    spec = {"source": {"bucket": {"key": "taxonomies/taxonomy.tar.gz"}}}
    return {"apiVersion": API_VERSION, "kind": "Taxonomy", "metadata": {"name": name}, "spec": spec}


async def fill(api: KubernetesApi, count: int) -> None:
    """Make the crowd: its Secret is missing, so each pass reads, decides, and writes a status and an event."""
    places = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with places:
            await api.create(Resource.TAXONOMIES, CROWD, taxonomy(f"t{number}"))

    await asyncio.gather(*(one(number) for number in range(count)))


async def wait_for_job(api: KubernetesApi, namespace: str, digest: str) -> float:
    """Apply a run and give the seconds until its Job is there."""
    began = time.monotonic()
    await api.create(Resource.DATA_GENERATIONS, namespace, run("quick", digest))
    while not await api.list(Resource.JOBS, namespace, label_selector=f"{ROLE_LABEL}=generate"):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def measure(server: ApiServer, operator: OperatorProcess, quiet: list[str], digest: str, keys: int) -> None:
    async with connect(server.kubeconfig) as api:
        began = time.monotonic()
        await fill(api, keys)
        print(f"{keys} Taxonomies made in {time.monotonic() - began:.0f} s")
        operator.start()
        began = time.monotonic()
        await asyncio.to_thread(operator.wait_ready, 120)
        print(f"the operator had listed them after {time.monotonic() - began:.1f} s")
        waits = []
        for namespace in quiet:
            depth = await asyncio.to_thread(operator.metric, "sdg_operator_queue_depth")
            waits.append(await wait_for_job(api, namespace, digest))
            print(f"{depth:6.0f} due: a new run had its Job after {waits[-1]:.2f} s")
        print(f"median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s (promised: 2 s)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--tries", type=int, default=10)
    options = parser.parse_args()
    quiet = [f"quiet-{number}" for number in range(options.tries)]
    with ApiServer() as server, S3Server() as s3, tempfile.TemporaryDirectory() as folder:
        server.kubectl("apply", "--filename", str(ROOT / "crds"))
        until_established(server.kubectl)
        client = s3.client()
        client.create_bucket(Bucket="bench")
        for namespace in (CROWD, *quiet):
            server.kubectl("create", "namespace", namespace)
        for namespace in quiet:
            digest = ready_for_runs(server, namespace, s3, client, "bench", Path(folder))
        operator = OperatorProcess(Path(folder), server.kubeconfig)
        try:
            asyncio.run(measure(server, operator, quiet, digest, options.keys))
        finally:
            operator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
