"""Reads a taxonomy that lies in a folder, as a person has it on a laptop. Links are noted, never followed."""

import os
from pathlib import Path

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.tree import Tree, TreeBuilder


def read_folder(folder: Path, limits: Limits) -> Tree:
    """Read a folder of any depth. ``.git`` is left out.

    Raises `CheckError` (ArchiveRefused, TooLarge) naming the file, or SourceRefused when a file cannot be read.
    """
    builder = TreeBuilder(limits)
    try:
        for here, folders, files in os.walk(folder, onerror=_raise):
            base = Path(here)
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in sorted(folders + files):
                path = base / name
                relative = path.relative_to(folder).as_posix()
                if path.is_symlink():
                    builder.link(relative)
                elif path.is_dir():
                    builder.folder(relative)
                elif path.is_file():
                    builder.file(relative, path.stat().st_size, path.read_bytes)
    except OSError as error:
        raise CheckError("SourceRefused", f"cannot be read: {error.strerror}", file=str(error.filename)) from error
    return builder.tree


def _raise(error: OSError) -> None:
    raise error
