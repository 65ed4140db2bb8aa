"""The version of everything that is released together; `make verify` holds the chart and a tag to it."""

import tomllib
from pathlib import Path
from typing import Final

VERSION: Final[str] = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]
