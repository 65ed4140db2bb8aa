"""Commands built from pinned Go modules: a node's parts, the S3 server, kind, Helm and what tests need."""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from hack.cluster.cache import built, content_key, root
from hack.cluster.steps import StepFailed, run, step

KUBERNETES_VERSION: Final = "v1.34.4"
_MODULES: Final = Path(__file__).parent / "tools"
_VERSION_FLAGS: Final = (
    f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A command and the module folder that pins it."""

    module: str
    package: str
    flags: str = ""


def _kubernetes(name: str) -> Tool:
    return Tool("kubernetes", f"k8s.io/kubernetes/cmd/{name}", _VERSION_FLAGS)


TOOLS: Final = {
    **{
        name: _kubernetes(name)
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubeadm",
            "kubectl",
        )
    },
    "etcd": Tool("etcd", "."),
    "coredns": Tool("coredns", "."),
    "kind": Tool("kind", "sigs.k8s.io/kind"),
    "versitygw": Tool("versitygw", "github.com/versity/versitygw/cmd/versitygw"),
    "actionlint": Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
    "helm3": Tool("helm3", "helm.sh/helm/v3/cmd/helm"),
    "helm4": Tool("helm4", "helm.sh/helm/v4/cmd/helm"),
    "kube-score": Tool("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
    "kueue": Tool("kueue", "sigs.k8s.io/kueue/cmd/kueue"),
    "kube-router": Tool("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
    "promtool": Tool("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
}


@cache
def tool(name: str) -> Path:
    """The path of a command, built on first use (minutes for the Kubernetes commands, then none)."""
    if name not in TOOLS:
        raise StepFailed(f"there is no tool {name!r}; there are {', '.join(TOOLS)}")
    spec = TOOLS[name]
    module = _MODULES / spec.module
    key = content_key(module, spec.package, spec.flags, _go_version())
    # Helm 3 and 4 are both called helm by those who use them.
    command = "helm" if name.startswith("helm") else name

    def build(scratch: Path) -> None:
        with step(f"build {name}", "Go needs its module proxy (`go env GOPROXY`) and room for its build cache"):
            out = str(scratch / command)
            run(
                [
                    "go",
                    "build",
                    "-mod=readonly",
                    "-trimpath",
                    "-ldflags",
                    f"-s -w {spec.flags}",
                    "-o",
                    out,
                    spec.package,
                ],
                cwd=module,
                env={"CGO_ENABLED": "0"},
                timeout=3600,
            )

    return built(root() / "tools" / f"{name}-{key}", build) / command


@cache
def _go_version() -> str:
    if shutil.which("go") is None:
        raise StepFailed("Go is not on PATH; install Go 1.26 or newer, it builds the cluster's parts")
    return os.environ.get("GOTOOLCHAIN", "") + run(["go", "env", "GOVERSION"])


def module_folder(name: str, package: str) -> Path:
    """Where the source of a module that a tool pins lies in Go's module cache; it is brought there first."""
    # `go list` gives no folder for a module that nothing has been built from yet.
    return Path(json.loads(run(["go", "mod", "download", "-json", package], cwd=_MODULES / name))["Dir"])
