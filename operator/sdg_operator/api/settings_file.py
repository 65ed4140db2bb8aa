"""Read the settings file, and say of each bad value which setting it is, what is wrong and what would be right."""

from collections.abc import Iterator
from dataclasses import dataclass
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
    """The settings cannot be used; one line for each bad value: ``FILE:LINE: SETTING: what is wrong``."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True, order=True)
class _Problem:
    line: int
    text: str


def load_settings(path: Path) -> Settings:
    """Read and check the settings file. Raises `SettingsError` with all that is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; the chart mounts it, --settings names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    problems: list[_Problem] = []
    settings = _checked(text, problems)
    if settings is None or problems:
        raise SettingsError(*(f"{path}:{problem.line}: {problem.text}" for problem in sorted(problems)))
    return settings


def _checked(text: str, problems: list[_Problem]) -> Settings | None:
    """Return the settings in a text, and add what is wrong with it to the problems."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        problems += _twins(root)
        content = loader.construct_document(root) if root else None
    except (yaml.YAMLError, ValueError) as error:  # the second for what looks like a date and is none
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        said = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        problems.append(_Problem(mark.line + 1 if mark else 1, f"is not YAML that can be used: {said}"))
        return None
    finally:
        loader.dispose()
    if root is None or not isinstance(content, dict):
        problems.append(_Problem(1, f"must be a mapping that begins with `images:`, not {_kind_of(content)}"))
        return None
    try:
        # Strict, since `yes` is no number; and no unknown key anywhere, though a user's spec may have newer ones.
        return Settings.model_validate(content, by_alias=True, by_name=False, strict=True, extra="forbid")
    except ValidationError as error:
        problems += (
            _Problem(_line(root, _parts(detail["loc"])), f"{_name(detail['loc'])}: {_explain(detail)}")
            for detail in _distinct(error)
        )
        return None


def _twins(root: yaml.Node | None) -> Iterator[_Problem]:
    """Find keys that are there twice: the last would win, and nobody would see it."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
            continue
        names: set[str] = set()
        for key, value in node.value:
            todo.append(value)
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in names:
                    yield _Problem(key.start_mark.line + 1, f"{key.value}: is there twice; keep one")
                names.add(key.value)


def _line(root: yaml.Node, place: list[int | str]) -> int:
    """Return the line (from 1) of a key or an item; of what holds it where it is missing."""
    node, line = root, root.start_mark.line
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            # A key's own mapping comes after what it merges in, and wins.
            found = next((pair for pair in reversed(node.value) if pair[0].value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
    return line + 1


def _distinct(error: ValidationError) -> Iterator[ErrorDetails]:
    """Yield one detail for each setting: a union (a quantity) has one for each of its members."""
    seen = set()
    for detail in error.errors(include_url=False):
        name = _name(detail["loc"])
        if name not in seen:
            seen.add(name)
            yield detail


def _parts(location: tuple[int | str, ...]) -> list[int | str]:
    """Return a place in the file, without what pydantic adds of the model's own."""
    return [p for p in location if p not in {"int", "str", "[key]"} and not str(p).startswith("function-")]


def _name(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in _parts(location)).lstrip(".")


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
