"""runc without CAP_SYS_RESOURCE, as dockerd's runtime where this shell lacks that capability.

Without it `docker run --privileged` fails with "unable to apply caps": runc cannot give what its parent does not have.
Called by dockerd as ``runc …``; drops the capability from the bundle (create) or the process (exec), then becomes runc.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Final

_CAP_SYS_RESOURCE: Final = 24


def lacks_sys_resource() -> bool:
    """Whether this process lacks CAP_SYS_RESOURCE (bit 24 of CapEff in /proc)."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return not int(effective, 16) >> _CAP_SYS_RESOURCE & 1


def _drop(file: Path, path: tuple[str, ...]) -> None:
    if not file.is_file():
        return
    document = json.loads(file.read_text())
    owner = document
    for key in path:
        owner = owner.get(key) or {}
    for names in owner.values():
        if isinstance(names, list) and "CAP_SYS_RESOURCE" in names:
            names.remove("CAP_SYS_RESOURCE")
    file.write_text(json.dumps(document))


def main(arguments: list[str]) -> None:
    for flag, value in itertools.pairwise(arguments):
        if flag in ("--bundle", "-b"):
            _drop(Path(value) / "config.json", ("process", "capabilities"))
        elif flag in ("--process", "-p"):
            _drop(Path(value), ("capabilities",))
    os.execv("/usr/sbin/runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
