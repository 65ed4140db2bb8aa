"""The whole check of one taxonomy that was read: leaves, then documents, then the snapshot's content."""

import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from sdg_operator.storage.layout import leaf_path
from sdg_operator.storage.records import SnapshotIndex
from sdg_operator.taxonomy.check import Checked, Leaf, check_tree
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.documents import Gathered, gather
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import without_credentials
from sdg_operator.taxonomy.qna import DocumentSource
from sdg_operator.taxonomy.report import Counts, DocumentReference, FoundLeaf, FullReport, Problem, Reason, sentence
from sdg_operator.taxonomy.repository import Access
from sdg_operator.taxonomy.request import Limits, Lint
from sdg_operator.taxonomy.snapshot import DocumentFile, index_of, write_snapshot
from sdg_operator.taxonomy.source import Read

_SHOWN: Final = 200
_SHOWN_PATTERNS: Final = 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; `index` and the leaves only when the taxonomy is usable."""

    report: FullReport
    leaves: tuple[tuple[Leaf, tuple[DocumentFile, ...]], ...] = ()
    index: SnapshotIndex = field(default=SnapshotIndex(leaves=()))

    def write(self, target: Path) -> str:
        """Write the snapshot of a usable taxonomy and give its digest."""
        digest, _ = write_snapshot(target, self.index, self.leaves)
        return digest


def inspect(
    source: str, read: Read, limits: Limits, deadline: Deadline, access: Access | None, *, lint: Lint = "Warn"
) -> Inspection:
    """Check a taxonomy; without `access`, documents are not fetched and the result can give no snapshot.

    Raises `CheckError` for what ends a check early; see `failed`.
    """
    checked = check_tree(read.tree, limits, deadline, read.only, lint)
    gathered = Gathered()
    if access and not checked.problems:  # nothing is fetched for a taxonomy that must be mended anyway
        gathered = gather(checked.leaves, access)
    problems = (*checked.problems, *gathered.problems)
    documents = sum(len(files) for files in gathered.documents.values())
    report = FullReport(
        ok=not problems,
        reason="Valid",
        message="",
        source=source,
        revision=read.revision,
        root=checked.root,
        counts=checked.counts.model_copy(update={"documents": documents}),
        found=_found(checked),
        repositories=tuple(gathered.repositories),
        problems=problems,
        warnings=(*checked.warnings, *gathered.warnings),
        form=checked.form,
        versions=_versions(),
    )
    if problems:
        reason: Reason = gathered.reason if gathered.problems else "InvalidTaxonomy"
        retriable = bool(gathered.problems) and gathered.retriable
        update = {"reason": reason, "message": sentence(reason, _summary(problems)), "retriable": retriable}
        return Inspection(report.model_copy(update={**update, "external": gathered.external}))
    leaves = tuple((leaf, gathered.documents.get(leaf.id, ())) for leaf in checked.leaves)
    index = index_of(leaves, gathered.repositories)
    update = {"message": _praise(checked, documents, report.warnings), "leaves": index.leaves}
    return Inspection(report.model_copy(update=update), leaves, index)


def _found(checked: Checked) -> tuple[FoundLeaf, ...]:
    bad = {problem.file for problem in checked.problems}
    return tuple(
        FoundLeaf(
            path=leaf_path(leaf.folder),
            kind=leaf.qna.kind,
            seeds=leaf.qna.seeds,
            document=_reference(leaf.qna.document) if leaf.qna.document else None,
        )
        for leaf in checked.leaves
        if leaf.qna.file not in bad
    )


def _reference(source: DocumentSource) -> DocumentReference:
    """Give what a person wants to see of it; a qna.yaml may have a million patterns."""
    patterns = tuple(pattern[:_SHOWN] for pattern in source.patterns[:_SHOWN_PATTERNS])
    return DocumentReference(
        repo=without_credentials(source.repo)[:_SHOWN], commit=source.commit[:_SHOWN], patterns=patterns
    )


def failed(source: str, error: CheckError, revision: str = "") -> FullReport:
    """Report on a check that ended early."""
    return FullReport(
        ok=False,
        reason=error.reason,
        detail=error.detail,
        message=sentence(error.reason, error.message),
        retriable=error.retriable,
        source=source,
        revision=revision or error.revision,
        root=error.root,
        counts=Counts(ignored=error.ignored),
        problems=error.problems,
        versions=_versions(),
    )


def _summary(problems: tuple[Problem, ...]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    files = len({problem.file for problem in problems})
    return f"{len(problems)} problems in {files} file{'s' if files > 1 else ''}, the first: {problems[0]}"


def _praise(checked: Checked, documents: int, warnings: tuple[Problem, ...]) -> str:
    counts = checked.counts
    skills = _counted(counts.grounded + counts.freeform, "skill")
    parts = [
        f"{counts.leaves} {'leaf' if counts.leaves == 1 else 'leaves'}",
        f"({counts.knowledge} knowledge, {skills})",
        f"with {_counted(counts.seeds, 'seed example')}",
        f"and {_counted(documents, 'document')}" if documents else "",
        f"({_counted(counts.ignored, 'file')} ignored)" if counts.ignored else "",
    ]
    found = " ".join(part for part in parts if part)
    if not warnings:
        return found
    form = f" ({checked.form} of form, which `sdg taxonomy check FOLDER --fix` mends)" if checked.form else ""
    return f"{found}; {_counted(len(warnings), 'warning')}{form}, the first: {warnings[0]}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _versions() -> dict[str, str]:
    found = {}
    for name in ("instructlab-schema", "yamllint", "sdg-operator"):
        with suppress(PackageNotFoundError):  # our images hold our sources, not an installed distribution
            found[name] = version(name)
    try:
        found["git"] = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[
            2
        ]
    except (OSError, subprocess.CalledProcessError, IndexError):
        found["git"] = "none"
    return found
