"""``python -m hack.release files|contexts|boms``: what is published, and what its images are made of."""

import argparse
from pathlib import Path

from hack.cluster.images import CHART_IMAGES, write_context
from hack.cluster.steps import StepFailed, step
from hack.release.files import bill_of_materials, chart_package, crds, install_manifest, python_package


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hack.release", description=__doc__)
    parser.add_argument("what", choices=("files", "contexts", "boms"))
    parser.add_argument("--image", choices=CHART_IMAGES, action="append", help="only this image's (all)")
    parser.add_argument("--registry", default="", help="where the images will lie, as registry.example.com/ai")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    images = options.image or CHART_IMAGES
    if options.what == "contexts":
        for image in images:
            write_context(image, options.out / "contexts" / image, ("amd64", "arm64"))
        return
    if options.what == "files":
        if not options.registry:
            parser.error("--registry is missing: the chart and install.yaml name where the images lie")
        # Image names have no capitals; an owner's name on GitHub may.
        registry = options.registry.lower()
        with step("crds.yaml and install.yaml"):
            (options.out / "crds.yaml").write_text(crds())
            (options.out / "install.yaml").write_text(install_manifest(registry))
        with step("chart"):
            chart_package(options.out, registry)
        with step("Python package"):
            python_package(options.out / "python")
    for image in images:
        with step(f"bill of materials of {image}"):
            (options.out / f"{image}.cdx.json").write_text(bill_of_materials(image))


try:
    main()
except StepFailed as failed:
    raise SystemExit(f"release: {failed}") from failed
