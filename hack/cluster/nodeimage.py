"""kind's node image: the official one where a registry is reachable, else one made from Debian's packages.

The made one follows the layout that kind's own base files expect, so it depends on the pinned version of kind.
"""

import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from hack.cluster import cache
from hack.cluster.engine import Engine
from hack.cluster.packages import need
from hack.cluster.steps import StepFailed, die_with_parent, run, step, succeeds, wait_for
from hack.cluster.tools import KUBERNETES_VERSION, module_folder, tool

OFFICIAL_IMAGE: Final = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
"""Of Kubernetes 1.34, the one that was built for the pinned version of kind, as its release says."""

_PARTS: Final = "localhost/sdg-components:1"
_PAUSE: Final = "localhost/sdg-pause:1"
_COMPONENTS: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
_PACKAGES: Final = (
    "systemd,conntrack,iptables,nftables,iproute2,ethtool,mount,kmod,hostname,ca-certificates,curl,jq,procps,socat,"
    "containerd,runc,containernetworking-plugins,busybox-static"
)
_LIBRARIES: Final = Path("usr/lib") / f"{platform.machine()}-linux-gnu"

# Each node routes its own pods; routes between nodes are set once all are there (cluster.py).
_CNI: Final = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": True,
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "{{.PodCIDR}}"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
_STORAGE_CLASS: Final = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/host-path
"""


def node_image(engine: Engine) -> str:
    """The name of a node image that the engine has."""
    name = f"localhost/sdg-node:{_key()}"
    if engine.has_image(name):
        return name
    if engine.has_image(OFFICIAL_IMAGE):
        return OFFICIAL_IMAGE
    # Our own engine runs only where there was none; a machine without one has no image registry to speak of either.
    if engine.host is None:
        if engine.pulled(OFFICIAL_IMAGE):
            return OFFICIAL_IMAGE
        if os.geteuid() != 0:
            raise StepFailed(
                f"`docker pull {OFFICIAL_IMAGE}` does not succeed, and only root can make a node image of Debian's"
                " packages; mend the first, or try again as root"
            )
    need("debootstrap", "containerd", "ctr")
    binaries = {part: tool(part) for part in (*_COMPONENTS, "coredns", "kubelet", "kubeadm", "kubectl")}
    with cache.lock("node-image"), cache.Scratch("node-") as scratch:
        if not engine.has_image(name):
            _make(engine, scratch, binaries, name)
    return name


def _key() -> str:
    tools = Path(__file__).parent / "tools"
    parts = (tools / name for name in ("kubernetes", "etcd", "coredns", "kind"))
    return cache.content_key(Path(__file__), *parts)


def _make(engine: Engine, scratch: Path, binaries: dict[str, Path], name: str) -> None:
    root = scratch / "root"
    with step("node image: Debian root", "debootstrap needs a mirror of Debian's packages"):
        run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root])
    with step("node image: components"):
        archive = _components(engine, scratch, root, binaries)
    with step("node image: preload containerd"):
        _preload(scratch, root, archive, _names(binaries["kubeadm"]))
    with step("node image: root"):
        _dress(root, binaries)
        changes = ["-c", 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]', "-c", "ENV container=docker"]
        engine.import_folder(root, name, changes)


def _components(engine: Engine, scratch: Path, root: Path, binaries: dict[str, Path]) -> Path:
    """An archive of two images: one that holds every control-plane command, and pause."""
    image = scratch / "components"
    for folder in ("usr/local/bin", "usr/sbin", "usr/bin", _LIBRARIES, "usr/lib64", "tmp", "run", "etc/ssl/certs"):
        (image / folder).mkdir(parents=True)
    for folder in ("proc", "sys", "dev", "var"):
        (image / folder).mkdir()
    for folder in ("bin", "sbin", "lib", "lib64"):
        (image / folder).symlink_to(f"usr/{folder}")
    for part in _COMPONENTS:
        shutil.copy(binaries[part], image / "usr/local/bin")
    shutil.copy(binaries["coredns"], image / "coredns")
    shutil.copy(root / "bin/busybox", image / "bin/busybox")
    for applet in ("sh", "cat", "ls", "sleep"):
        (image / "bin" / applet).symlink_to("busybox")
    for command in ("xtables-nft-multi", "nft", "conntrack"):
        shutil.copy(root / "usr/sbin" / command, image / "usr/sbin")
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            (image / "usr/sbin" / f"{family}{suffix}").symlink_to("xtables-nft-multi")
    shutil.copytree(root / _LIBRARIES / "xtables", image / _LIBRARIES / "xtables")
    shutil.copy(root / "etc/ssl/certs/ca-certificates.crt", image / "etc/ssl/certs/")
    for library in _libraries(root):
        shutil.copy(root / library.lstrip("/"), image / library.lstrip("/"))
    engine.import_folder(image, _PARTS, ["-c", 'ENTRYPOINT ["/coredns"]', *_PATH_CHANGE])

    pause = scratch / "pause"
    pause.mkdir()
    shutil.copy(root / "bin/busybox", pause / "busybox")
    engine.import_folder(pause, _PAUSE, ["-c", 'ENTRYPOINT ["/busybox","sleep","2147483647"]'])

    archive = scratch / "images.tar"
    engine.docker("save", "-o", archive, _PARTS, _PAUSE)
    engine.docker("image", "rm", "--force", _PARTS, _PAUSE)
    return archive


_PATH_CHANGE: Final = ["-c", "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def _libraries(root: Path) -> set[str]:
    """Shared libraries of the copied commands, and of iptables' extensions: without theirs rule sync fails late."""
    commands = "/usr/sbin/xtables-nft-multi /usr/sbin/nft /usr/sbin/conntrack"
    lines = run(["chroot", root, "sh", "-c", f"ldd {commands} /{_LIBRARIES}/xtables/*.so"], check=False).splitlines()
    found = {words[2] for line in lines if len(words := line.split()) > 2 and words[1] == "=>" and words[2][0] == "/"}
    loader = {line.split()[0] for line in lines if line.strip().startswith("/lib") and "/ld-" in line}
    return found | loader | {f"/{_LIBRARIES}/libresolv.so.2"}


