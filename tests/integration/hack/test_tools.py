"""The sources of pinned modules are found also where nothing has been built from them."""

import os
import subprocess
from pathlib import Path

import pytest

from hack.cluster.tools import module_folder


def test_the_folder_of_a_module_is_found_in_an_empty_module_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tmp_path))
    try:
        folder = module_folder("kind", "sigs.k8s.io/kind")
        assert folder.is_relative_to(tmp_path)
        assert (folder / "images/base/files").is_dir()
    finally:
        subprocess.run(["go", "clean", "-modcache"], env=dict(os.environ), check=True)
