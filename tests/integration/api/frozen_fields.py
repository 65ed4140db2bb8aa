"""Every field of a run's spec, from the CRD, and its row in frozen_fields.yaml."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hack.generate.crds import crd
from sdg_operator.api.kinds import DATA_GENERATION

TABLE = Path(__file__).with_suffix(".yaml")
ROWS: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text())


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of every field without fields of its own; ``[]`` marks a list of objects."""
    if "properties" in schema:
        for name, child in schema["properties"].items():
            yield from _fields(child, f"{path}.{name}" if path else name)
    elif "properties" in schema.get("items", {}):
        yield from _fields(schema["items"], f"{path}[]")
    else:
        yield path


def _schema_of_the_spec() -> dict[str, Any]:
    (version,) = crd(DATA_GENERATION)["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


FIELDS = list(_fields(_schema_of_the_spec()))
