"""Builds our images and loads them onto the cluster's nodes; what has not changed is neither built nor loaded again."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cluster import cache
from hack.cluster.cluster import Cluster
from hack.cluster.engine import Engine, ensure
from hack.cluster.packages import need
from hack.cluster.steps import StepFailed, run, step, succeeds
from hack.cluster.tools import tool

_REPOSITORY: Final = Path(__file__).parents[2]
_WHEELS: Final = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""What packages are installed for, by Docker's words for an architecture."""
_BASE_PACKAGES: Final = ("ca-certificates", "python3", "tzdata")
_OFFICIAL_BASE: Final = "python:3.11-slim-bookworm"
"""Has the base packages; what it has beyond them and nothing of ours uses is removed."""
_UNUSED: Final = ("bin", ".lock", "*/tests", "pandas/**/tests", "numpy/**/tests", "pyarrow/include", "pyarrow/**/*.pyx")
"""Of installed requirements."""
CHART_IMAGES: Final = ("sdg-operator", "sdg-runner", "sdg-engine")
DEMO_IMAGES: Final = ("sdg-s3", "sdg-teacher-demo", "sdg-teacher-scripted")
"""What the demo needs beside those of the chart."""


@dataclass(frozen=True, slots=True)
class Image:
    """What goes into an image beside its Containerfile in ``images/<name>/``."""

    name: str
    requirements: Path | None = None
    """Locked requirements, installed into ``site-packages`` of the build's context."""
    sources: tuple[str, ...] = ()
    """Files and folders of the repository, copied into the context under the same path."""
    tools: tuple[str, ...] = ()
    """Commands of `tools`, copied into the context's ``bin``."""
    packages: tuple[str, ...] | None = ()
    """Debian packages of its base beyond Python; None for an image without a base."""
    asked_for: bool = False
    """Built only where it is named: what few need, or what must be chosen."""


def _role(name: str) -> Path:
    return _REPOSITORY / "requirements" / f"{name}.txt"


IMAGES: Final = {
    image.name: image
    for image in (
        Image("sdg-operator", _role("operator"), ("operator/sdg_operator",)),
        Image(
            "sdg-runner",
            _role("runner"),
            ("operator/sdg_operator",),
            packages=("git", "libnss-wrapper", "openssh-client"),
        ),
        Image("sdg-engine", _role("engine"), ("operator/sdg_operator",)),
        Image("sdg-teacher-scripted", _role("teacher"), ("tests/__init__.py", "tests/teacher")),
        # Its model has a licence of its own: only who asks for it builds it.
        Image(
            "sdg-teacher-demo",
            _REPOSITORY / "images/sdg-teacher-demo/requirements.txt",
            packages=("libgomp1",),
            asked_for=True,
        ),
        Image("sdg-s3", tools=("versitygw",), packages=None),
        Image("kueue", tools=("kueue",), packages=None, asked_for=True),
        Image("kube-router", tools=("kube-router",), packages=("ipset", "iptables"), asked_for=True),
    )
}


def load_images(cluster: Cluster, names: Sequence[str] = (), base: str = "") -> dict[str, str]:
    """Build the named images (all of a cluster's if none is named), load them, and give the reference of each.

    `base` is the image to build on, instead of a slim Python image or one made from Debian's packages.
    """
    if unknown := [name for name in names if name not in IMAGES]:
        raise StepFailed(f"there is no image {unknown[0]!r}; there are {', '.join(IMAGES)}")
    engine = ensure()
    names = names or [name for name, image in IMAGES.items() if not image.asked_for]
    references = {name: build_image(engine, name, base) for name in names}
    with cache.lock(f"images-of-{cluster.name}"):
        _load(engine, cluster, list(references.values()))
    return references


