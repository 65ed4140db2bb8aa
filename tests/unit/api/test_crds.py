"""The generated schemas keep Kubernetes' API conventions, and the generator refuses what a CRD cannot say."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from hack.generate.crds import crd, crd_yaml, schema_of, without_rules
from sdg_operator.api.common import ApiModel
from sdg_operator.api.kinds import KINDS, Kind
from sdg_operator.api.quantity import Quantity
from sdg_operator.api.rules import exactly_one, frozen_except, keyed_by, rules
from tests.integration.api.frozen_fields import FIELDS, ROWS, TABLE

MAPS = {"labels", "annotations", "nodeSelector", "limits", "requests", "podLabels"}

Node = tuple[str, dict[str, Any]]


def _nodes(schema: dict[str, Any], path: str) -> Iterator[Node]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[]")


def _all_nodes() -> Iterator[Node]:
    for kind in KINDS:
        (version,) = crd(kind)["spec"]["versions"]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            yield from _nodes(properties[part], f"{kind.name}.{part}")


NODES = dict(_all_nodes())


def test_the_walk_sees_the_whole_api() -> None:
    assert "DataGeneration.spec.teacher.server.env[].value" in NODES
    assert len(NODES) > 200


@pytest.mark.parametrize("path", [path for path in NODES if not path.endswith("[]")])
def test_every_field_has_a_description(path: str) -> None:
    text = NODES[path].get("description", "")
    assert 4 <= len(text) <= 200, "a sentence that `kubectl explain` shows"
    assert text.endswith(".")


def test_every_string_list_and_map_is_bounded() -> None:
    unbounded = [
        path
        for path, node in NODES.items()
        if (node.get("type") == "string" and not ("enum" in node or "maxLength" in node))
        or (node.get("type") == "array" and "maxItems" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
        or (node.get("x-kubernetes-int-or-string") and "maxLength" not in node)
    ]
    assert unbounded == []


def test_there_are_no_floats_no_defaults_and_no_unknown_fields() -> None:
    bad = [
        path
        for path, node in NODES.items()
        if node.get("type") == "number"
        or "default" in node
        or node.get("x-kubernetes-preserve-unknown-fields")
        or not (node.get("type") or node.get("x-kubernetes-int-or-string"))
    ]
    assert bad == []


def test_maps_are_those_that_kubernetes_has_too() -> None:
    maps = {path.rsplit(".", 1)[-1] for path, node in NODES.items() if "additionalProperties" in node}
    assert maps <= MAPS


def test_every_list_says_how_it_is_merged() -> None:
    kinds = {path: node.get("x-kubernetes-list-type") for path, node in NODES.items() if node.get("type") == "array"}
    assert set(kinds.values()) <= {"atomic", "map"}
    for path, kind in kinds.items():
        if kind == "map":
            (key,) = NODES[path]["x-kubernetes-list-map-keys"]
            assert key in NODES[f"{path}[]"]["required"], path


def test_every_rule_of_the_spec_has_a_message_that_says_what_to_do() -> None:
    found = [rule for path, node in NODES.items() for rule in node.get("x-kubernetes-validations", [])]
    assert len(found) > 40
    assert all(10 < len(rule["message"]) < 300 for rule in found)


def test_the_status_carries_no_rules_and_no_patterns() -> None:
    status = {path: node for path, node in NODES.items() if ".status" in path}
    assert [path for path, node in status.items() if {"x-kubernetes-validations", "pattern"} & node.keys()] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_conditions_come_first_in_the_status(kind: Kind) -> None:
    """As the conventions ask, so that who reads a status meets first what every kind has."""
    assert next(iter(NODES[f"{kind.name}.status"]["properties"])) == "conditions"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_crd_is_under_64_kilobytes(kind: Kind) -> None:
    """Far from the 256 KiB that `kubectl apply` can put into its annotation."""
    assert len(crd_yaml(kind).encode()) < 64_000


def test_every_field_of_a_run_has_a_row_in_the_test_of_immutability() -> None:
    assert set(ROWS) == set(FIELDS), f"{TABLE.name} has one row for each field of the spec"


class Part(ApiModel):
    """A part."""

    model_config = ConfigDict(json_schema_extra=exactly_one("first", "second", message="one of both"))

    first: Annotated[str, Field(max_length=3)] | None = Field(default=None, description="First.")
    second: Quantity | None = Field(default=None, description="Second.")


def _freeze(schema: dict[str, Any]) -> None:
    schema |= rules(("self.wordCount > 0", "be there"))
    frozen_except(schema, frozenset({"parts"}), "fixed")


class Whole(ApiModel):
    """A whole."""

    model_config = ConfigDict(json_schema_extra=_freeze)

    word_count: int = Field(ge=1, le=9, description="Small.")
    bytes_seen: int = Field(default=0, description="Large.")
    mode: Literal["only"] = Field(default="only", description="One.")
    parts: Annotated[list[Part], Field(max_length=2, json_schema_extra=keyed_by("first"))] = Field(
        default=[], description="Parts."
    )


def test_a_model_becomes_a_structural_schema() -> None:
    frozen = {"message": "fixed", "reason": "FieldValueForbidden"}
    assert schema_of(Whole) == {
        "description": "A whole.",
        "type": "object",
        "properties": {
            "wordCount": {
                "description": "Small.",
                "type": "integer",
                "minimum": 1,
                "maximum": 9,
                "format": "int32",
            },
            "bytesSeen": {"description": "Large.", "type": "integer", "format": "int64"},
            "mode": {"description": "One.", "type": "string", "enum": ["only"]},
            "parts": {
                "description": "Parts.",
                "type": "array",
                "maxItems": 2,
                "items": {
                    "description": "A part.",
                    "type": "object",
                    "properties": {
                        "first": {"description": "First.", "type": "string", "maxLength": 3},
                        "second": schema_of(Part)["properties"]["second"],
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "[has(self.first), has(self.second)].filter(set, set).size() == 1",
                            "message": "one of both",
                        }
                    ],
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["first"],
            },
        },
        "required": ["wordCount"],
        "x-kubernetes-validations": [
            {"rule": "self.wordCount > 0", "message": "be there"},
            *(
                {
                    "rule": f"has(self.{name}) == has(oldSelf.{name}) && "
                    f"(!has(self.{name}) || self.{name} == oldSelf.{name})",
                    "fieldPath": f".{name}",
                    **frozen,
                }
                for name in ("wordCount", "bytesSeen", "mode")
            ),
        ],
    }


def test_a_quantity_is_a_number_or_a_text_of_a_pattern() -> None:
    second = schema_of(Part)["properties"]["second"]
    assert second["description"] == "Second."
    assert second["x-kubernetes-int-or-string"] is True
    assert second["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert second["maxLength"] == 32
    assert "type" not in second


def test_rules_are_left_out_where_only_the_operator_writes() -> None:
    schema = without_rules(schema_of(Whole))
    assert "x-kubernetes-validations" not in schema
    assert "x-kubernetes-validations" not in schema["properties"]["parts"]["items"]


class Floating(ApiModel):
    """Has what a CRD must not have."""

    share: float = Field(description="A share.")


class Free(ApiModel):
    """Has what a CRD must not have."""

    anything: dict[str, Any] = Field(description="Anything.")


class Either(ApiModel):
    """Has what a CRD cannot say."""

    choice: int | list[str] = Field(description="A choice.")


@pytest.mark.parametrize("model", [Floating, Free, Either])
def test_what_a_crd_cannot_say_is_refused(model: type[ApiModel]) -> None:
    with pytest.raises(ValueError, match="a CRD cannot say this"):
        schema_of(model)
