"""The workflows, by actionlint; and each of their commands is a make target, so that CI runs what people run."""

import re
import subprocess

import yaml

from hack.cluster.tools import tool
from hack.verify.repository import ROOT, files


def foreign_steps(text: str) -> list[str]:
    """Return the commands of a workflow that are not ``make <target>``."""
    jobs = yaml.safe_load(text)["jobs"].values()
    lines = [line for job in jobs for step in job["steps"] for line in step.get("run", "").splitlines()]
    return [line for line in lines if not re.fullmatch(r"make [a-z0-9 -]+", line.strip())]


def check() -> list[str]:
    """Return one line for each problem of a workflow."""
    found = files(".github/workflows/*.yaml")
    if not found:
        return [".github/workflows: there is none"]
    problems = [
        f"{path.relative_to(ROOT)}: {line!r} is no make target"
        for path in found
        for line in foreign_steps(path.read_text())
    ]
    lint = subprocess.run(
        [tool("actionlint"), "-no-color", *found], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return problems + (lint.stdout + lint.stderr).splitlines()
