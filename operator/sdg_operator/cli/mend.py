"""``sdg taxonomy check --fix`` and ``--diff``: mends the form of the qna.yaml files of a folder, and shows how."""

import io
import os
import stat
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.fix import fix
from sdg_operator.taxonomy.folder import read_folder
from sdg_operator.taxonomy.qna import read_qna
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.root import select
from sdg_operator.taxonomy.tree import LEAF_FILE
from sdg_operator.taxonomy.yamltext import decode

_END: Final = {"\n": "", "\r": "\n"}
"""What is printed behind a line that ends so: an old Macintosh's line end would let lines overwrite each other."""


def mend(path: Path, only: frozenset[str] | None, output: str, *, write: bool) -> None:
    """Show as a diff how the leaves below `path` are mended, or `only` these files, and `write` it.

    Raises `CheckError` where that cannot be: an archive, another form of output, a file that cannot be written.
    """
    if not path.is_dir():
        raise CheckError("InvalidRequest", f"{path} is an archive; mend the folder that it was packed from")
    if output != "text":
        raise CheckError("InvalidRequest", "the changes are shown as text; leave --output out")
    mended = 0
    for name, before, after in _changes(path, only):
        mended += 1
        for line in unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}"):
            print(line, end=_END.get(line[-1:], "\n\\ No newline at end of file\n"))
        if write:
            _replace(path / name, before, after)
    print(f"{mended} {'file' if mended == 1 else 'files'} {'mended' if write else 'would be mended'}")


def _lines(content: bytes) -> list[str]:
    """Give the lines with their ends, as editors see them: U+2028 and the like end none."""
    return list(io.StringIO(content.decode(), newline=""))


def _changes(path: Path, only: frozenset[str] | None) -> Iterator[tuple[str, bytes, bytes]]:
    """Give each file below `path` that can be mended, with what it holds and what it should."""
    limits = Limits()
    selection = select(read_folder(path, limits))
    for folder, content in selection.leaves.items():
        name = selection.file_of(folder)
        qna = read_qna(f"{folder}/{LEAF_FILE}", content, limits)
        if not qna.linted or (only is not None and name not in only):
            continue
        after = fix(decode(content)).encode()
        if after != content:
            yield name, content, after


def _replace(file: Path, before: bytes, after: bytes) -> None:
    """Put a new content in the file's place, whole or not at all, with its rights; never where a link leads."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as old:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if old.read() != before:
                raise CheckError("SourceRefused", "was changed at this moment; start again", file=str(file))
        with NamedTemporaryFile(dir=file.parent, prefix=".qna-", delete=False) as new:
            try:
                new.write(after)
                os.fchmod(new.fileno(), mode)
                new.flush()
                os.fsync(new.fileno())
                Path(new.name).replace(file)
            except BaseException:
                Path(new.name).unlink()
                raise
    except OSError as error:
        raise CheckError("SourceRefused", f"cannot be written: {error.strerror}", file=str(file)) from error