def _names(kubeadm: Path) -> list[str]:
    """The names of images that kubeadm and containerd ask for; for pause each has its own."""
    listing = run([kubeadm, "config", "images", "list", f"--kubernetes-version={KUBERNETES_VERSION}"])
    return [*listing.split(), "registry.k8s.io/pause:3.10"]


def _preload(scratch: Path, root: Path, archive: Path, names: list[str]) -> None:
    """Import the images into the containerd that the node will run, with a containerd of ours.

    They get their names here and not in the engine, which may have the real ones.
    """
    # A socket's path must be short; the scratch folder's may not be.
    with cache.Scratch("sdg-ctr-", Path(tempfile.gettempdir())) as sockets:
        socket = f"{sockets}/c.sock"
        config = scratch / "containerd.toml"
        config.write_text(
            f'version = 2\nroot = "{root}/var/lib/containerd"\nstate = "{scratch}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
        )
        with (scratch / "containerd.log").open("wb") as log:
            server = subprocess.Popen(
                ["containerd", "--config", config],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )
        try:
            wait_for("containerd", 30, lambda: succeeds(["ctr", "-a", socket, "version"]))
            images = ["ctr", "-a", socket, "-n", "k8s.io", "images"]
            run([*images, "import", archive])
            for name in names:
                run([*images, "tag", _PAUSE if "pause" in name else _PARTS, name])
            run([*images, "rm", _PARTS, _PAUSE])
        finally:
            server.terminate()
            server.wait(timeout=60)


def _dress(root: Path, binaries: dict[str, Path]) -> None:
    """Lay kind's own base files, our commands and the node's settings over the Debian root."""
    base = module_folder("kind", "sigs.k8s.io/kind") / "images/base/files"
    run(["cp", "-r", "--no-preserve=mode,ownership", f"{base}/.", f"{root}/"])
    for scripts in (root / "usr/local/bin", root / "kind/bin"):
        for file in scripts.iterdir():
            file.chmod(0o755)
    for command in ("kubelet", "kubeadm", "kubectl"):
        shutil.copy(binaries[command], root / "usr/bin" / command)
    (root / "kind/version").write_text(KUBERNETES_VERSION)
    for folder in ("kind/manifests", "etc/kubernetes/manifests", "opt/cni", "etc/cni/net.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    for command in ("containerd", "ctr", "containerd-shim-runc-v2"):
        (root / "usr/local/bin" / command).symlink_to(f"/usr/bin/{command}")
    spec = json.loads(run(["ctr", "oci", "spec"]))
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(spec))
    (root / "etc/cni/pods.template").write_text(json.dumps(_CNI))
    (root / "kind/manifests/default-storage.yaml").write_text(_STORAGE_CLASS)
    _quiet_systemd(root)


def _quiet_systemd(root: Path) -> None:
    """Leave only the units that a node in a container needs."""
    for pattern in (
        "lib/systemd/system/multi-user.target.wants/*",
        "lib/systemd/system/local-fs.target.wants/*",
        "lib/systemd/system/basic.target.wants/*",
        "etc/systemd/system/*.wants/*",
        "lib/systemd/system/sockets.target.wants/*udev*",
        "lib/systemd/system/sockets.target.wants/*initctl*",
        "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    ):
        for unit in root.glob(pattern):
            unit.unlink()
    with (root / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    init = root / "sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("/usr/lib/systemd/systemd")
    for service in ("kubelet", "containerd", "undo-mount-hacks"):
        run(["chroot", root, "systemctl", "-q", "enable", service])
    run(["chroot", root, "systemctl", "-q", "mask", "systemd-binfmt.service"])
    run(["chroot", root, "systemctl", "-q", "set-default", "multi-user.target"])
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "run"):
        for path in (root / waste).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
