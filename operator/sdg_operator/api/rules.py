"""How a model carries what the API server checks beyond the schema: CEL rules and list types.

The helpers return what pydantic copies into the JSON schema (``json_schema_extra``); the CRD generator passes on every
``x-kubernetes-`` key. See https://kubernetes.io/docs/reference/using-api/cel/ for the language.
"""

from pydantic.config import JsonDict


def rules(*expressions: tuple[str, str]) -> JsonDict:
    """Attach CEL rules, each with the message that tells the user what to do."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in expressions]}


WORDS = "x-words"
"""Beside a pattern: what the API server says where a text does not match, instead of the pattern itself."""


def exactly_one(*fields: str, message: str) -> JsonDict:
    """Attach the rule that exactly one of the fields is set."""
    return rules((f"[{', '.join(f'has(self.{name})' for name in fields)}].filter(set, set).size() == 1", message))


def keyed_by(field: str) -> JsonDict:
    """Mark a list as a map by a field of its items: server-side apply merges by it, and twins are refused."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}


def frozen_except(schema: JsonDict, free: frozenset[str], message: str) -> None:
    """Attach one immutability rule for each property of an object's schema but the free ones.

    The rules stand on the object, with ``has()`` on both sides: a rule on an optional field itself is not asked when
    the field is added or removed.
    """
    properties = schema["properties"]
    assert isinstance(properties, dict)
    frozen: list[JsonDict] = [
        {
            "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
            "message": message,
            "fieldPath": f".{name}",
            "reason": "FieldValueForbidden",
        }
        for name in properties
        if name not in free
    ]
    existing = schema.get("x-kubernetes-validations", [])
    assert isinstance(existing, list)
    schema["x-kubernetes-validations"] = [*existing, *frozen]
