"""Checks all that a taxonomy says by itself: its leaves, their format, their names. Documents come after, elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass

from sdg_operator.storage.layout import leaf_id
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.lint import Text, lint
from sdg_operator.taxonomy.qna import Qna, read_qna
from sdg_operator.taxonomy.report import Counts, Problem
from sdg_operator.taxonomy.request import Limits, Lint
from sdg_operator.taxonomy.root import select
from sdg_operator.taxonomy.tree import LEAF_FILE, Tree
from sdg_operator.taxonomy.yamltext import decode


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf that the check has read."""

    folder: str
    """Below the taxonomy's root, ``knowledge/science/birds``."""
    content: bytes
    qna: Qna

    @property
    def id(self) -> str:
        return leaf_id(self.folder)


@dataclass(frozen=True, slots=True)
class Checked:
    """A taxonomy as the check saw it; usable when there are no problems."""

    root: str
    leaves: tuple[Leaf, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ignored: int
    form: int
    """Matters of form: among the warnings, or where lint is Strict among the problems."""

    @property
    def counts(self) -> Counts:
        kinds = [leaf.qna.kind for leaf in self.leaves]
        return Counts(
            leaves=len(kinds),
            knowledge=kinds.count("knowledge"),
            grounded=kinds.count("grounded"),
            freeform=kinds.count("freeform"),
            seeds=sum(leaf.qna.seeds for leaf in self.leaves),
            ignored=self.ignored,
        )


def check_tree(
    tree: Tree, limits: Limits, deadline: Deadline, only: frozenset[str] | None = None, lint_mode: Lint = "Warn"
) -> Checked:
    """Find and check the leaves; with `only`, no others than those files of the tree, and so perhaps none.

    Raises `CheckError` with reason NoLeaves, InvalidTaxonomy (no single root) or TimedOut. What can be mended file by
    file is in the result's problems, all of it.
    """
    selection = select(tree)
    if len(selection.leaves) > limits.leaves:
        raise CheckError("TooLarge", f"there are {len(selection.leaves)} leaves, more than {limits.leaves}")
    problems = list(selection.problems)
    warnings = list(selection.ignored)
    leaves = []
    looked = only is None
    for folder, content in selection.leaves.items():
        if only is not None and selection.file_of(folder) not in only:
            continue
        looked = True
        deadline.left()
        if len(problems) > limits.problems:
            problems.append(Problem(message="further files were not looked at: there are too many problems"))
            break
        qna = read_qna(f"{folder}/{LEAF_FILE}", content, limits)
        problems += qna.problems
        warnings += qna.warnings
        if qna.empty:
            warnings.append(Problem(file=qna.file, line=1, column=1, message="The file is empty, and is left out"))
        else:
            leaves.append(Leaf(folder, content, qna))
    if not leaves and (looked or problems):
        ignored = len(selection.ignored)
        found = _bounded([*problems, *warnings], limits)
        raise CheckError("NoLeaves", _why_none(only), problems=found, root=selection.root, ignored=ignored)
    second = lint(_texts(leaves), deadline.left(), limits.problems)
    problems += _bounded(second.refused, limits)
    form = sorted(second.form, key=_place)
    if lint_mode == "Strict":
        problems += form
    else:
        warnings += form
    return Checked(
        root=selection.root,
        leaves=tuple(sorted(leaves, key=lambda leaf: leaf.id)),
        problems=tuple(sorted(problems, key=_place)),
        warnings=_bounded(warnings, limits),
        form=second.form_total,
        ignored=len(selection.ignored),
    )


def _texts(leaves: list[Leaf]) -> Iterator[Text]:
    """Give the leaves that are YAML."""
    for leaf in leaves:
        if leaf.qna.readable:
            yield Text(leaf.qna.file, decode(leaf.content), form=leaf.qna.linted)


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line or 0, problem.column or 0


def _bounded(found: list[Problem], limits: Limits) -> tuple[Problem, ...]:
    if len(found) <= limits.problems:
        return tuple(found)
    rest = Problem(message=f"{len(found) - limits.problems} further ones are not listed")
    return (*found[: limits.problems], rest)


def _why_none(only: frozenset[str] | None) -> str:
    return f"every {LEAF_FILE}{'' if only is None else ' that is new or changed against the base ref'} is empty"
