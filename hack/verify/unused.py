"""Code that nothing uses, by vulture; fields of models and names that frameworks call are left out."""

from vulture import Vulture

from hack.verify.repository import ROOT, files

_CALLED_BY_FRAMEWORKS = {
    "do_*",  # http.server
    "log_message",
    "protocol_version",
    "daemon_threads",
    "ignore_aliases",  # PyYAML
    "get_max_tokens",  # docling
    "get_tokenizer",
    "chunk_documents",  # instructlab-sdg
    "purge",  # kopf
    "model_config",  # pydantic
    "pytestmark",
    "pytest_*",
    "test_*",
}
_BY_DECORATOR = ["@pytest.*", "@field_validator*", "@model_validator*", "@field_serializer*", "@rule*", "@invariant*"]
_BY_DECORATOR += ["@initialize*", "@precondition*", "@given*", "@kopf.*", "@routes.*"]


def check() -> list[str]:
    """Return one line for each function, class, method, property or constant that is named only once."""
    finder = Vulture(ignore_names=sorted(_CALLED_BY_FRAMEWORKS), ignore_decorators=_BY_DECORATOR)
    finder.scavenge([str(path) for path in files("*.py")])
    return [
        f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: unused {item.typ} {item.name}"
        for item in finder.get_unused_code(min_confidence=60)
        # A lower-case variable or an attribute is mostly a field that only the wire reads; imports are ruff's, which
        # reads quoted annotations too.
        if item.typ not in {"attribute", "import"} and (item.typ != "variable" or item.name.isupper())
    ]
