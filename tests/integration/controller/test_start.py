"""Starting where something is missing: the operator says what, in words, and begins when it is there."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hack.cluster.apiserver import ApiServer
from hack.cluster.processes import free_port
from hack.cluster.steps import until_established
from sdg_operator.controller.rights import RIGHTS, Right
from tests.integration.controller.objects import taxonomy
from tests.integration.controller.operators import SETTINGS, OperatorProcess, as_account

CRDS = str(Path(__file__).parents[3] / "crds")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """An API server of its own, for what these tests take away from it."""
    with ApiServer(controller_manager=False) as own:
        yield own


@pytest.mark.deep
def test_an_api_server_that_is_away_is_waited_for(server: ApiServer, tmp_path: Path) -> None:
    server.kubectl("apply", "--filename", CRDS)
    until_established(server.kubectl)
    server.stop_apiserver()
    with OperatorProcess(tmp_path, server.kubeconfig) as operator:
        said = operator.wait_said("does not answer")
        assert server.url in said
        assert operator.get("/livez") == (200, "ok"), "restarting the operator would not bring the API server back"
        server.start_apiserver()
        operator.wait_ready()


class OldServer(ThreadingHTTPServer):
    """Answers as an API server of some version, and knows nothing else."""

    minor = "31+"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _VersionOnly)


class _VersionOnly(BaseHTTPRequestHandler):
    server: OldServer

    def do_GET(self) -> None:
        known = self.path == "/version"
        version = {"major": "1", "minor": self.server.minor, "gitVersion": f"v1.{self.server.minor.rstrip('+')}.4"}
        body = json.dumps(version if known else {"kind": "Status", "message": "not found"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.deep
def test_an_api_server_that_is_too_old_is_named_and_its_upgrade_waited_for(tmp_path: Path) -> None:
    with OldServer() as old:
        threading.Thread(target=old.serve_forever, daemon=True).start()
        kubeconfig = tmp_path / "old"
        cluster = {"server": f"http://127.0.0.1:{old.server_port}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "old",
            "clusters": [{"name": "old", "cluster": cluster}],
            "users": [{"name": "old", "user": {}}],
            "contexts": [{"name": "old", "context": {"cluster": "old", "user": "old"}}],
        }
        kubeconfig.write_text(json.dumps(config))
        with OperatorProcess(tmp_path, kubeconfig) as operator:
            said = operator.wait_said("this is Kubernetes")
            assert said.startswith("this is Kubernetes v1.31.4; the operator needs 1.32 or newer")
            old.minor = "32"
            operator.wait_said("install the CRDs")
        old.shutdown()


@pytest.mark.deep
def test_an_api_server_is_asked_directly_where_the_environment_names_a_proxy_for_all_else(
    server: ApiServer, tmp_path: Path
) -> None:
    server.kubectl("apply", "--filename", CRDS)
    until_established(server.kubectl)
    nobody = f"http://127.0.0.1:{free_port()}"
    env = {"HTTPS_PROXY": nobody, "HTTP_PROXY": nobody, "NO_PROXY": ".svc,127.0.0.1"}
    with OperatorProcess(tmp_path, server.kubeconfig, env=env) as operator:
        operator.wait_ready()
        taxonomy(server, "default", "birds")
        watched = {"resource": "taxonomies"}
        operator.wait_for(lambda: operator.metric("sdg_operator_watch_events_total", **watched) > 0, "an event", 20)
    server.kubectl("delete", "taxonomy", "birds")


@pytest.mark.deep
def test_missing_crds_are_named_and_waited_for(server: ApiServer, tmp_path: Path) -> None:
    server.kubectl("delete", "--ignore-not-found", "--filename", CRDS)
    with OperatorProcess(tmp_path, server.kubeconfig) as operator:
        assert "install the CRDs" in operator.wait_said(r"there is no taxonomies\.sdg-operator\.io")
        server.kubectl("apply", "--filename", CRDS)
        operator.wait_ready()


@pytest.mark.deep
def test_the_watch_goes_on_when_crds_were_deleted_and_made_anew(server: ApiServer, tmp_path: Path) -> None:
    """As `kubectl replace --force` does. A resync would find new resources too, but much later."""
    server.kubectl("apply", "--filename", CRDS)
    until_established(server.kubectl)
    settings = SETTINGS | {"limits": SETTINGS["limits"] | {"resyncSeconds": 86_400}}
    with OperatorProcess(tmp_path, server.kubeconfig, settings=settings) as operator:
        operator.wait_ready()
        server.kubectl("delete", "--filename", CRDS)
        operator.wait_for(lambda: "serves no" in operator.text(), "the watch to miss the kinds", 120)
        server.kubectl("apply", "--filename", CRDS)
        until_established(server.kubectl)
        taxonomy(server, "default", "after")
        watched = {"resource": "taxonomies"}
        operator.wait_for(lambda: operator.metric("sdg_operator_watch_events_total", **watched) > 0, "an event", 120)
    server.kubectl("delete", "taxonomy", "after")


@pytest.mark.deep
def test_crds_of_another_version_are_named(server: ApiServer, tmp_path: Path) -> None:
    server.kubectl("apply", "--filename", CRDS)
    crd = "datagenerations.sdg-operator.io"
    path = "/spec/versions/0/selectableFields"
    server.kubectl("patch", "crd", crd, "--type=json", "--patch", json.dumps([{"op": "remove", "path": path}]))
    with OperatorProcess(tmp_path, server.kubeconfig) as operator:
        assert "apply the CRDs of this version" in operator.wait_said("no selectable field")
        server.kubectl("apply", "--filename", CRDS)
        operator.wait_ready()


@pytest.mark.deep
def test_missing_rights_are_named_one_by_one_and_waited_for(server: ApiServer, tmp_path: Path) -> None:
    server.kubectl("apply", "--filename", CRDS)
    server.kubectl("create", "namespace", "system")
    server.kubectl("create", "serviceaccount", "operator", "--namespace", "system")
    token = server.kubectl("create", "token", "operator", "--namespace", "system").strip()
    _grant(server, [right for right in RIGHTS if right.resource.plural not in ("pods", "configmaps")])
    kubeconfig = as_account(server.kubeconfig, token, tmp_path / "kubeconfig")
    with OperatorProcess(tmp_path, kubeconfig) as operator:
        said = operator.wait_said("lacks rights")
        assert "pods (list, watch, delete), to say why a pod does not run" in said
        assert "configmaps (get), to read a run's own pipeline" in said
        assert "jobs" not in said
        _grant(server, RIGHTS)
        operator.wait_ready()
        assert not re.search(r"(?<![\d,])403(?!\d)|[Ff]orbidden", operator.text()), (
            "the rights that are listed are all that are used"
        )


def _grant(server: ApiServer, rights: Sequence[Right]) -> None:
    rules = [
        {
            "apiGroups": [right.resource.group],
            "resources": ["/".join(filter(None, (right.resource.plural, right.subresource)))],
            "verbs": list(right.verbs),
        }
        for right in rights
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "op"},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "op"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "op"},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "system"}],
    }
    for body in (role, binding):
        server.kubectl("apply", "--filename=-", stdin=json.dumps(body))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("images: {engine: e:1}", "images.runner: is missing"),
        ("images: {engine: e:1, runner: r:1}\nlimits: {workrs: 3}", "did you mean workers?"),
        ("images: {engine: e:1, runner: r:1}\nlimits: {deniedRanges: [10.0.0.0/99]}", "limits.deniedRanges"),
    ],
)
def test_settings_that_cannot_be_used_end_the_start_with_the_name_of_the_setting(
    tmp_path: Path, settings: str, words: str
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(settings)
    command = [sys.executable, "-m", "sdg_operator.controller", f"--settings={file}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_kubeconfig_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("images: {engine: e:1, runner: r:1}")
    command = [sys.executable, "-m", "sdg_operator.controller", f"--settings={file}", f"--kubeconfig={tmp_path}/none"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert f"{tmp_path}/none" in ended.stderr
