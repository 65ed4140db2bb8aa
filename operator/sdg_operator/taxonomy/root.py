"""Finds the taxonomy inside what was read, and tells leaves from what only looks like one. Pure."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import relpath

from sdg_operator.storage.layout import leaf_id
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.report import Problem
from sdg_operator.taxonomy.tree import LEAF_FILE, TAXONOMY_FOLDERS, Tree, printable

_FOUNDATIONAL = "foundational_skills"
_CLOSE = 0.85
_NAME_LENGTH = 40
_LINK = "is a symbolic link, and links are not followed; put the file itself here"
_SUB = "is a Git submodule, and those are not fetched; put the files themselves here"


@dataclass(frozen=True, slots=True)
class Selection:
    """The leaves of a tree, by folder below the root (``knowledge/science/birds``), in order."""

    root: str
    leaves: dict[str, bytes]
    ignored: tuple[Problem, ...]
    """Files that look like leaves but are not read, each with the reason."""
    problems: tuple[Problem, ...]

    def file_of(self, folder: str) -> str:
        """Path of a leaf's file in the tree."""
        return "/".join(filter(None, (self.root, folder, LEAF_FILE)))


def select(tree: Tree) -> Selection:
    """Find the root, the leaves below it, colliding names, and what is ignored.

    Raises `CheckError` with reason NoLeaves, or InvalidTaxonomy when two folders could be the root.
    """
    root = find_root(tree)
    prefix = f"{root}/" if root else ""
    leaves: dict[str, bytes] = {}
    ignored: list[Problem] = []
    for path in sorted(tree.files):
        inside = path.removeprefix(prefix) if path.startswith(prefix) else None
        why = _why_ignored(path, inside)
        if why:
            ignored.append(Problem(file=relpath(f"/{path}", f"/{root}"), message=why))
        elif inside is not None:
            leaves[inside.removesuffix(f"/{LEAF_FILE}")] = tree.files[path]
    problems = [
        Problem(file=path.removeprefix(prefix), message=message)
        for path, message in sorted(
            [*((link, _LINK) for link in tree.links), *((sub, _SUB) for sub in tree.submodules)]
        )
        if _holds(root, path)
    ]
    if not leaves:
        why = _why_empty(tree, root, problems, ignored)
        raise CheckError("NoLeaves", why, problems=(*problems, *ignored), root=root, ignored=len(ignored))
    return Selection(root=root, leaves=leaves, ignored=tuple(ignored), problems=(*problems, *_collisions(leaves)))


def find_root(tree: Tree) -> str:
    """Give the folder that holds ``compositional_skills`` or ``knowledge`` with a leaf in it: the shallowest.

    A top folder that is itself called ``knowledge`` is stepped into when it holds both of them with all the leaves.
    """
    split = [path.split("/") for path in tree.files]
    holding = {"/".join(parts[:i]) for parts in split for i, part in enumerate(parts[:-1]) if part in TAXONOMY_FOLDERS}
    candidates = holding or tree.roots
    if not candidates:
        return ""
    depth = min(_depth(root) for root in candidates)
    shallowest = sorted(root for root in candidates if _depth(root) == depth)
    if len(shallowest) > 1:
        message = (
            f"more than one folder could be the taxonomy ({', '.join(shallowest[:5])}): each holds a "
            f"{' or '.join(TAXONOMY_FOLDERS)} folder; pack one taxonomy"
        )
        raise CheckError("InvalidTaxonomy", message)
    root = shallowest[0]
    leaves = [path for path in tree.files if _holds(root, path)]
    for name in TAXONOMY_FOLDERS:
        inner = f"{root}/{name}" if root else name
        # With one of the two alone it is a folder of the taxonomy that is called so, compositional_skills/knowledge.
        tops = {path.removeprefix(f"{inner}/").split("/", 1)[0] for path in leaves if _holds(inner, path)}
        if tops == set(TAXONOMY_FOLDERS) and all(_holds(inner, path) for path in leaves):
            return inner
    return root


def _holds(root: str, path: str) -> bool:
    prefix = f"{root}/" if root else ""
    return path.startswith(prefix) and path.removeprefix(prefix).split("/", 1)[0] in TAXONOMY_FOLDERS


def _depth(root: str) -> int:
    return len(root.split("/")) if root else 0


def _why_ignored(path: str, inside: str | None) -> str | None:
    top, _, rest = (inside or "").partition("/")
    if top not in TAXONOMY_FOLDERS or not rest:
        return _why_outside(path, inside)
    name = path.rpartition("/")[2]
    if name != LEAF_FILE:
        return f"is not read: the file must be named {LEAF_FILE}, not {name}"
    return None


def _why_outside(path: str, inside: str | None) -> str:
    folders = path.split("/")[:-1]
    for folder in folders:
        if (wanted := _meant(folder)) and folder not in TAXONOMY_FOLDERS:
            return f"is not read: the folder must be named {wanted}, not {folder}"
    if inside is None:
        return "lies outside the taxonomy's folder and is not read"
    if _FOUNDATIONAL in folders:
        return f"{_FOUNDATIONAL} are not read by InstructLab's data generation; only {' and '.join(TAXONOMY_FOLDERS)}"
    return f"lies outside {' and '.join(TAXONOMY_FOLDERS)} and is not read"


def _meant(folder: str) -> str | None:
    """Give the taxonomy folder that a name comes near to: in capitals, with a dash, a blank or a slip in it."""
    plain = re.sub(r"[\W_]+", "_", folder.strip().casefold()[:_NAME_LENGTH])
    return next(iter(get_close_matches(plain, TAXONOMY_FOLDERS, n=1, cutoff=_CLOSE)), None)


def _why_empty(tree: Tree, root: str, problems: list[Problem], ignored: list[Problem]) -> str:
    wanted = " or ".join(TAXONOMY_FOLDERS)
    if problems:
        return f"there is no {LEAF_FILE} below {wanted}: {problems[0]}"
    if ignored:
        what = "; ".join(str(item) for item in ignored[:3])
        return f"there is no {LEAF_FILE} that is read; it lies in a folder of its own below {wanted}. Ignored: {what}"
    if tree.roots:
        return f"there is no {LEAF_FILE} below {wanted} in {root or 'the top folder'}"
    there = f", only {', '.join(printable(top) for top in tree.tops)}" if tree.tops else ""
    return f"there is no {wanted} folder{there}; pack the folder that holds them"


def _collisions(leaves: dict[str, bytes]) -> list[Problem]:
    """Two leaves whose names in files are equal: InstructLab would let one overwrite the other, silently."""
    by_id: dict[str, list[str]] = {}
    for folder in leaves:
        by_id.setdefault(leaf_id(folder), []).append(folder)
    return [
        Problem(
            file=f"{folder}/{LEAF_FILE}",
            message=f"has the same name in files ({name}) as {folders[0]}/{LEAF_FILE}; rename one of the folders",
        )
        for name, folders in by_id.items()
        for folder in folders[1:]
    ]
