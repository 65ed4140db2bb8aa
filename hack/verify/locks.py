"""The locked requirements: each file pins what pyproject.toml asks for, with hashes, and names no registry.

Each role has a file of its own, and ``requirements/dev.txt`` has all of it.
"""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hack.verify.repository import ROOT

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)


def problems_of(role: str, wanted: list[str], text: str) -> list[str]:
    """Return what is wrong with one role's file."""
    pins = {canonicalize_name(name): version for name, version in _PIN.findall(text)}
    found = []
    for line in wanted:
        requirement = Requirement(line)
        version = pins.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"requirements/{role}.txt: {line} is not pinned there (has {version}); run `make lock`")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    found += [
        f"requirements/{role}.txt: {block.split()[0]} has no hash; run `make lock`"
        for block in blocks
        if _PIN.match(block) and "--hash=" not in block
    ]
    if "://" in text or "--index-url" in text:
        found.append(f"requirements/{role}.txt: names a registry; run `make lock`")
    return found


def check() -> list[str]:
    """Return one line for each problem of the locked files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted_by = extras | {"dev": [line for wanted in extras.values() for line in wanted]}
    problems = []
    for role, wanted in wanted_by.items():
        text = (ROOT / "requirements" / f"{role}.txt").read_text()
        problems += problems_of(role, project["dependencies"] + wanted, text)
    return problems
