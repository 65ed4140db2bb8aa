"""The validate container's own program, run for a pod that has no node: with its environment and its Secrets."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hack.cluster.apiserver import ApiAccess
from sdg_operator.taxonomy.request import REQUEST_ENV, TERMINATION_LOG_ENV
from tests.integration.controller.kubelet import Kubelet, Pod
from tests.integration.controller.objects import get


def run_check(server: ApiAccess, kubelet: Kubelet, pod: Pod, folder: Path, ca_file: Path | None = None) -> str:
    """Do what a node does with a check's pod, to the end; gives the container's log.

    Only the places of its files differ, below `folder`; `ca_file` stands for the mounted bundle.
    """
    (main,) = pod["spec"]["containers"]
    root = folder / pod["metadata"]["name"]
    _mount_secrets(server, pod, main, root)
    request = json.loads(next(each["value"] for each in main["env"] if each["name"] == REQUEST_ENV))
    request["storageFolder"] = _below(root, request["storageFolder"])
    request["workFolder"] = _below(root, request["workFolder"])
    request["credentials"] = [
        {**each, "folder": _below(root, each["folder"])} for each in request.get("credentials", [])
    ]
    if ca_file:
        request["caFile"] = str(ca_file)
    Path(request["workFolder"]).mkdir(parents=True)
    last_words = root / "termination-log"
    environment = {**os.environ, REQUEST_ENV: json.dumps(request), TERMINATION_LOG_ENV: str(last_words)}
    kubelet.start(pod)
    command = [sys.executable, *main["command"][1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    kubelet.end(pod, done.returncode, last_words.read_text())
    return done.stdout + done.stderr


def _below(root: Path, path: str) -> str:
    return str(root / path.removeprefix("/"))


def _mount_secrets(server: ApiAccess, pod: Pod, container: dict[str, Any], root: Path) -> None:
    """Write the Secrets of the pod's volumes where the container mounts them."""
    names = {each["name"]: each["secret"]["secretName"] for each in pod["spec"]["volumes"] if "secret" in each}
    for mounted in container["volumeMounts"]:
        if name := names.get(mounted["name"]):
            target = Path(_below(root, mounted["mountPath"]))
            target.mkdir(parents=True)
            secret = get(server, f"secret/{name}", pod["metadata"]["namespace"])
            for key, value in secret["data"].items():
                (target / key).write_bytes(base64.b64decode(value))
