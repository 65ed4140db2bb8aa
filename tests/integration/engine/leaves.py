"""Leaves for engine tests: the same ones as a taxonomy for upstream and as a work folder for our engine."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from sdg_operator.engine.contract import EngineLeaf, EngineSettings
from sdg_operator.engine.estimate import expected_samples
from sdg_operator.storage.layout import leaf_id, leaf_path
from sdg_operator.storage.records import LeafKind, SampleSettings

LOREM = (
    "The {name} lives near rivers and eats seeds, insects and berries. In winter number {i} it gathers in flocks of "
    "about {i}0 birds and moves to lower ground. Its nest is made of moss and lined with hair. "
)


@dataclass(frozen=True)
class Leaf:
    folder: str
    kind: LeafKind
    seeds: int = 5
    sections: int = 4
    """Sections of each document, of a knowledge leaf."""
    documents: int = 1

    @property
    def id(self) -> str:
        return leaf_id(self.folder)

    @property
    def name(self) -> str:
        return self.folder.rsplit("/", 1)[-1]

    def seed(self, number: int) -> dict[str, Any]:
        question = f"What is fact {number} about the {self.name}?"
        answer = f"Fact {number} about the {self.name} is that it is “number {number}”."
        if self.kind == "knowledge":
            pairs = [{"question": f"{question[:-1]} ({i})?", "answer": f"{answer} ({i})"} for i in range(3)]
            return {"context": f"Context {number} of the {self.name}.", "questions_and_answers": pairs}
        context = {"context": f"Context {number} of the {self.name}: naïve."} if self.kind == "grounded" else {}
        return {"question": question, "answer": answer} | context

    def document(self, number: int) -> str:
        sections = (
            f"## Part {i} of the {self.name} {number}\n\n{LOREM.format(name=self.name, i=i + 1) * (i + 2)}\n"
            for i in range(self.sections)
        )
        return f"# The {self.name}, volume {number}\n\n" + "\n".join(sections)

    def document_names(self) -> list[str]:
        return [f"{self.name}-{i}.md" for i in range(self.documents)] if self.kind == "knowledge" else []

    def qna(self, repo: str = "https://example.com/repo", commit: str = "HEAD") -> str:
        contents: dict[str, Any] = {"version": 3, "created_by": "someone"}
        seeds = [self.seed(number) for number in range(self.seeds)]
        if self.kind == "knowledge":
            contents |= {
                "domain": "birds",
                "document_outline": f"All about the {self.name}",
                "document": {"repo": repo, "commit": commit, "patterns": self.document_names()},
            }
        else:
            contents |= {"task_description": f"Tell facts about the {self.name}."}
        text = yaml.safe_dump(contents | {"seed_examples": seeds}, allow_unicode=True, sort_keys=False, width=110)
        return "---\n" + text

    @property
    def input_digest(self) -> str:
        return "sha256:" + sha256(self.qna().encode()).hexdigest()

    def engine_leaf(self, settings: SampleSettings) -> EngineLeaf:
        size = sum(len(self.document(i).encode()) for i in range(self.documents)) if self.kind == "knowledge" else 0
        return EngineLeaf(
            id=self.id,
            path=leaf_path(self.folder),
            kind=self.kind,
            input_digest=self.input_digest,
            expected_samples=expected_samples(self.kind, self.seeds, size, settings),
        )


MIXED = (
    Leaf("compositional_skills/STEM/math/area", "freeform"),
    Leaf("compositional_skills/grounded/linguistics/inclusion", "grounded", seeds=6),
    Leaf("compositional_skills/writing/poem", "freeform", seeds=7),
    Leaf("knowledge/science/birds/chickadee", "knowledge"),
    Leaf("knowledge/science/birds/great_tit", "knowledge", documents=2, sections=3),
)


def write_work(
    root: Path,
    leaves: Sequence[Leaf],
    settings: SampleSettings,
    max_concurrency: int = 256,
    **elsewhere: int,
) -> Path:
    """Make a work folder as the fetch container does; `elsewhere` says what there is of other leaves of the run."""
    for leaf in leaves:
        folder = root / "in" / "leaves" / leaf.id
        folder.mkdir(parents=True)
        (folder / "qna.yaml").write_text(leaf.qna())
        for number, name in enumerate(leaf.document_names()):
            (folder / "documents").mkdir(exist_ok=True)
            (folder / "documents" / name).write_text(leaf.document(number))
    engine = EngineSettings(
        settings=settings,
        max_concurrency=max_concurrency,
        leaves=tuple(leaf.engine_leaf(settings) for leaf in leaves),
        **elsewhere,
    )
    (root / "in").mkdir(parents=True, exist_ok=True)
    (root / "in" / "settings.json").write_bytes(engine.to_json())
    return root


def write_taxonomy(root: Path, leaves: Iterable[Leaf]) -> Path:
    """Make a taxonomy as a person keeps it, its documents in a Git repository."""
    for leaf in leaves:
        repo, commit = "", ""
        if leaf.kind == "knowledge":
            repo_path = root.parent / "repos" / leaf.id
            repo_path.mkdir(parents=True)
            for number, name in enumerate(leaf.document_names()):
                (repo_path / name).write_text(leaf.document(number))
            repo, commit = str(repo_path), _commit_all(repo_path)
        folder = root / leaf.folder
        folder.mkdir(parents=True)
        (folder / "qna.yaml").write_text(leaf.qna(repo, commit))
    return root


def _commit_all(repo: Path) -> str:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
        done = subprocess.run(["git", *identity, *words], cwd=repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "documents")
    return git("rev-parse", "HEAD")


def samples(work: Path, leaf: Leaf) -> bytes:
    return (work / "out" / "leaves" / leaf.id / "samples.jsonl").read_bytes()


def json_lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.split(b"\n") if line]
