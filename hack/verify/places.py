"""No committed file names a place of one machine: this checkout's folder, or the package registry that it uses."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from hack.verify.repository import ROOT, files

_SETTINGS = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "GOPROXY", "NPM_CONFIG_REGISTRY")
_PUBLIC = {"pypi.org", "proxy.golang.org", "registry.npmjs.org"}


def _registries() -> Iterator[str]:
    # The virtual environment has no pip of its own.
    pip = [str(Path(sys.executable).resolve()), "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(pip, check=False, capture_output=True, text=True).stdout
    for value in (configured, *(os.environ.get(name, "") for name in _SETTINGS)):
        for url in value.replace("|", ",").split(","):
            host = urlsplit(url.strip()).hostname
            if host and host not in _PUBLIC and host != "localhost" and not host.startswith("127."):
                yield host


def check() -> list[str]:
    """Return one line for each file that names such a place."""
    places = {str(ROOT), *_registries()}
    problems = []
    for path in files():
        text = path.read_bytes().decode(errors="replace")
        problems += [f"{path.relative_to(ROOT)}: names {place}" for place in sorted(places) if place in text]
    return problems
