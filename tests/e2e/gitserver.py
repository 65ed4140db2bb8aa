"""A private Git server in a test's namespace, with one repository that holds a taxonomy."""

from pathlib import Path
from typing import Any, Final

from hack.demo.objects import CONFINED, RESTRICTED
from hack.gitserver import server
from hack.gitserver.certificates import make_certificates
from tests.e2e.place import Place, skill

USER: Final = "reader"
PASSWORD: Final = "of-the-test"
CA_CONFIG_MAP: Final = "git-ca"
_PORT: Final = 8443
_LABELS: Final = {"app": "git"}


def host(namespace: str) -> str:
    return f"git.{namespace}.svc"


def start_git_server(place: Place, folder: Path, leaves: int) -> None:
    """Serve ``lists.git``, a taxonomy of so many skills, over https to who knows the password."""
    made = make_certificates(folder / "git", [host(place.namespace)])
    tls = {"tls.crt": made.certificate.read_text(), "tls.key": made.key.read_text()}
    mounts: dict[str, dict[str, Any]] = {
        "/server": {"configMap": {"name": "git-server"}},
        "/tls": {"secret": {"secretName": "git-tls"}},
        "/repositories": {"emptyDir": {}},
    }
    for number in range(leaves):
        below = f"/documents/lists/compositional_skills/lists/list{number}"
        items = [{"key": f"list{number}", "path": "qna.yaml"}]
        mounts[below] = {"configMap": {"name": "git-content", "items": items}}
    place.apply(
        place.secret("git-tls", **tls),
        _config_map(CA_CONFIG_MAP, {"ca.crt": made.authority.read_text()}),
        _config_map("git-server", {"server.py": Path(server.__file__).read_text()}),
        _config_map("git-content", {f"list{number}": skill(number) for number in range(leaves)}),
        _deployment(place.images["sdg-runner"], mounts),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "git"},
            "spec": {"selector": _LABELS, "ports": [{"port": 443, "targetPort": _PORT}]},
        },
    )
    place.kubectl("rollout", "status", "deployment/git", "--timeout=120s")


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _deployment(image: str, mounts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    places = ["--documents=/documents", "--root=/repositories", "--certificate=/tls/tls.crt", "--key=/tls/tls.key"]
    names = {path: f"v{number}" for number, path in enumerate(mounts)}
    container = {
        "name": "git",
        "image": image,
        "command": ["python", "/server/server.py", *places, f"--port={_PORT}", f"--account={USER}:{PASSWORD}"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": _PORT, "scheme": "HTTPS"}, "periodSeconds": 1},
        "securityContext": {**CONFINED, **RESTRICTED, "runAsUser": 10001},
        "volumeMounts": [{"name": name, "mountPath": path} for path, name in names.items()],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": names[path], **source} for path, source in mounts.items()],
        "terminationGracePeriodSeconds": 1,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "git"},
        "spec": {"selector": {"matchLabels": _LABELS}, "template": {"metadata": {"labels": _LABELS}, "spec": pod}},
    }