def push_images(registry: str, tag: str, names: Sequence[str], base: str = "") -> list[str]:
    """Build the named images and push them as ``<registry>/<name>:<tag>``; `docker login` is the caller's."""
    engine = ensure()
    pushed = []
    labels = [f"--label=org.opencontainers.image.{key}={value}" for key, value in _origin(tag).items()]
    for name in names:
        reference = f"{registry.rstrip('/')}/{name}:{tag}"
        built = build_image(engine, name, base)
        engine.docker("build", "--quiet", "--tag", reference, *labels, "-", stdin=f"FROM {built}\n")
        with step(f"push {reference}"):
            engine.docker("push", "--quiet", reference)
        pushed.append(reference)
    return pushed


def _origin(version: str) -> dict[str, str]:
    """What labels say of an image that leaves this machine. A source with a password in it is not told."""
    origin = run(["git", "config", "--get", "remote.origin.url"], cwd=_REPOSITORY, check=False).strip()
    source = {"source": origin.removesuffix(".git")} if origin.startswith("https://") and "@" not in origin else {}
    return {"version": version, "revision": run(["git", "rev-parse", "HEAD"], cwd=_REPOSITORY).strip(), **source}


def build_image(engine: Engine, name: str, base: str = "") -> str:
    """The reference of an image, built if what it is made from has changed."""
    image = IMAGES[name]
    reference = f"localhost/{image.name}:{_key(image, base)}"
    with cache.lock(f"image-{image.name}"):
        if not engine.has_image(reference):
            _build(engine, image, reference, base)
    return reference


def _key(image: Image, base: str) -> str:
    made_on = (base if image.packages is not None else "", _BASE_PACKAGES, image.packages)
    parts: list[str | bytes | Path] = [_REPOSITORY / "images" / image.name, repr(made_on)]
    parts += [_REPOSITORY / source for source in image.sources if (_REPOSITORY / source).exists()]
    parts += [image.requirements, repr(_UNUSED)] if image.requirements else []
    parts += [str(tool(name)) for name in image.tools]
    return cache.content_key(*parts)


def _build(engine: Engine, image: Image, reference: str, base: str) -> None:
    architecture = engine.architecture()
    if architecture not in _WHEELS:
        raise StepFailed(f"no packages are pinned for {architecture} machines; there are {', '.join(_WHEELS)}")
    arguments = ["--build-arg", f"TARGETARCH={architecture}"]
    if image.packages is not None:
        arguments += ["--build-arg", f"BASE={_base(engine, image.packages, base)}"]
    sites = _site_packages(image, [architecture])
    with step(f"build {image.name}"), cache.Scratch("image-") as context:
        _fill(context, image, sites)
        # The classic builder needs nothing but the engine.
        env = {**engine.env, "DOCKER_BUILDKIT": "0"}
        command = ["docker", "build", "--quiet", "--network=none", "--tag", reference, *arguments]
        run([*command, "--file", context / "Containerfile", context], env=env)


def write_context(name: str, folder: Path, architectures: Sequence[str]) -> None:
    """Write what an image is built from, for a builder of another place: `architectures` in Docker's words."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    image = IMAGES[name]
    _fill(folder, image, _site_packages(image, architectures))
    if image.packages is not None:
        # Here the Containerfile begins at a base of ours; there it makes what that base has beyond the official one.
        recipe = (folder / "Containerfile").read_text()
        head, begin, rest = recipe.partition("FROM ${BASE}\n")
        (folder / "Containerfile").write_text(f"{head}{begin}{_preparation(image.packages, official=True)}{rest}")


def _fill(context: Path, image: Image, sites: dict[str, Path]) -> None:
    shutil.copytree(_REPOSITORY / "images" / image.name, context, dirs_exist_ok=True)
    for architecture, site in sites.items():
        (context / "site-packages").mkdir(exist_ok=True)
        # Hard links where they are possible: hundreds of megabytes need not be copied to be sent.
        if not succeeds(["cp", "-al", site, context / "site-packages" / architecture]):
            shutil.copytree(site, context / "site-packages" / architecture, dirs_exist_ok=True)
    for source in image.sources:
        _copy(_REPOSITORY / source, context / source)
    for name in image.tools:
        _copy(tool(name), context / "bin" / name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        shutil.copy(source, target)


def _site_packages(image: Image, architectures: Sequence[str]) -> dict[str, Path]:
    """The locked requirements, installed for the image's Python, by architecture. Hashes are checked."""
    if image.requirements is None:
        return {}
    requirements = image.requirements

    def installed(architecture: str) -> Path:
        def install(scratch: Path) -> None:
            title = f"install {image.name}'s requirements for {architecture}"
            with step(title, "uv needs a package index; it reads UV_INDEX_URL and its configuration file"):
                # A source could only be built for this machine, and would be taken for the other one's.
                flags = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--link-mode=copy"]
                flags.append(f"--target={scratch}")
                python = ["--python-version=3.11", f"--python-platform={_WHEELS[architecture]}"]
                uv = Path(sys.prefix) / "bin" / "uv"
                run([uv, "pip", "install", *flags, *python, f"--requirements={requirements}"])
                _lighten(scratch)

        key = cache.content_key(requirements, architecture, repr(_UNUSED))
        return cache.built(cache.root() / "site-packages" / f"{image.name}-{key}", install)

    return {architecture: installed(architecture) for architecture in architectures}


