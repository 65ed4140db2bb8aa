"""Prepare the process before instructlab-sdg and Hugging Face's libraries are imported.

The root file system may be read-only, the user id any, and nothing may be fetched: every cache goes into the work
folder, and pipelines or data sets that happen to lie on the machine are not looked at.
"""

import os
from pathlib import Path


def prepare(scratch: Path) -> None:
    """Point home, caches and data folders below `scratch`, which is made."""
    home = scratch / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "GIT_PYTHON_REFRESH": "quiet",  # the library imports GitPython, which refuses to load without git
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_DATA_DIRS": str(home / "data"),
    }
