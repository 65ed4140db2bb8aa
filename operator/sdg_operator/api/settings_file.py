"""Read the settings file, and say of each bad value which setting it is, what is wrong and what would be right."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sdg_operator.api.settings import Settings
from sdg_operator.api.settings_yaml import Location, Problem, SettingsYaml, Unreadable, shown

_WORDS = {
    "literal_error": "{value} is not one of {expected}",
    "greater_than_equal": "{value} is too small; at least {ge}",
    "less_than_equal": "{value} is too large; at most {le}",
    "string_pattern_mismatch": "{value} has characters that are not allowed here; it must match {pattern}",
    "value_error": "{value}: {error}",
    "model_type": "must be a mapping, not {kind}",
    "dict_type": "must be a mapping, not {kind}",
    "list_type": "must be a list, not {kind}",
    "too_long": "has too many entries; at most {max_length}",
    "string_too_long": "{value} is too long; at most {max_length} characters",
    "string_too_short": "{value} is too short; at least {min_length} characters",
}
"""What is said of a bad value, by pydantic's type of error."""


class SettingsError(Exception):
    """The settings cannot be used; one line for each bad value: ``FILE:LINE: SETTING: what is wrong``."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class SettingsMissing(SettingsError):
    """There is no settings file."""


def load_settings(path: Path) -> Settings:
    """Read and check the settings file. Raises `SettingsError` with all that is wrong in it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SettingsMissing(f"{path}: there is no such file; the chart mounts it, --settings names another") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    return read_settings(data, str(path))


def read_settings(data: bytes, name: str) -> Settings:
    """Check the settings in a file's content; `name` stands in messages. Raises `SettingsError`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{name}:{line}: cannot be read: it is not UTF-8 text") from error
    try:
        document = SettingsYaml(text)
        settings, problems = _checked(document)
    except Unreadable as error:
        settings, problems = None, [error.problem]
    if settings is None or problems:
        raise SettingsError(*(f"{name}:{problem.line}: {problem.text}" for problem in sorted(problems)))
    return settings


def _checked(document: SettingsYaml) -> tuple[Settings | None, list[Problem]]:
    """Return the settings of a document, if they can be used, and all that is wrong.

    Some checks are made only where every part of a value has the right form. So what has not is taken out, and the rest
    is looked at again, until nothing more is found.
    """
    problems = list(document.problems)
    content = document.value()
    if not isinstance(content, dict):
        return None, [*problems, Problem(1, f"must be a mapping that begins with `images:`, not {_kind_of(content)}")]
    told: set[Location] = set()
    removed: set[Location] = set()
    while True:
        try:
            # Strict, since `yes` is no number; and no unknown key anywhere, though a user's spec may have newer ones.
            return Settings.model_validate(content, by_alias=True, by_name=False, strict=True, extra="forbid"), problems
        except ValidationError as error:
            found = {_location(document, detail): detail for detail in reversed(error.errors(include_url=False))}
        # By where they were written: positions in a list change as its items are taken out.
        written = {location: document.written(location) for location in found}
        problems += [
            _problem(document, location, detail)
            for location, detail in found.items()
            if written[location] not in told and not _follows(written[location], removed)
        ]
        told |= set(written.values())
        # From the end, so that positions hold until they are used.
        gone = {written[location] for location in sorted(found, key=_order, reverse=True) if document.remove(location)}
        if not gone:
            return None, problems
        removed |= gone
        content = document.value()


def _follows(location: Location, removed: set[Location]) -> bool:
    """Whether a finding may come from what was taken out: a part of the value, or a limit to the request of a name."""
    return any(
        gone[: len(location)] == location or (gone[:-2] == location[:-2] and gone[-1:] == location[-1:])
        for gone in removed
    )


def _order(location: Location) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (0, part) for part in location]


def _location(document: SettingsYaml, detail: ErrorDetails) -> Location:
    """Where the value is in the document; pydantic adds which member of a union it tried."""
    known = document.known(detail["loc"])
    return detail["loc"] if detail["type"] == "missing" else known


def _problem(document: SettingsYaml, location: Location, detail: ErrorDetails) -> Problem:
    return Problem(document.line(location), f"{document.name(location)}: {_explain(location, detail)}")


def _explain(location: Location, detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown(location)
    if kind == "missing":
        return f"is missing; {_description(location)}"
    if detail["loc"][len(location) :] in {("int",), ("str",)}:  # a union: a quantity
        return f"is {_kind_of(value)}; write it as in a pod: 1, 500m, 16Gi, or a fraction in quotes"
    if kind not in _WORDS:
        return f"{detail['msg'].removeprefix('Input ')}, not {_kind_of(value)}"
    return _WORDS[kind].format(value=shown(value), kind=_kind_of(value), **detail.get("ctx", {}))


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
    said = "" if isinstance(value, dict | list) else f" ({shown(value)})"
    return f"{names.get(type(value), type(value).__name__)}{said}"


def _unknown(location: Location) -> str:
    known = [field.alias or name for name, field in _model_at(location[:-1]).model_fields.items()]
    close = get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known here are {', '.join(sorted(known))}"
    return f"there is no such setting; {hint}"


def _description(location: Location) -> str:
    fields = _model_at(location[:-1]).model_fields
    text = next(field.description for name, field in fields.items() if location[-1] in {name, field.alias})
    return f"it says: {text}"


def _model_at(location: Location) -> type[BaseModel]:
    """Return the model of a section of the file."""
    model: type[BaseModel] = Settings
    for part in location:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                kinds = (field.annotation, *get_args(field.annotation))
                model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
                break
    return model
