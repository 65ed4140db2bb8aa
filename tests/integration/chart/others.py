"""The CustomResourceDefinitions of other projects, from pinned modules, to hold our manifests against."""

from pathlib import Path
from typing import Final

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import until_established
from hack.cluster.tools import module_folder

_MONITORING: Final = "example/prometheus-operator-crd/monitoring.coreos.com"
_FILES: Final = {
    "github.com/argoproj/argo-cd/v3": ("manifests/crds/application-crd.yaml",),
    "github.com/fluxcd/helm-controller": ("config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",),
    "github.com/fluxcd/kustomize-controller": ("config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",),
    "github.com/fluxcd/source-controller": ("config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",),
    "github.com/kubeflow/trainer/v2": ("manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml",),
    "github.com/prometheus-operator/prometheus-operator": (
        f"{_MONITORING}_podmonitors.yaml",
        f"{_MONITORING}_prometheusrules.yaml",
    ),
}


def install_kinds(server: ApiAccess) -> None:
    """Give a server the kinds of Argo CD, Flux, Kubeflow Trainer and the Prometheus operator."""
    for module, files in _FILES.items():
        folder: Path = module_folder("crds", module)
        for file in files:
            # Server-side, for some are larger than an annotation can be.
            server.kubectl("apply", "--server-side", "--filename", str(folder / file))
    until_established(server.kubectl)
