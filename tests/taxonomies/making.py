"""Small builders: a leaf's text, a tree, and the TAR.gz of a tree."""

import gzip
import io
import tarfile
from typing import Any

import yaml

Tree = dict[str, str | bytes]


class _Dumper(yaml.SafeDumper):
    """Writes no aliases by itself."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def text(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def seeds(count: int = 5, *, context: bool = False) -> list[dict[str, Any]]:
    return [
        {**({"context": f"Context {n}."} if context else {}), "question": f"Question {n}?", "answer": f"Answer {n}."}
        for n in range(count)
    ]


def skill(**changes: Any) -> str:
    """Text of a good freeform skill, with some keys changed; None removes a key."""
    value = {"version": 3, "created_by": "somebody", "task_description": "Do it.", "seed_examples": seeds(), **changes}
    return text({key: item for key, item in value.items() if item is not None})


def grounded(**changes: Any) -> str:
    return skill(**{"seed_examples": seeds(context=True), **changes})


def pairs(count: int = 3) -> list[dict[str, Any]]:
    return [{"question": f"Question {n}?", "answer": f"Answer {n}."} for n in range(count)]


def document(**changes: Any) -> dict[str, Any]:
    value = {"repo": "https://git.example.org/birds.git", "commit": "main", "patterns": ["*.md"], **changes}
    return {key: item for key, item in value.items() if item is not None}


def knowledge(**changes: Any) -> str:
    """Text of a good knowledge leaf, with some keys changed; None removes a key."""
    value = {
        "version": 3,
        "created_by": "somebody",
        "domain": "Birds",
        "document_outline": "About birds.",
        "seed_examples": [{"context": f"Context {n}.", "questions_and_answers": pairs()} for n in range(5)],
        "document": document(),
        **changes,
    }
    return text({key: item for key, item in value.items() if item is not None})


def entry(name: str, **attributes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for info, content in members:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def packed(tree: Tree, *extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """TAR.gz of a tree, with further entries."""
    members = [(entry(name), item.encode() if isinstance(item, str) else item) for name, item in tree.items()]
    return gzip.compress(tar(*members, *extra))
