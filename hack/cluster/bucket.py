"""An S3 server inside the cluster, for tests: pods reach it by its Service, this machine by the node's address."""

import json
import secrets
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from hack.cluster.cache import lock
from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.steps import step, wait_for

NAMESPACE: Final = "sdg-s3"
_PORT: Final = 7070
_NODE_PORT: Final = 30707
_LABELS: Final = {"app.kubernetes.io/name": "sdg-s3"}
_FIRST_NODE: Final = "node-role.kubernetes.io/control-plane"


def start_s3(cluster: Cluster, bucket: str) -> dict[str, str]:
    """Start the server if it does not run, make the bucket, and say how pods and this machine reach it."""
    image = load_images(cluster, ["sdg-s3"])["sdg-s3"]
    # Side by side, two would make two keys, and the apply of one would find the other's objects half made.
    with step("S3 server in the cluster"), lock(f"s3-{cluster.name}"):
        access = {"ROOT_ACCESS_KEY": "sdg", "ROOT_SECRET_KEY": _secret_key(cluster)}
        objects = {"apiVersion": "v1", "kind": "List", "items": _objects(image, access)}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(objects))
        cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment", "s3", "--timeout=120s")
    answer = {
        "podEndpoint": f"http://s3.{NAMESPACE}.svc:{_PORT}",
        "hostEndpoint": f"http://{cluster.node_address()}:{_NODE_PORT}",
        "accessKey": access["ROOT_ACCESS_KEY"],
        "secretKey": access["ROOT_SECRET_KEY"],
        "bucket": bucket,
    }
    session = boto3.session.Session(answer["accessKey"], answer["secretKey"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=answer["hostEndpoint"])

    def there() -> bool:
        try:
            client.create_bucket(Bucket=bucket)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            return True
        except (BotoCoreError, ClientError):
            return False
        return True

    wait_for(f"bucket {bucket}", 60, there)
    return answer


def _secret_key(cluster: Cluster) -> str:
    """The key of the server that runs, or a new one."""
    file = cluster.folder / "s3-secret-key"
    if not file.exists():
        file.write_text(secrets.token_hex(16))
    return file.read_text()


def _objects(image: str, access: dict[str, str]) -> list[dict[str, object]]:
    container = {
        "name": "s3",
        "image": image,
        "args": ["--port", f":{_PORT}", "--quiet", "posix", "/data"],
        "env": [{"name": name, "value": value} for name, value in access.items()],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    metadata = {"name": "s3", "namespace": NAMESPACE, "labels": _LABELS}
    pod = {
        "metadata": {"labels": _LABELS},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "data", "emptyDir": {}}],
            # Beside the API server: a test that loses a worker must not lose what it is judged by.
            "nodeSelector": {_FIRST_NODE: ""},
            "tolerations": [{"key": _FIRST_NODE, "operator": "Exists"}],
        },
    }
    deployment = {"strategy": {"type": "Recreate"}, "selector": {"matchLabels": _LABELS}, "template": pod}
    port = {"port": _PORT, "targetPort": _PORT, "nodePort": _NODE_PORT}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"type": "NodePort", "selector": _LABELS, "ports": [port]},
        },
    ]
