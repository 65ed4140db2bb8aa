"""One version for all that is released together: package, chart, images, and the tag that is being released."""

import os
from collections.abc import Iterator, Mapping

import yaml

from hack.verify.repository import ROOT
from hack.version import VERSION


def check() -> list[str]:
    """Return one line for each version that is another than pyproject.toml's."""
    return list(differing(yaml.safe_load((ROOT / "charts" / "sdg-operator" / "Chart.yaml").read_text()), os.environ))


def differing(chart: Mapping[str, object], environment: Mapping[str, str]) -> Iterator[str]:
    """Compare the chart, and the tag where the workflow of a release runs for one."""
    found = {f"Chart.yaml's {key}": str(chart[key]) for key in ("version", "appVersion")}
    if environment.get("GITHUB_REF_TYPE") == "tag":
        found["the tag"] = environment["GITHUB_REF_NAME"].removeprefix("v")
    yield from (f"{name} is {it}, pyproject.toml's version is {VERSION}" for name, it in found.items() if it != VERSION)
