"""Where the demo runs: a cluster made for it, or one that was given; and where its images come from."""

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.cluster import Cluster
from hack.cluster.images import load_images
from hack.cluster.tools import tool
from hack.demo.kube import Kube
from hack.demo.objects import MARK, NAMESPACE, RELEASE, SYSTEM
from hack.demo.screen import DemoFailed
from hack.version import VERSION


@dataclass(frozen=True, slots=True)
class Place:
    kube: Kube
    own: Cluster | None
    """The cluster that we made; None where one was given."""
    registry: str

    @property
    def remove(self) -> str:
        """The command that removes all that the demo made."""
        if self.own:
            return "make cluster-down" if self.own.name == "sdg" else f"make cluster-down CLUSTER={self.own.name}"
        label = ",".join(f"{key}={value}" for key, value in MARK.items())
        helm = f"{typed(self.kube.helm)} --kubeconfig {shlex.quote(str(self.kube.kubeconfig))} --kube-context"
        return (
            f"{helm} {shlex.quote(self.kube.context)} uninstall {RELEASE} --namespace {SYSTEM};"
            f" {self.kubectl} delete customresourcedefinitions,namespaces --selector={label}"
        )

    @property
    def kubectl(self) -> str:
        """The beginning of a command for this cluster and no other."""
        context = f" --context {shlex.quote(self.kube.context)}" if self.kube.context else ""
        return f"{typed(self.kube.kubectl)} --kubeconfig {shlex.quote(str(self.kube.kubeconfig))}{context}"


def typed(program: Path) -> str:
    """How a user calls a program: by its name where the PATH has one, else the one that we have built."""
    return program.name if shutil.which(program.name) else shlex.quote(str(program))


def find(kubeconfig: Path | None, context: str, registry: str, cluster: str) -> Place:
    """Use the given cluster, or bring up one of our own (again a few seconds if it is up)."""
    kubectl, helm = tool("kubectl"), tool("helm4")
    if kubeconfig is not None:
        if not registry:
            raise DemoFailed("CONTEXT is given, so images cannot be loaded: push them and set DEMO_REGISTRY")
        kube = Kube(kubeconfig, context, kubectl, helm)
        refuse_what_is_not_ours(kube)
        return Place(kube, None, registry)
    own = Cluster(cluster)
    own.up()
    return Place(Kube(own.kubeconfig, "", kubectl, helm), own, registry)


def refuse_what_is_not_ours(kube: Kube) -> None:
    """Raise `DemoFailed` where the demo would change, and at its end remove, what somebody else has made."""
    found = []
    kinds = ("taxonomies.sdg-operator.io", "datagenerations.sdg-operator.io")
    for kind, names in (("namespace", (SYSTEM, NAMESPACE)), ("customresourcedefinition", kinds)):
        said = kube.run("get", kind, *names, "--ignore-not-found", "--output=json")
        there = json.loads(said) if said.strip() else {"items": []}
        metadata = [item["metadata"] for item in there.get("items", [there])]
        found += [f"{kind} {each['name']}" for each in metadata if not MARK.items() <= each.get("labels", {}).items()]
    if found:
        raise DemoFailed(
            f"this cluster has {', '.join(found)}, not made by the demo: an operator may be at work there already. "
            "Nothing was changed; use another cluster, or none (without CONTEXT the demo makes its own)"
        )


def images(place: Place, names: list[str]) -> dict[str, str]:
    """Return the reference of each image; in our own cluster the images are built and loaded first."""
    if place.own is None:
        return {name: f"{place.registry.rstrip('/')}/{name}:{VERSION}" for name in names}
    return load_images(place.own, names)
