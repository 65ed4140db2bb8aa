"""What users apply, for tests of the operator's shell."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.api import API_VERSION
from sdg_operator.reconcile.names import ROLE_LABEL
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.records import SnapshotIndex, SnapshotLeaf
from sdg_operator.taxonomy.snapshot import write_snapshot

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def apply(server: ApiAccess, body: dict[str, Any]) -> None:
    server.kubectl("apply", "--filename=-", stdin=json.dumps(body))


def storage_secret(
    server: ApiAccess, namespace: str, s3: S3Access, bucket: str, secret: str = "sdg-storage", **more: str
) -> None:
    """The Secret that a run uses, by default the one that it takes unasked."""
    keys = {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_S3_ENDPOINT": s3.endpoint,
        "AWS_S3_BUCKET": bucket,
    }
    metadata = {"name": secret, "namespace": namespace}
    apply(server, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {**keys, **more}})


def teacher_secret(server: ApiAccess, namespace: str) -> None:
    """The Secret of a teacher that no pod asks."""
    teacher = {"endpoint": "http://teacher.example/v1", "model_name": "any"}
    metadata = {"name": "sdg-teacher", "namespace": namespace}
    apply(server, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": teacher})


def taxonomy(server: ApiAccess, namespace: str, name: str, **more: str) -> None:
    """A Taxonomy from the bucket."""
    spec = {"source": {"bucket": {"key": "taxonomies/taxonomy.tar.gz"}}, **more}
    metadata = {"name": name, "namespace": namespace}
    apply(server, {"apiVersion": API_VERSION, "kind": "Taxonomy", "metadata": metadata, "spec": spec})


def write_index(file: Path, *names: str) -> str:
    """A snapshot with the index of these skills, as a check writes it; gives its digest. No pod reads more."""
    leaves = [
        SnapshotLeaf(
            id=f"compositional_skills_{name}",
            path=f"compositional_skills->{name}",
            folder=f"taxonomy/compositional_skills/{name}",
            kind="freeform",
            digest="sha256:" + "a" * 64,
            seeds=5,
        )
        for name in names
    ]
    return write_snapshot(file, SnapshotIndex(leaves=tuple(leaves)), ())[0]


def ready_for_runs(
    server: ApiAccess, namespace: str, s3: S3Access, client: "S3Client", bucket: str, folder: Path, **more: str
) -> str:
    """All that a run needs: both Secrets, the Taxonomy birds, and a snapshot whose digest it gives."""
    file = folder / f"snapshot-{namespace}"
    digest = write_index(file, "a")
    client.upload_file(str(file), bucket, snapshot_key(digest))
    storage_secret(server, namespace, s3, bucket, **more)
    teacher_secret(server, namespace)
    taxonomy(server, namespace, "birds")
    return digest


def run(name: str, digest: str | None = None, **more: Any) -> dict[str, Any]:
    """A run of the Taxonomy birds; with a digest, of a snapshot that is there already."""
    spec = {"taxonomyRef": {"name": "birds", **({"digest": digest} if digest else {})}, **more}
    return {"apiVersion": API_VERSION, "kind": "DataGeneration", "metadata": {"name": name}, "spec": spec}


def generate_jobs(server: ApiAccess, namespace: str) -> list[str]:
    """Names of all Jobs that generate."""
    items = get(server, "jobs", namespace, f"--selector={ROLE_LABEL}=generate")["items"]
    return sorted(str(job["metadata"]["name"]) for job in items)


def get(server: ApiAccess, what: str, namespace: str, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        server.kubectl("get", what, "--namespace", namespace, "--output", "json", *flags)
    )
    return found
