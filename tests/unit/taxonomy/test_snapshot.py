"""The snapshot: the same content gives the same bytes, and a leaf's digest tells exactly when it changed."""

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from sdg_operator.storage.records import SnapshotIndex
from sdg_operator.taxonomy.check import Leaf
from sdg_operator.taxonomy.qna import read_qna
from sdg_operator.taxonomy.request import Limits
from sdg_operator.taxonomy.snapshot import DocumentFile, index_of, write_snapshot
from tests.taxonomies.making import knowledge, skill


def leaf(folder: str, content: str) -> Leaf:
    return Leaf(folder, content.encode(), read_qna(f"{folder}/qna.yaml", content.encode(), Limits()))


def doc(path: Path, name: str, content: str) -> DocumentFile:
    path.mkdir(exist_ok=True)
    (path / name).write_text(content)
    return DocumentFile(name, path / name, len(content), hashlib.sha256(content.encode()).hexdigest())


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    skills = leaf("compositional_skills/b", skill()), ()
    birds = leaf("knowledge/a", knowledge()), (doc(tmp_path, "y.md", "Y"), doc(tmp_path, "x.md", "X"))
    first = tmp_path / "first.tar.gz"
    digest, size = write_snapshot(first, index_of([skills, birds]), [skills, birds])
    os.utime(tmp_path / "x.md", (0, 0))
    again = (
        leaf("knowledge/a", knowledge()),
        (doc(tmp_path / "other", "x.md", "X"), doc(tmp_path / "other", "y.md", "Y")),
    )
    second = tmp_path / "second.tar.gz"
    assert write_snapshot(second, index_of([again, skills]), [again, skills]) == (digest, size)
    assert first.read_bytes() == second.read_bytes()
    assert digest == f"sha256:{hashlib.sha256(first.read_bytes()).hexdigest()}"
    assert size == first.stat().st_size
    with tarfile.open(first) as archive:
        assert archive.getnames() == [
            "index.json",
            "taxonomy/compositional_skills/b/qna.yaml",
            "taxonomy/knowledge/a/qna.yaml",
            "documents/knowledge_a/x.md",
            "documents/knowledge_a/y.md",
        ]
        assert {(item.mode, item.uid, item.gid, item.mtime, item.uname) for item in archive} == {(0o644, 0, 0, 0, "")}
        index = archive.extractfile("index.json")
        assert index is not None
        assert SnapshotIndex.model_validate_json(index.read()) == index_of([birds, skills])


BASE = ("knowledge/a", knowledge(), {"x.md": "X", "y.md": "Y"})


@pytest.mark.parametrize(
    ("folder", "content", "documents", "same"),
    [
        (*BASE, True),
        ("knowledge/a", knowledge(), {"y.md": "Y", "x.md": "X"}, True),
        ("knowledge/b", knowledge(), {"x.md": "X", "y.md": "Y"}, False),
        ("knowledge/a", knowledge(domain="Trees"), {"x.md": "X", "y.md": "Y"}, False),
        ("knowledge/a", knowledge(), {"x.md": "X", "y.md": "Z"}, False),
        ("knowledge/a", knowledge(), {"x.md": "X"}, False),
        ("knowledge/a", knowledge(), {"x.md": "Y", "y.md": "X"}, False),
        ("knowledge/a", knowledge(), {"x.md": "X", "z.md": "Y"}, False),
    ],
)
def test_a_leaf_has_another_digest_exactly_when_its_samples_could_differ(
    tmp_path: Path, folder: str, content: str, documents: dict[str, str], same: bool
) -> None:
    def digest(folder: str, content: str, documents: dict[str, str]) -> str:
        files = tuple(doc(tmp_path, name, text) for name, text in documents.items())
        return index_of([(leaf(folder, content), files)]).leaves[0].digest

    assert (digest(folder, content, documents) == digest(*BASE)) == same
