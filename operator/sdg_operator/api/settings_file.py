"""Read the settings file, and say of each bad value which setting it is, what is wrong and what would be right."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sdg_operator.api.settings import Settings

_MERGE = "tag:yaml.org,2002:merge"
_WORDS = {
    "literal_error": "{value!r} is not one of {expected}",
    "greater_than_equal": "{value} is too small; at least {ge}",
    "less_than_equal": "{value} is too large; at most {le}",
    "string_pattern_mismatch": "{value!r} has characters that are not allowed here; it must match {pattern}",
    "value_error": "{value!r}: {error}",
    "model_type": "must be a mapping, not {kind}",
    "dict_type": "must be a mapping, not {kind}",
    "list_type": "must be a list, not {kind}",
}
"""What is said of a bad value, by pydantic's type of error."""


class SettingsError(Exception):
    """The settings cannot be used; the message has one line for each bad value."""


class _Loader(yaml.SafeLoader):
    """YAML without keys that are there twice: the last would win, and nobody would see it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE]
        seen: set[str] = set()
        for name in names:
            if name.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{name.value!r} is there twice; keep one", problem_mark=name.start_mark
                )
            seen.add(name.value)
        return super().construct_mapping(node, deep)


def load_settings(path: Path) -> Settings:
    """Read and check the settings file. Raises `SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; the chart mounts it, --settings names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML that can be used: {_where(error)}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a mapping that begins with `images:`, not {_kind_of(content)}")
    try:
        # Strict, since `yes` is no number; and no unknown key anywhere, though a user's spec may have newer ones.
        return Settings.model_validate(content, by_alias=True, by_name=False, strict=True, extra="forbid")
    except ValidationError as error:
        lines = [f"{path}: {_name(detail['loc'])}: {_explain(detail)}" for detail in _distinct(error)]
        raise SettingsError("\n".join(lines)) from error


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error)


def _distinct(error: ValidationError) -> Iterator[ErrorDetails]:
    """Yield one detail for each setting: a union (a quantity) has one for each of its members."""
    seen = set()
    for detail in error.errors(include_url=False):
        name = _name(detail["loc"])
        if name not in seen:
            seen.add(name)
            yield detail


def _name(location: tuple[int | str, ...]) -> str:
    parts = [part for part in location if part not in {"int", "str", "[key]"} and not str(part).startswith("function-")]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _explain(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown(detail["loc"])
    if kind == "missing":
        return f"is missing; {_description(detail['loc'])}"
    if detail["loc"][-1] in {"int", "str"}:  # a union: a quantity
        return f"is {_kind_of(value)}; write it as in a pod: 1, 500m, 16Gi, or a fraction in quotes"
    if kind not in _WORDS:
        return f"{detail['msg'].removeprefix('Input ')}, not {_kind_of(value)}"
    return _WORDS[kind].format(value=value, kind=_kind_of(value), **detail.get("ctx", {}))


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {
        dict: "a mapping",
        list: "a list",
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a fraction",
    }
    shown = "" if isinstance(value, dict | list) else f" ({value!r})"
    return f"{names.get(type(value), type(value).__name__)}{shown}"


def _unknown(location: tuple[int | str, ...]) -> str:
    known = [field.alias or name for name, field in _model_at(location[:-1]).model_fields.items()]
    close = get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known here are {', '.join(sorted(known))}"
    return f"there is no such setting; {hint}"


def _description(location: tuple[int | str, ...]) -> str:
    fields = _model_at(location[:-1]).model_fields
    text = next(field.description for name, field in fields.items() if location[-1] in {name, field.alias})
    return f"it says: {text}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model of a section of the file."""
    model: type[BaseModel] = Settings
    for part in location:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                kinds = (field.annotation, *get_args(field.annotation))
                model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
                break
    return model
