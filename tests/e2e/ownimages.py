"""Images that only tests need, made in a second and put onto the nodes."""

from pathlib import Path

from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure
from hack.cluster.steps import run
from hack.cluster.tools import tool


def image_of(cluster: Cluster, name: str, lines: str) -> str:
    """Build an image by these lines of a Containerfile, which may stand on an image of ours; gives its reference."""
    engine, reference = ensure(), f"localhost/{name}:1"
    engine.docker("build", "--quiet", "--tag", reference, "-", stdin=lines)
    return _loaded(cluster, reference)


def empty_image(cluster: Cluster, folder: Path) -> str:
    """An image with nothing to start in it."""
    engine, reference = ensure(), "localhost/sdg-empty:1"
    (folder / "file").touch()
    engine.import_folder(folder, reference, ["--change", "USER 1000"])
    return _loaded(cluster, reference)


def _loaded(cluster: Cluster, reference: str) -> str:
    run([tool("kind"), "load", "docker-image", reference, "--name", cluster.name], env=ensure().env)
    return reference
