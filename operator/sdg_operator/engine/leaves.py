"""Read a leaf of the work folder: its qna.yaml as the seeds that instructlab-sdg makes input rows of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sdg_operator.engine import pdf
from sdg_operator.engine.contract import EngineLeaf
from sdg_operator.engine.failure import LeafFailure
from sdg_operator.engine.workfolder import WorkFolder

Seed = dict[str, Any]

MARKDOWN = ".md"


def read_seeds(work: WorkFolder, leaf: EngineLeaf) -> list[Seed]:
    """Return a leaf's seed examples in the form of upstream's ``read_taxonomy``.

    The taxonomy was checked against the schema when it was packed; here only what the pipelines need is looked at.
    Samples name their leaf by its id, which is upstream's own name (the path joined by ``_``) unless that is too long
    for a file name. Raises LeafFailure.
    """
    contents = _mapping(work.qna(leaf.id))
    examples = contents.get("seed_examples")
    if not isinstance(examples, list) or not examples:
        raise LeafFailure("InvalidLeaf", "qna.yaml has no seed_examples")
    documents = usable_documents(work, leaf) if leaf.kind == "knowledge" else []
    return [_seed(contents, example, leaf, documents) for example in examples]


def usable_documents(work: WorkFolder, leaf: EngineLeaf) -> list[Path]:
    """Return a knowledge leaf's documents; raises LeafFailure where there are none or one cannot be read here."""
    documents = work.documents(leaf.id)
    if not documents:
        raise LeafFailure("NoDocuments", "the leaf has no documents: its patterns match no .md or .pdf file")
    for document in documents:
        kind = document.suffix.lower()
        if kind == pdf.SUFFIX and not pdf.readable():
            raise LeafFailure(
                "UnsupportedDocument",
                f"documents/{document.name} is a PDF, which this engine image cannot read: convert it to Markdown, or "
                "use an image with the extra pdf",
            )
        if kind not in {MARKDOWN, pdf.SUFFIX}:
            raise LeafFailure("UnsupportedDocument", f"documents/{document.name} is neither Markdown (.md) nor PDF")
    return documents


def _mapping(qna: bytes) -> dict[str, Any]:
    try:
        contents = yaml.safe_load(qna)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise LeafFailure("InvalidLeaf", f"qna.yaml is no YAML: {error}") from error
    if not isinstance(contents, dict):
        raise LeafFailure("InvalidLeaf", "qna.yaml is no mapping")
    return contents


def _seed(contents: dict[str, Any], example: Any, leaf: EngineLeaf, documents: Sequence[Path]) -> Seed:
    if not isinstance(example, dict):
        raise LeafFailure("InvalidLeaf", "qna.yaml: a seed example is no mapping")
    common = {"taxonomy_path": leaf.id, "domain": contents.get("domain")}
    if leaf.kind == "knowledge":
        pairs = example.get("questions_and_answers")
        if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
            raise LeafFailure("InvalidLeaf", "qna.yaml: a seed example has no questions_and_answers")
        return common | {
            "questions_and_answers": pairs,
            "context": example.get("context", ""),
            "filepaths": documents,
            "document_outline": contents.get("document_outline"),
        }
    question, answer = example.get("question"), example.get("answer")
    if not isinstance(question, str) or not isinstance(answer, str):
        raise LeafFailure("InvalidLeaf", "qna.yaml: a seed example needs question and answer, both text")
    return common | {
        "instruction": question,
        "input": example.get("context", ""),
        "output": answer,
        "task_description": contents.get("task_description"),
    }