def _lighten(site: Path) -> None:
    """Leave out what no container of ours starts or imports: commands that name this machine's Python, tests, C."""
    for pattern in _UNUSED:
        for path in sorted(site.glob(pattern)):
            # One may lie in another, which is gone by then.
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _base(engine: Engine, packages: tuple[str, ...], given: str) -> str:
    """A small image with Python 3.11 and Debian packages: on the given one, or the official one if it can be had."""
    wanted = (*_BASE_PACKAGES, *packages)
    reference = f"localhost/sdg-base:{cache.content_key(repr(wanted), given)}"
    if engine.has_image(reference):
        return reference
    below = given or _OFFICIAL_BASE
    if given or (engine.host is None and engine.pulled(below)):
        needs = f"The base needs Python 3.11, and {' '.join(packages) or 'nothing more'}: its own, or by apt-get"
        with step(f"base image on {below}", needs):
            recipe = f"FROM {below}\n{_preparation(packages, official=not given)}"
            engine.docker("build", "--quiet", "--tag", reference, "-", stdin=recipe)
        return reference
    need("debootstrap")
    title = f"base image ({', '.join(packages) or 'Python'})"
    with step(title, "debootstrap needs a mirror of Debian's packages"), cache.Scratch("base-") as folder:
        root = folder / "root"
        run(["debootstrap", "--variant=minbase", f"--include={','.join(wanted)}", "bookworm", root])
        _shrink(root)
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        engine.import_folder(root, reference)
    return reference


def _preparation(packages: tuple[str, ...], *, official: bool) -> str:
    """The lines of a Containerfile that make a base of ours from another."""
    lines = ["USER 0"]
    if official:
        lines.append("RUN python -m pip uninstall --yes --quiet pip setuptools wheel")
    if packages:
        names = " ".join(packages)
        install = f"apt-get install --yes --no-install-recommends {names}"
        # A base that has them all needs no package mirror.
        lines.append(
            f"RUN dpkg -s {names} >/dev/null 2>&1 || {{ apt-get update && {install} && rm -rf /var/lib/apt/lists/*; }}"
        )
    return "".join(f"{line}\n" for line in lines)


def _shrink(root: Path) -> None:
    """Leave out what no container of ours reads."""
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        for path in (root / waste).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _load(engine: Engine, cluster: Cluster, references: Sequence[str]) -> None:
    """Load images onto the nodes that lack any of them, together: layers that they share are sent once."""
    listing = ("ctr", "-n", "k8s.io", "images", "ls", "-q")
    there = {node: engine.docker("exec", node, *listing).split() for node in cluster.nodes()}
    missing = [name for name in references if any(name not in images for images in there.values())]
    if missing:
        lacking = [node for node, images in there.items() if not set(missing).issubset(images)]
        with step(f"load {', '.join(missing)}"):
            target = ["--name", cluster.name, "--nodes", ",".join(lacking)]
            run([tool("kind"), "load", "docker-image", *missing, *target], env=engine.env)
