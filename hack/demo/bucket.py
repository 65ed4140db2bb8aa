"""The demo's bucket: the taxonomy goes in."""

import gzip
import io
import tarfile
from pathlib import Path


def taxonomy_archive(folder: Path) -> bytes:
    """A TAR.gz of a taxonomy's folder. Equal folders give equal bytes, so a second upload changes nothing."""
    buffer = io.BytesIO()
    # A gzip header holds the time unless told otherwise.
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = tarfile.TarInfo(f"taxonomy/{path.relative_to(folder).as_posix()}")
            body = path.read_bytes()
            entry.size, entry.mode = len(body), 0o644
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()
