"""Objects with every field of a CRD set, made from the CRD itself: the largest that it admits, and small ones.

Where exactly one of several fields may be set there is one object for each, so that together they have every field.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Schema = dict[str, Any]
_Entry = TypeVar("_Entry")

_VARIANTS: Final = 6
"""Exactly one may be set of two or three fields, also inside each other: each is in one of six."""
_SHORT: Final = 8

_STRINGS: Final[dict[str, Callable[[int], str]]] = {
    "taxonomyRef.digest": lambda _: f"sha256:{'0' * 64}",
    "tolerations[].key": lambda size: f"example.com/{'a' * min(size - 12, 63)}",
    "git.url": lambda size: f"https://example.com/{'a' * (size - 20)}",
    "credentials[].urlPrefix": lambda size: f"https://example.com/{'a' * (size - 20)}",
    "git.path": lambda size: ("a/" * size)[:size],
    "output.prefix": lambda size: ("a/" * size)[: size - 1 + size % 2],
    "server.healthPath": lambda size: "/" * size,
}
"""Texts of a given length for fields that do not take any letters; parts of a path cost the rules most."""
_CHOICES: Final = {"tolerations[].operator": "Equal", "tolerations[].effect": "NoExecute"}
"""Where not each value of an enum goes together with all other fields."""


def _at(path: str, table: dict[str, _Entry]) -> _Entry | None:
    """The entry of a field, here or in the status, where a part of the spec is written again."""
    return next((entry for end, entry in table.items() if path.endswith(f".{end}")), None)


@dataclass(frozen=True, slots=True)
class _Filler:
    variant: int
    largest: bool

    def value(self, node: Schema, path: str, number: int = 0) -> Any:
        """Fill one place; `number` is that of the list's item that it belongs to."""
        if node.get("x-kubernetes-int-or-string"):
            # Devices, in a map of resources, are counted with fewer digits.
            return "1" * ((9 if path.endswith("[]") else node["maxLength"]) if self.largest else 1)
        if "enum" in node:
            return _at(path, _CHOICES) or node["enum"][self.variant % len(node["enum"])]
        if node["type"] == "string":
            return self._string(node, path, number)
        if node["type"] in {"array", "object"}:
            return self._parts(node, path, number)
        return True if node["type"] == "boolean" else node.get("maximum", 2**53 if self.largest else 7)

    def _parts(self, node: Schema, path: str, number: int) -> Any:
        if node["type"] == "array":
            size = node["maxItems"] if self.largest else 1
            return [self.value(node["items"], f"{path}[]", index) for index in range(size)]
        if "additionalProperties" in node:
            return dict(self._entries(node, path))
        return {
            name: self.value(self._bounded(node, name, child), f"{path}.{name}", number)
            for name, child in self._fields(node).items()
        }

    def _fields(self, node: Schema) -> dict[str, Schema]:
        """The fields to set, of alternatives one."""
        left_out: set[str] = set()
        for rule in node.get("x-kubernetes-validations", ()):
            if re.fullmatch(r"\[.*\]\.filter\(set, set\)\.size\(\) == 1", rule["rule"]):
                names = re.findall(r"has\(self\.(\w+)\)", rule["rule"])
                assert _VARIANTS % len(names) == 0
                left_out |= {*names} - {names[self.variant % len(names)]}
        return {name: child for name, child in node["properties"].items() if name not in left_out}

    def _bounded(self, node: Schema, name: str, child: Schema) -> Schema:
        """The field's schema, with the bound that a rule of its object gives."""
        for rule in node.get("x-kubernetes-validations", ()):
            if found := re.search(rf"size\(self\.{name}\) <= (\d+)", rule["rule"]):
                bound = "maxItems" if child.get("type") == "array" else "maxProperties"
                return child | {bound: int(found[1])}
        return child

    def _entries(self, node: Schema, path: str) -> Iterator[tuple[str, Any]]:
        for index in range(node["maxProperties"] if self.largest else 1):
            # As long as a key may be: 253 characters of a domain, 63 of a name.
            key = f"example.com/{index:03}"
            if self.largest:
                key = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}/{'e' * 60}{index:03}"
            yield key, self.value(node["additionalProperties"], f"{path}[]", index)

    def _string(self, node: Schema, path: str, number: int) -> str:
        if node.get("format") == "date-time":
            return "2026-11-29T12:00:00Z"
        size = node["maxLength"] if self.largest else min(node["maxLength"], _SHORT)
        made = _at(path, _STRINGS)
        text = made(max(size, 24)) if made else "a" * size
        # Items of a list that is merged by a key differ in it; no other list minds.
        return f"{text[:-2]}{number:02}" if number and not text.endswith("/") else text


def fields(schema: Schema, path: str) -> Iterator[str]:
    """Yield the path of every field of a schema."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], path)


def fields_set(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Yield the path of every field of a schema that a value has."""
    for name, child in schema.get("properties", {}).items():
        if name in value:
            yield f"{path}.{name}"
            yield from fields_set(child, value[name], f"{path}.{name}")
    for item in value if "items" in schema else ():
        yield from fields_set(schema["items"], item, path)


def filled(crd: Schema, *, largest: bool = False) -> Iterator[dict[str, Any]]:
    """Yield objects of a CRD with spec and status; `largest`: each string, list and map as long as it may be."""
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    for variant in range(_VARIANTS):
        filler = _Filler(variant, largest)
        yield {
            "apiVersion": f"{group}/{version['name']}",
            "kind": kind,
            "metadata": {"name": f"{kind.lower()}-{variant}"},
            **{part: filler.value(properties[part], part) for part in ("spec", "status")},
        }
