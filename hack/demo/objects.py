"""The objects that the demo makes besides the user's two: namespaces, Secrets, an S3 server."""

from typing import Any, Final

SYSTEM: Final = "sdg-system"
NAMESPACE: Final = "sdg-demo"
RELEASE: Final = "sdg-operator"
MARK: Final = {"sdg-operator.io/demo": "true"}
"""Label of what the demo makes outside a namespace: what lacks it is somebody else's."""
BUCKET: Final = "demo"
S3_PORT: Final = 7070
RESTRICTED: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONFINED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_S3_LABELS: Final = {"app.kubernetes.io/name": "s3", "app.kubernetes.io/part-of": "sdg-demo"}


def namespace(name: str) -> dict[str, Any]:
    """A namespace that refuses whatever the restricted profile of Pod Security does not allow."""
    labels = {**MARK, "app.kubernetes.io/part-of": "sdg-demo", "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(name: str, data: dict[str, str], where: str = NAMESPACE) -> dict[str, Any]:
    metadata = {"name": name, "namespace": where, "labels": {"app.kubernetes.io/part-of": "sdg-demo"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def storage_secret(key: str) -> dict[str, str]:
    """The data-connection keys, as an administrator would fill them in."""
    return {
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": key,
        "AWS_S3_ENDPOINT": f"http://s3.{SYSTEM}.svc:{S3_PORT}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_S3_BUCKET": BUCKET,
    }


def s3_server(image: str, keys: dict[str, str]) -> list[dict[str, Any]]:
    """A versitygw whose bucket is a folder of its pod: gone with the pod, which suits a demo and nothing else."""
    metadata = {"name": "s3", "namespace": SYSTEM, "labels": _S3_LABELS}
    mount = [{"name": "data", "mountPath": "/data"}]
    server = {
        "name": "s3",
        "image": image,
        "args": ["--port", f":{S3_PORT}", "--quiet", "posix", "/data"],
        "env": [
            {"name": "ROOT_ACCESS_KEY", "value": keys["AWS_ACCESS_KEY_ID"]},
            {"name": "ROOT_SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "AWS_SECRET_ACCESS_KEY"}}},
        ],
        "ports": [{"name": "s3", "containerPort": S3_PORT}],
        "readinessProbe": {"tcpSocket": {"port": "s3"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": CONFINED,
        "volumeMounts": mount,
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**RESTRICTED, "runAsUser": 10001},
        "containers": [server],
        "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "2Gi"}}],
    }
    return [
        secret("s3", keys, SYSTEM),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": _S3_LABELS},
                "template": {"metadata": {"labels": _S3_LABELS}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": _S3_LABELS, "ports": [{"name": "s3", "port": S3_PORT, "targetPort": "s3"}]},
        },
    ]
