"""The Git server with the documents of the example taxonomy's knowledge leaf, inside the cluster."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from hack.demo.objects import CONFINED, NAMESPACE, RESTRICTED, secret
from hack.gitserver import server
from hack.gitserver.certificates import make_certificates

NAME: Final = "documents"
HOST: Final = f"{NAME}.{NAMESPACE}.svc"
CA_CONFIG_MAP: Final = "sdg-demo-ca"
_LABELS: Final = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "sdg-demo"}
_PORT: Final = 8443


def git_server(image: str, documents: Path) -> list[dict[str, Any]]:
    """A Deployment that serves each folder of `documents` as a repository, with a certificate made for this demo."""
    with tempfile.TemporaryDirectory() as scratch:
        made = make_certificates(Path(scratch), [HOST])
        tls = {"tls.crt": made.certificate.read_text(), "tls.key": made.key.read_text()}
        authority = made.authority.read_text()
    folders = sorted(path for path in documents.iterdir() if path.is_dir())
    contents = {
        f"{NAME}-{folder.name}": {f.name: f.read_text() for f in sorted(folder.iterdir())} for folder in folders
    }
    program = Path(server.__file__).read_text()
    version = sha256(repr((tls, contents, program)).encode()).hexdigest()
    return [
        secret(f"{NAME}-tls", tls),
        _config_map(CA_CONFIG_MAP, {"ca.crt": authority}),
        _config_map(f"{NAME}-server", {"server.py": program}),
        *(_config_map(name, files) for name, files in contents.items()),
        _deployment(image, version, [folder.name for folder in folders]),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
            "spec": {"selector": _LABELS, "ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
        },
    ]


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": _LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _deployment(image: str, version: str, folders: list[str]) -> dict[str, Any]:
    command = ["python", "/server/server.py", "--documents=/documents", "--root=/repositories", f"--port={_PORT}"]
    container = {
        "name": "server",
        "image": image,
        "command": [*command, "--certificate=/tls/tls.crt", "--key=/tls/tls.key"],
        "ports": [{"name": "https", "containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "https", "scheme": "HTTPS"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": CONFINED,
        "volumeMounts": [
            {"name": "server", "mountPath": "/server"},
            {"name": "tls", "mountPath": "/tls"},
            {"name": "repositories", "mountPath": "/repositories"},
            *({"name": f"documents-{folder}", "mountPath": f"/documents/{folder}"} for folder in folders),
        ],
    }
    volumes = [
        {"name": "server", "configMap": {"name": f"{NAME}-server"}},
        {"name": "tls", "secret": {"secretName": f"{NAME}-tls"}},
        {"name": "repositories", "emptyDir": {}},
        *({"name": f"documents-{folder}", "configMap": {"name": f"{NAME}-{folder}"}} for folder in folders),
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _LABELS},
            "template": {
                "metadata": {"labels": _LABELS, "annotations": {"sdg-demo/version": version}},
                "spec": {
                    "automountServiceAccountToken": False,
                    # Python as process 1 does not end at SIGTERM, and there is nothing to be saved.
                    "terminationGracePeriodSeconds": 1,
                    "enableServiceLinks": False,
                    "securityContext": {**RESTRICTED, "runAsUser": 10001},
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    }
