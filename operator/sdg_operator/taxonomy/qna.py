"""Checks one qna.yaml against InstructLab's schema, and says what kind of leaf it is. Pure."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
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
from sdg_operator.taxonomy.schemawords import in_words, twins, version_words
from sdg_operator.taxonomy.tree import KNOWLEDGE_FOLDER, SKILLS_FOLDER
from sdg_operator.taxonomy.yamltext import Document, Path, YamlError, decode, load
from sdg_operator.taxonomy.yamlwords import ODD_BREAK, shown

_PER_FILE: Final = 50
_USED_PAIRS: Final = 3
"""Question and answer pairs that InstructLab uses of a knowledge seed example; it drops the others silently."""
_PROSE: Final = ("context", "question", "answer")
_TOP_PROSE: Final = ("task_description", "document_outline")
_TYPOGRAPHIC: Final = re.compile("[\u201c\u201e\u2018][^\u201c-\u201e\u2018\u2019]*[\u201c\u201d\u2019]")
"""A text that is all in typographic quotes, with none of them inside."""
_VERSION_3: Final = "v3"


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
    readable: bool = False
    """Whether it is YAML at all."""
    empty: bool = False
    seeds: int = 0
    document: DocumentSource | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def linted(self) -> bool:
        """Whether its form matters: it is YAML, and InstructLab lints from version 2 on."""
        return self.readable and not self.empty and self.version > 1


def read_qna(file: str, data: bytes, limits: Limits) -> Qna:
    """Check one file, whose path below the root decides the schema. Never raises for what the file holds."""
    folder = file.split("/", 1)[0]
    qna = Qna(file=file, kind="knowledge" if folder == KNOWLEDGE_FOLDER else "freeform")
    try:
        document = load(decode(data), limits)
    except YamlError as error:
        qna.problems.append(error.problem(file))
        return qna
    qna.readable = True
    if not document.value:
        qna.empty = True
        return qna
    if not isinstance(document.value, dict):
        message = "The file is not valid. The top-level element is not an object with key-value pairs."
        qna.problems.append(Problem(file=file, line=1, column=1, message=message))
        return qna
    qna.version = _version(document.value)
    qna.problems += _keys_twice(file, document)
    qna.problems += _schema_problems(file, folder, qna.version, document)
    qna.warnings += islice(_doubtful(file, document), _PER_FILE)
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
    def problem(message: str, path: Path = (), key: str | None = None) -> Problem:
        line, column = document.place(path, key=key)
        return Problem(file=file, line=line, column=column, message=message)

    words = version_words(document)
    if not words and version not in known_versions():
        known = ", ".join(str(number) for number in known_versions())
        yield problem(f"version {shown(str(version))} is not known; use one of {known}", ("version",))
        return
    old = version in known_versions() and _schema(f"v{version}", folder).get("deprecated")
    meant = not words or (version > 1 and version in known_versions())
    if words and not (old and meant):
        yield problem(words, ("version",))
    if misplaced := _misplaced(folder, document.value):
        yield problem(misplaced)
        return
    if old and meant:
        yield problem(_old_knowledge(version, document.value), ("version",))
    if old or not meant:
        return
    errors = list(islice(_validator(f"v{version}", folder).iter_errors(document.value), _PER_FILE + 1))
    found = list(islice(in_words(errors, document, folder), _PER_FILE))
    yield from (problem(*words) for words in found)
    if len(errors) > _PER_FILE or len(found) == _PER_FILE:
        yield Problem(file=file, message="and further problems of this file")


def _old_knowledge(version: int, value: dict[str, Any]) -> str:
    """Say what a knowledge leaf of an older version lacks of what version 3 wants."""
    schema = _schema(_VERSION_3, KNOWLEDGE_FOLDER)
    lacks = [f"`{key}`" for key in schema["required"] if key not in value]
    document = value.get("document")
    if isinstance(document, dict):
        lacks += [f"`{key}` in document" for key in schema["properties"]["document"]["required"] if key not in document]
    elif "document" in value:
        lacks.append("the keys of `document`, each on a line of its own")
    seeds = value.get("seed_examples")
    if not isinstance(seeds, list) and "seed_examples" in value:
        lacks.append("a list as `seed_examples`")
    if isinstance(seeds, list):
        if len(seeds) < (wanted := schema["properties"]["seed_examples"]["minItems"]):
            lacks.append(f"{wanted - len(seeds)} more seed examples (there are {len(seeds)}, and {wanted} are wanted)")
        contexts = [seed for seed in seeds if not (isinstance(seed, dict) and seed.get("context"))]
        if contexts:
            lacks.append(f"a `context` in {len(contexts)} of {len(seeds)} seed examples")
        pairs = [seed.get("questions_and_answers") if isinstance(seed, dict) else None for seed in seeds]
        few = [pair for pair in pairs if not isinstance(pair, list) or len(pair) < _USED_PAIRS]
        if few:
            flat = any(isinstance(seed, dict) and "question" in seed for seed in seeds)
            now = " (now a question and an answer stand there alone)" if flat else ""
            lacks.append(f"three `questions_and_answers` in {len(few)} of {len(seeds)} seed examples{now}")
    further = [f"`{shown(key)}`" for key in value if key not in {"version", *schema["properties"]}][:_USED_PAIRS]
    written = f"version {version}" if "version" in value else "no version, which means 1"
    said = f"{written}: InstructLab reads knowledge of version 3 only. "
    if lacks:
        said += f"Of what version 3 wants, this file lacks: {'; '.join(lacks)}. "
    if further:
        said += f"Version 3 does not know {', '.join(further)}. "
    return said + ("Mend that, then set `version: 3`" if lacks or further else "Set `version: 3`")


def _keys_twice(file: str, document: Document) -> Iterator[Problem]:
    for key, first, line, column in document.twice:
        message = f"the key `{shown(key)}` is here twice (first in line {first}), and only the last counts"
        yield Problem(file=file, line=line, column=column, message=f"{message}; remove one")


def _doubtful(file: str, document: Document) -> Iterator[Problem]:
    """Find what may be taken as something else than its author meant."""
    version = document.value.get("version")
    if isinstance(version, float) and version.is_integer():
        line, column = document.place(("version",))
        message = f"the version is a whole number; write `version: {version:.0f}`"
        yield Problem(file=file, line=line, column=column, message=message)
    if odd := ODD_BREAK.search(document.text):
        line = document.text.count("\n", 0, odd.start()) + 1
        column = odd.start() - document.text.rfind("\n", 0, odd.start())
        message = f"the character U+{ord(odd[0]):04X} stands here, which ends the line for YAML"
        yield Problem(file=file, line=line, column=column, message=f"{message}; put a blank in its place")
    for path, text in _prose(document.value):
        if place := document.comment_behind(path):
            message = "everything from # on is a comment and left out; if it belongs to the text, put that in quotes"
            yield Problem(file=file, line=place[0], column=place[1], message=message)
        if _TYPOGRAPHIC.fullmatch(text):
            line, column = document.place(path)
            message = (
                f"{text[0]} and {text[-1]} are no quotes to YAML and stay in the text; if they are not meant to be"
            )
            yield Problem(file=file, line=line, column=column, message=f"{message} in it, use plain ones")


def _prose(value: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every text that the teacher model gets to read, with its path."""

    def texts(inside: object, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
        if isinstance(inside, dict):
            yield from (((*path, key), inside[key]) for key in keys if isinstance(inside.get(key), str))

    yield from texts(value, (), _TOP_PROSE)
    seeds = value.get("seed_examples")
    for index, seed in enumerate(seeds if isinstance(seeds, list) else ()):
        path: Path = ("seed_examples", index)
        yield from texts(seed, path, _PROSE)
        pairs = seed.get("questions_and_answers") if isinstance(seed, dict) else None
        for number, pair in enumerate(pairs if isinstance(pairs, list) else ()):
            yield from texts(pair, (*path, "questions_and_answers", number), _PROSE)


def _misplaced(folder: str, value: dict[str, Any]) -> str | None:
    """Say it in one sentence where the schema would find fault with every line."""
    if folder != KNOWLEDGE_FOLDER and {"document", "domain"} <= value.keys():
        return f"this looks like a knowledge leaf (it names a document); put it below {KNOWLEDGE_FOLDER}/"
    if folder == KNOWLEDGE_FOLDER and "task_description" in value and not {"document", "domain"} & value.keys():
        return f"this looks like a skill (it names no document); put it below {SKILLS_FOLDER}/"
    return None


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
    if unique and validator.is_type(instance, "array") and twins(instance):
        yield ValidationError("has non-unique elements")


def _min_length(
    validator: Draft202012Validator, length: int, instance: Any, _schema: object
) -> Iterator[ValidationError]:
    """``minLength``, by which the schema means that there is a text: one of blanks is none."""
    if validator.is_type(instance, "string") and len(instance.strip()) < length:
        yield ValidationError("is too short")


_VALIDATOR: Final[Callable[..., Any]] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"uniqueItems": _unique_items, "minLength": _min_length}
)
