"""Write every generated file: ``python -m hack.generate``; with ``--check`` only say which are out of date."""

import argparse
import sys
from pathlib import Path

from hack.generate import chart
from hack.generate.crds import crd_name, crd_yaml
from hack.generate.reference import api_reference
from sdg_operator.api.kinds import KINDS

ROOT = Path(__file__).parents[2]


def outputs() -> dict[Path, str]:
    """Return every generated file with its content."""
    files = {ROOT / "crds" / crd_name(kind): crd_yaml(kind) for kind in KINDS}
    return files | {ROOT / "docs" / "api-reference.md": api_reference()} | chart.outputs()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    check = parser.parse_args().check
    stale = 0
    for path, text in outputs().items():
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if check:
            print(f"out of date: {path.relative_to(ROOT)} (run `make generate`)", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
