"""Checks one qna.yaml against InstructLab's schema, and says what kind of leaf it is. Pure."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final

from instructlab.schema import schema_base, schema_versions
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sdg_operator.storage.records import LeafKind
from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.tree import KNOWLEDGE_FOLDER, SKILLS_FOLDER
from sdg_operator.taxonomy.yamltext import Document, YamlError, decode, load

_PER_FILE: Final = 50
_USED_PAIRS: Final = 3
"""Question and answer pairs that InstructLab uses of a knowledge seed example; it drops the others silently."""


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """The documents of a knowledge leaf, as its qna.yaml names them, and where it does."""

    repo: str
    commit: str
    patterns: tuple[str, ...]
    place: dict[str, tuple[int, int]]
    """Line and column of ``repo``, ``commit`` and each pattern (``patterns.0``)."""

    def problem(self, file: str, field_name: str, message: str) -> Problem:
        line, column = self.place.get(field_name, (1, 1))
        return Problem(file=file, line=line, column=column, message=message)


@dataclass(slots=True)
class Qna:
    """What a qna.yaml says. `kind` and the rest mean something only when there are no problems."""

    file: str
    kind: LeafKind
    version: int = 1
    empty: bool = False
    seeds: int = 0
    document: DocumentSource | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read_qna(file: str, data: bytes, limits: Limits) -> Qna:
    """Check one file, whose path below the root decides the schema. Never raises for what the file holds."""
    folder = file.split("/", 1)[0]
    qna = Qna(file=file, kind="knowledge" if folder == KNOWLEDGE_FOLDER else "freeform")
    try:
        document = load(decode(data), limits)
    except YamlError as error:
        qna.problems.append(error.problem(file))
        return qna
    if not document.value:
        qna.empty = True
        return qna
    if not isinstance(document.value, dict):
        message = "The file is not valid. The top-level element is not an object with key-value pairs."
        qna.problems.append(Problem(file=file, line=1, column=1, message=message))
        return qna
    qna.version = _version(document.value)
    qna.problems += _schema_problems(file, folder, qna.version, document)
    if not qna.problems:
        _read_seeds(qna, document)
    return qna


def known_versions() -> tuple[int, ...]:
    """Give the schema versions that the library knows."""
    return tuple(int(version.name[1:]) for version in schema_versions())


def _version(value: dict[str, Any]) -> int:
    """Decide which schema to use, as InstructLab does: no version, or one that is no number, means 1."""
    try:
        return int(value.get("version", 1))
    except (TypeError, ValueError, OverflowError):
        return 1


def _schema_problems(file: str, folder: str, version: int, document: Document) -> Iterator[Problem]:
    def problem(message: str, path: tuple[str | int, ...] = (), key: str | None = None) -> Problem:
        line, column = document.place(path, key=key)
        return Problem(file=file, line=line, column=column, message=message)

    if version not in known_versions():
        known = ", ".join(str(number) for number in known_versions())
        yield problem(f"version {version} is not known; use one of {known}", ("version",))
        return
    schema = _schema(f"v{version}", folder)
    if schema.get("deprecated"):
        yield problem(str(schema.get("description", f"Version {version} is not supported for {folder}.")), ("version",))
        return
    if misplaced := _misplaced(folder, document.value):
        yield problem(misplaced)
        return
    for number, error in enumerate(_validator(f"v{version}", folder).iter_errors(document.value)):
        if number == _PER_FILE:
            yield Problem(file=file, message="and further problems of this file")
            return
        yield problem(_schema_message(error), tuple(error.absolute_path), _unexpected_key(error))


def _misplaced(folder: str, value: dict[str, Any]) -> str | None:
    """Say it in one sentence where the schema would find fault with every line."""
    if folder != KNOWLEDGE_FOLDER and {"document", "domain"} <= value.keys():
        return f"this looks like a knowledge leaf (it names a document); put it below {KNOWLEDGE_FOLDER}/"
    if folder == KNOWLEDGE_FOLDER and "task_description" in value and not {"document", "domain"} & value.keys():
        return f"this looks like a skill (it names no document); put it below {SKILLS_FOLDER}/"
    return None


def _schema_message(error: ValidationError) -> str:
    """Word a schema error as InstructLab words it."""
    path = error.json_path[1:] or "."
    if error.validator == "minItems":
        return f"[{path}] Value must have at least {error.validator_value} items"
    hint = "; put it in quotes" if error.validator_value == "string" and _is_number(error.instance) else ""
    return f"[{path}] {error.message[-200:]}{hint}"


def _is_number(value: object) -> bool:
    """Tell whether YAML made a number (of a commit, say), a date or a truth value of what was meant as text."""
    return isinstance(value, (int, float, date))


def _unexpected_key(error: ValidationError) -> str | None:
    if error.validator != "unevaluatedProperties" or not isinstance(error.instance, dict):
        return None
    known = {"version", *error.schema.get("properties", {})}  # type: ignore[union-attr]
    return next((key for key in error.instance if key not in known), None)


def _read_seeds(qna: Qna, document: Document) -> None:
    value = document.value
    seeds: list[dict[str, Any]] = value["seed_examples"]
    qna.seeds = len(seeds)
    if qna.kind == "knowledge":
        qna.document = _document_source(value["document"], document)
        for index, seed in enumerate(seeds):
            pairs = len(seed["questions_and_answers"])
            if pairs > _USED_PAIRS:
                line, column = document.place(("seed_examples", index, "questions_and_answers", _USED_PAIRS))
                message = f"only the first {_USED_PAIRS} of {pairs} questions and answers are used"
                qna.warnings.append(Problem(file=qna.file, line=line, column=column, message=message))
        return
    grounded = "context" in seeds[0]
    qna.kind = "grounded" if grounded else "freeform"
    for index, seed in enumerate(seeds):
        if ("context" in seed) != grounded:
            line, column = document.place(("seed_examples", index))
            message = (
                f"[.seed_examples[{index}]] has {'no' if grounded else 'a'} context, unlike the first example; a skill "
                "is either grounded (each example has a context) or freeform (none has): make two leaves of it"
            )
            qna.problems.append(Problem(file=qna.file, line=line, column=column, message=message))


def _document_source(value: dict[str, Any], document: Document) -> DocumentSource:
    place = {name: document.place(("document", name)) for name in ("repo", "commit")}
    for index in range(len(value["patterns"])):
        place[f"patterns.{index}"] = document.place(("document", "patterns", index))
    return DocumentSource(value["repo"], value["commit"], tuple(value["patterns"]), place)


@cache
def _schema(version: str, folder: str) -> dict[str, Any]:
    text = schema_base().joinpath(version, f"{folder}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(version: str, folder: str) -> Draft202012Validator:
    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(_schema(version, uri.removesuffix(".json")), default_specification=DRAFT202012)

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    validator: Draft202012Validator = _VALIDATOR(_schema(version, folder), registry=registry)
    return validator


def _unique_items(
    validator: Draft202012Validator, unique: bool, instance: Any, _schema: object
) -> Iterator[ValidationError]:
    """``uniqueItems`` in one pass; the library compares pair by pair, which takes minutes for a hostile list."""
    if unique and validator.is_type(instance, "array"):
        seen: set[str] = set()
        for item in instance:
            text = json.dumps(item, sort_keys=True, default=repr)
            if text in seen:
                yield ValidationError(f"{instance!r} has non-unique elements")
                return
            seen.add(text)


_VALIDATOR: Final[Callable[..., Any]] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"uniqueItems": _unique_items}
)
