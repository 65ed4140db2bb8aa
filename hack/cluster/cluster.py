"""A kind cluster: create, look at, take away."""

import json
import re
import shutil
from pathlib import Path
from typing import Final

from hack.cluster import cache, machine, network
from hack.cluster.engine import Engine, another_runs, ensure, node_network, remove_node_network, running, stop
from hack.cluster.nodeimage import OFFICIAL_IMAGE, node_image
from hack.cluster.runc import lacks_sys_resource
from hack.cluster.steps import StepFailed, run, step, succeeds, wait_for
from hack.cluster.tools import tool

GPU_RESOURCE: Final = "nvidia.com/gpu"

# kubeadm's Corefile without `forward`: a name of the outside world is not asked for anywhere.
_COREFILE: Final = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
    reload
    loadbalance
}
"""


# Kubernetes 1.34 has it as a beta, which is off: administrators' policies that change pods are met in tests.
_POLICIES: Final = {
    "featureGates": {"MutatingAdmissionPolicy": True},
    "runtimeConfig": {"admissionregistration.k8s.io/v1beta1": "true"},
}

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_MARK_ON_NODE: Final = "/kind/made-by-sdg-operator"


class Cluster:
    """One cluster by its name; all it keeps on disk lies in `folder`."""

    def __init__(self, name: str = "sdg") -> None:
        if not _NAME.fullmatch(name):
            raise StepFailed(
                f"{name!r} cannot name a cluster; choose another CLUSTER=: at most 41 lower-case letters, digits and"
                " dashes, with no dash in front"
            )
        self.name = name
        self.folder = cache.root() / "clusters" / name
        self.kubeconfig = self.folder / "kubeconfig"
        self._asked = self.folder / "kind.yaml"
        self._gpus = self.folder / "gpus"
        self._whole = self.folder / "whole"
        self._mark = self.folder / "mark"
        """Mounted into each node: by it the nodes are known as ours, whatever else is called the same."""
        self._in_machines_engine = self.folder / "in-the-machines-engine"

    def kubectl(
        self, *arguments: str | Path, stdin: str | None = None, check: bool = True, timeout: float = 600
    ) -> str:
        """Run kubectl as the administrator of this cluster."""
        return run([*self._kubectl(), *arguments], stdin=stdin, check=check, timeout=timeout)

    def _kubectl(self) -> list[str | Path]:
        # Its cache too is kept here, not in the home folder.
        return [tool("kubectl"), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.folder / 'cache'}"]

    def answers(self) -> bool:
        """Whether the cluster is there and its API server is ready."""
        if not self.kubeconfig.is_file() or running() is None:
            return False
        return succeeds([*self._kubectl(), "--request-timeout=5s", "get", "--raw", "/readyz"])

    def up(self, *, nodes: int | None = None, gpus: int | None = None) -> None:
        """Create the cluster, or mend what is there; without numbers of nodes and GPUs they are as they were.

        It is made anew only where it was never whole, a node is missing, another number of nodes or another
        configuration is asked for, or it does not answer in a minute.
        """
        with cache.lock("clusters"):
            cache.sweep()
            self._refuse_another_engine()
            engine = ensure()
            machine.remember()
            self._refuse_others(engine)
            network.forbid_strays()
            wanted = nodes or self._nodes_asked()
            fits = self._whole.exists() and len(self._containers(engine)) == wanted and self._as_configured(wanted)
            if not fits or not self._revived(engine):
                # The mark of a whole cluster is set last: a creation that was killed may lack anything.
                self._whole.unlink(missing_ok=True)
                self._create(engine, wanted)
                self._whole.touch()
            self._connect_nodes(engine)
            self.advertise_gpus(self._gpus_asked() if gpus is None else gpus)

    def _nodes_asked(self) -> int:
        return len(json.loads(self._asked.read_text())["nodes"]) if self._asked.exists() else 1

    def _as_configured(self, nodes: int) -> bool:
        """Whether it was made as it would be made now."""
        return bool(json.loads(self._asked.read_text()) == self._config(nodes, made=self._made()))

    def _gpus_asked(self) -> int:
        return int(self._gpus.read_text()) if self._gpus.exists() else 2

    def nodes(self) -> list[str]:
        return self.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()

    def node_address(self) -> str:
        """Address of the first node, which this machine reaches too."""
        path = '--output=jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
        return self.kubectl("get", "nodes", path).strip()

    def _containers(self, engine: Engine) -> dict[str, str]:
        """The nodes' containers and the state of each, in Docker's words."""
        label = f"label=io.x-k8s.kind.cluster={self.name}"
        listed = engine.docker("ps", "--all", "--filter", label, "--format={{.Names}} {{.State}}")
        return dict(line.split(" ", 1) for line in listed.splitlines())

    def _refuse_another_engine(self) -> None:
        """`StepFailed` if the nodes are in the machine's Docker engine, and that does not answer."""
        if self._in_machines_engine.exists() and (engine := running()) != Engine(None):
            raise StepFailed(
                f"cluster {self.name!r} is in this machine's Docker engine, which does not answer"
                f"{' (another one does)' if engine else ''}; start it and try again, or, if it is gone for good, remove"
                f" the folder {self.folder}"
            )

    def _refuse_others(self, engine: Engine) -> None:
        """`StepFailed` if nodes of this name are not ours. In an engine of our own there are only ours."""
        if engine.host is not None:
            return
        for name in self._containers(engine):
            mounts = engine.docker("inspect", "--format={{range .Mounts}}{{println .Source}}{{end}}", name)
            if str(self._mark) not in mounts.splitlines():
                raise StepFailed(f"the kind cluster {self.name!r} is not ours; choose another CLUSTER=")

    def _revived(self, engine: Engine) -> bool:
        """Set the nodes going that stand still, and say whether the cluster answers."""
        for name, state in self._containers(engine).items():
            if state != "running":
                try:
                    with step(f"node {name} was {state}: set it going"):
                        engine.docker("unpause" if state == "paused" else "start", name)
                except StepFailed:
                    return False  # its port is taken, its network is gone: what made it may not be there any more
        if self.answers():
            return True
        try:
            with step(f"wait for cluster {self.name} to answer"):
                wait_for("its API server", 60, self.answers, interval=1)
        except StepFailed:
            return False
        return True

    def _create(self, engine: Engine, nodes: int) -> None:
        image = node_image(engine)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark.write_text(f"cluster {self.name} of sdg-operator's `make cluster-up`\n")
        cache.write(self._asked, json.dumps(self._config(nodes, made=image != OFFICIAL_IMAGE)))
        if engine.host is None:
            self._in_machines_engine.touch()
        node_network(engine)
        title = f"create cluster {self.name} ({nodes} node{'s' if nodes > 1 else ''})"
        again = f"Take away what there is and try again: make cluster-down CLUSTER={self.name}"
        options: list[str | Path] = ["--config", self._asked, "--image", image, "--wait", "120s"]
        for last in (False, True):
            self._delete(engine)
            try:
                with step(title, again):
                    run([tool("kind"), "create", *self._target(), *options], env=engine.env, timeout=400)
                break
            except StepFailed as failed:
                # The engine goes on with what a killed kind asked of it: a node may have appeared only now.
                if last or "already" not in str(failed):
                    raise
        # Only `up` sets nodes going: by then packets to those that are gone have an end.
        engine.docker("update", "--restart=no", *self._containers(engine))
        if self._made():
            self._quiet_names()

    def _target(self) -> list[str | Path]:
        # A killed kind leaves its lock, and the next would wait for it for ever: it is alone here.
        self.kubeconfig.with_suffix(".lock").unlink(missing_ok=True)
        # Without a kubeconfig of ours kind would edit the user's.
        return ["cluster", "--name", self.name, "--kubeconfig", self.kubeconfig]

    def _delete(self, engine: Engine) -> None:
        if self._containers(engine):
            with step(f"delete cluster {self.name}"):
                self.folder.mkdir(parents=True, exist_ok=True)

                def gone() -> bool:
                    run([tool("kind"), "delete", *self._target()], env=engine.env)
                    return not self._containers(engine)

                wait_for("the end of its nodes", 60, gone, interval=1)

    def _made(self) -> bool:
        """Whether the nodes are of the image made from parts, which lacks a network plug-in between nodes."""
        return bool(json.loads(self._asked.read_text())["networking"]["disableDefaultCNI"])

    def _config(self, nodes: int, *, made: bool) -> dict[str, object]:
        cri = '[plugins."io.containerd.grpc.v1.cri"]\n'
        patches = []
        if lacks_sys_resource():
            # Else every sandbox fails: "can't get final child's PID from pipe: EOF".
            patches.append(f"{cri}  restrict_oom_score_adj = true\n")
        if made:
            patches.append('[plugins."io.containerd.grpc.v1.cri".cni]\n  conf_template = "/etc/cni/pods.template"\n')
        mark = {"hostPath": str(self._mark), "containerPath": _MARK_ON_NODE, "readOnly": True}
        roles = ["control-plane", *["worker"] * (nodes - 1)]
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {
                "disableDefaultCNI": made,
                "podSubnet": network.POD_NETWORK,
                "serviceSubnet": network.SERVICE_NETWORK,
            },
            "containerdConfigPatches": patches,
            **_POLICIES,
            "nodes": [{"role": role, "extraMounts": [mark]} for role in roles],
        }

    def _quiet_names(self) -> None:
        """Names of the outside world are asked for nowhere; Debian's node needs only one server of names."""
        patch = json.dumps({"data": {"Corefile": _COREFILE}})
        self.kubectl("-n", "kube-system", "patch", "configmap", "coredns", "--type=merge", "--patch", patch)
        self.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=1")
        self.kubectl("-n", "kube-system", "rollout", "restart", "deployment", "coredns")

    def _connect_nodes(self, engine: Engine) -> None:
        """Wait until all nodes are ready, and set the routes between them that a network plug-in would set."""
        again = f"Make it anew: make cluster-down cluster-up CLUSTER={self.name}"
        with step("wait for the nodes", again):
            self.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=120s")
        found = json.loads(self.kubectl("get", "nodes", "--output=json"))["items"]
        address = {
            node["metadata"]["name"]: next(
                a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"
            )
            for node in found
        }
        for node in found if self._made() else ():
            for other in found:
                if other is not node:
                    route = [other["spec"]["podCIDR"], "via", address[other["metadata"]["name"]]]
                    engine.docker("exec", node["metadata"]["name"], "ip", "route", "replace", *route)
        with step("wait for names to resolve", again):
            self.kubectl("-n", "kube-system", "rollout", "status", "deployment", "coredns", "--timeout=120s")

    def advertise_gpus(self, count: int, resource: str = GPU_RESOURCE) -> None:
        """Give every node `count` GPUs as an extended resource, as Kubernetes documents it."""
        if resource == GPU_RESOURCE:
            cache.write(self._gpus, str(count))  # a node forgets its own when it is started again
        path = f"/status/capacity/{resource.replace('/', '~1')}"
        for node in self.nodes():
            patch = json.dumps([{"op": "add", "path": path, "value": str(count)}])
            self.kubectl("patch", "node", node, "--subresource=status", "--type=json", "--patch", patch)

        def seen() -> bool:
            field = resource.replace(".", "\\.")
            listed = self.kubectl("get", "nodes", f"--output=jsonpath={{.items[*].status.allocatable.{field}}}")
            return set(listed.split()) == {str(count)}

        wait_for("the nodes' GPUs", 60, seen)

    def down(self) -> None:
        """Take the cluster away; the last one takes our Docker engine, the routes and the rules with it."""
        with cache.lock("clusters"):
            cache.sweep()
            self._refuse_another_engine()
            engine = running()
            if engine is None and machine.noted():
                # Killed in the middle: only a running engine can remove what it made.
                engine = ensure()
            if engine is not None:
                self._refuse_others(engine)
                self._delete(engine)
            shutil.rmtree(self.folder, ignore_errors=True)
            if any((cache.root() / "clusters").glob("*")):
                return
            if engine is not None:
                remove_node_network(engine)
            stop()
            network.allow_strays()
            machine.restore(another_engine=another_runs())

    def status(self) -> dict[str, object]:
        """What there is, whole or half, for people and scripts."""
        engine = running()
        answers = self.answers()
        return {
            "name": self.name,
            "running": answers,
            "kubeconfig": str(self.kubeconfig) if self.kubeconfig.is_file() else None,
            "nodes": self._node_states() if answers else {},
            "containers": self._containers(engine) if engine else {},
            "engine": None if engine is None else engine.host or "the machine's own",
            "strayRoutes": network.stray_routes(),
            "whole": self._whole.exists(),
        }

    def _node_states(self) -> dict[str, object]:
        listed = json.loads(self.kubectl("get", "nodes", "--output=json"))["items"]
        return {
            node["metadata"]["name"]: {
                "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]),
                "gpus": int(node["status"]["allocatable"].get(GPU_RESOURCE, "0")),
            }
            for node in listed
        }


def require(cluster: Cluster) -> None:
    """`StepFailed` that says what to do where the cluster is not there."""
    if not cluster.answers():
        raise StepFailed(f"cluster {cluster.name!r} is not running; start it with: make cluster-up")
