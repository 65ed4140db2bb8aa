"""What an archive may hold and how it may be packed, good and bad: bytes → what the check says of it."""

import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from tests.taxonomies.making import entry, grounded, knowledge, packed, skill, tar

S, K = "compositional_skills", "knowledge"
GOOD = {f"{S}/a/qna.yaml": skill(), f"{S}/b/c/qna.yaml": grounded(), f"{K}/d/qna.yaml": knowledge()}


@dataclass(frozen=True)
class ArchiveCase:
    """`leaves` are the folders of a usable archive; otherwise `reason` and a part of the message."""

    name: str
    make: Callable[[], bytes]
    reason: str = "Valid"
    message: str = ""
    leaves: tuple[str, ...] = (f"{S}/a", f"{S}/b/c", f"{K}/d")
    root: str = ""
    ignored: tuple[str, ...] = ()
    """Parts of the warnings."""
    limits: dict[str, Any] = field(default_factory=dict)


def good(name: str, make: Callable[[], bytes], **more: Any) -> ArchiveCase:
    return ArchiveCase(name, make, **more)


def bad(name: str, make: Callable[[], bytes], reason: str, message: str, **more: Any) -> ArchiveCase:
    return ArchiveCase(name, make, reason, message, leaves=(), **more)


def below(top: str, tree: dict[str, str] = GOOD) -> dict[str, str | bytes]:
    return {f"{top}{name}": content for name, content in tree.items()}


def with_entry(name: str, content: bytes = b"", **attributes: Any) -> Callable[[], bytes]:
    return lambda: packed(dict(GOOD), (entry(name, **attributes), content))


def _broken_header() -> bytes:
    plain = bytearray(gzip.decompress(packed(dict(GOOD))))
    second = plain.index(b"ustar", 1024) - 257
    plain[second + 148] ^= 1
    return gzip.compress(bytes(plain))


def _without_end() -> bytes:
    """As from a tar that died between two entries."""
    plain = gzip.decompress(packed(dict(GOOD)))
    second = plain.index(b"ustar", 1024) - 257
    return gzip.compress(plain[:second])


def _two() -> bytes:
    return gzip.compress(gzip.decompress(packed({f"{S}/a/qna.yaml": skill()})) + gzip.decompress(packed(dict(GOOD))))


def _headers_upon_headers() -> bytes:
    """Each says that the next one has a long name."""
    longer = tarfile.TarInfo("././@LongLink")
    longer.type, longer.size = tarfile.GNUTYPE_LONGNAME, 1
    return gzip.compress((longer.tobuf() + b"x" + b"\0" * 511) * 600)


def _zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{S}/a/qna.yaml", skill())
    return buffer.getvalue()


def _header_bomb() -> bytes:
    """A PAX header of megabytes, which tarfile would read into memory."""
    member = entry("x", pax_headers={"comment": "x" * (3 << 20)})
    return gzip.compress(tar((member, b"")))


def _sparse() -> bytes:
    raw = bytearray(tar((entry(f"{S}/a/qna.yaml"), skill().encode()), form=tarfile.GNU_FORMAT))
    raw[156] = ord("S")
    raw[148:156] = b"        "
    raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    return gzip.compress(bytes(raw))


def _two_gzip_members() -> bytes:
    raw = tar(*((entry(name), content.encode()) for name, content in GOOD.items()))
    return gzip.compress(raw[:1000]) + gzip.compress(raw[1000:])


def _flipped(position: int) -> bytes:
    raw = bytearray(packed(dict(GOOD)))
    raw[position] ^= 0xFF
    return bytes(raw)


ARCHIVE_CASES = [
    # How it is packed
    good("the folders at the top", lambda: packed(dict(GOOD))),
    good("GitHub's single top folder", lambda: packed(below("taxonomy-1.2/")), root="taxonomy-1.2"),
    good("a dot at the top, as `tar -C dir .` makes it", lambda: packed(below("./"))),
    good("many folders deep", lambda: packed(below("a/b/c/d/e/")), root="a/b/c/d/e"),
    good("Windows' backslashes", lambda: packed({name.replace("/", "\\"): text for name, text in GOOD.items()})),
    good(
        "Windows' backslashes below a top folder",
        lambda: packed({f"tax\\{name}".replace("/", "\\"): text for name, text in GOOD.items()}),
        root="tax",
    ),
    good(
        "GNU's old form",
        lambda: gzip.compress(tar(*((entry(n), t.encode()) for n, t in GOOD.items()), form=tarfile.GNU_FORMAT)),
    ),
    good(
        "the oldest form (ustar)",
        lambda: gzip.compress(tar(*((entry(n), t.encode()) for n, t in GOOD.items()), form=tarfile.USTAR_FORMAT)),
    ),
    good(
        "two gzip members, one after the other",
        _two_gzip_members,
    ),
    good("with entries for folders", lambda: packed(dict(GOOD), (entry(f"{S}/", type=tarfile.DIRTYPE), b""))),
    good("a repository that is itself called knowledge", lambda: packed(below("knowledge/")), root="knowledge"),
    good(
        "a repository called knowledge with knowledge only",
        lambda: packed({"knowledge/knowledge/x/qna.yaml": knowledge()}),
        leaves=(f"{K}/{K}/x",),
    ),
    good(
        "skills about knowledge only",
        lambda: packed({f"{S}/{K}/a/qna.yaml": skill(), f"{S}/{K}/b/qna.yaml": skill()}),
        leaves=(f"{S}/{K}/a", f"{S}/{K}/b"),
    ),
    good(
        "a single skill about compositional skills below a top folder",
        lambda: packed({f"top/{S}/{S}/a/qna.yaml": skill()}),
        leaves=(f"{S}/{S}/a",),
        root="top",
    ),
    good(
        "a docs folder that has a knowledge folder without leaves",
        lambda: packed({**below("tax/sub/"), "tax/knowledge/README.md": "x"}),
        root="tax/sub",
    ),
    good("knowledge only", lambda: packed({f"{K}/x/qna.yaml": knowledge()}), leaves=(f"{K}/x",)),
    good("a leaf directly in the top folder", lambda: packed({f"{K}/qna.yaml": knowledge()}), leaves=(K,)),
    good(
        "a leaf below a leaf",
        lambda: packed({f"{S}/a/qna.yaml": skill(), f"{S}/a/b/qna.yaml": skill()}),
        leaves=(f"{S}/a", f"{S}/a/b"),
    ),
    good(
        "folder names with spaces and other scripts",
        lambda: packed({f"{S}/mein Ordner/日本/qna.yaml": skill()}),
        leaves=(f"{S}/mein Ordner/日本",),
    ),
    good(
        "other files beside the leaves",
        lambda: packed({**GOOD, f"{S}/a/attribution.txt": "me", "README.md": "hello", ".github/x.yml": "a: 1"}),
    ),
    good(
        "a symbolic link that is no part of the taxonomy",
        with_entry("docs/link.md", type=tarfile.SYMTYPE, linkname="../README.md"),
    ),
    good(
        "a very long path",
        lambda: packed({f"{S}/{'x' * 200}/{'y' * 200}/qna.yaml": skill()}),
        leaves=(f"{S}/{'x' * 200}/{'y' * 200}",),
    ),
    good("macOS' shadow files", lambda: packed({**GOOD, f"{S}/a/._qna.yaml": b"\0\5\x16\7", "__MACOSX/._x": b"\0"})),
    good(
        "macOS' copy of the tree",
        lambda: packed({**below("t/"), f"__MACOSX/t/{S}/a/qna.yaml": b"\0\5\x16\7", f"__MACOSX/{S}/x": b""}),
        root="t",
    ),
    good("Git's own folder", lambda: packed({**GOOD, ".git/refs/heads/knowledge/qna.yaml": "0" * 40})),
    # Ignored, and said so
    good(
        "foundational skills",
        lambda: packed({**GOOD, "foundational_skills/r/qna.yaml": skill()}),
        ignored=("foundational_skills/r/qna.yaml foundational_skills are not read",),
    ),
    good(
        "qna.yml",
        lambda: packed({**GOOD, f"{S}/x/qna.yml": skill()}),
        ignored=(f"{S}/x/qna.yml is not read: the file must be named qna.yaml, not qna.yml",),
    ),
    good(
        "QNA.yaml",
        lambda: packed({**GOOD, f"{S}/x/QNA.yaml": skill()}),
        ignored=("must be named qna.yaml, not QNA.yaml",),
    ),
    good(
        "names that editors and downloads give",
        lambda: packed({**GOOD, f"{S}/x/qna (1).yaml": "", f"{S}/y/qna.yaml.txt": "", f"{S}/z/qna_v2.yaml": ""}),
        ignored=("not qna (1).yaml", "not qna.yaml.txt"),
    ),
    good(
        "an ignored file that is larger than a leaf may be",
        lambda: packed({**GOOD, f"{S}/x/qna.yml": b"x" * (2 << 20)}),
        ignored=("must be named qna.yaml, not qna.yml",),
    ),
    good(
        "a taxonomy folder in capitals beside a good one",
        lambda: packed({f"{S}/a/qna.yaml": skill(), "Knowledge/b/qna.yaml": knowledge()}),
        leaves=(f"{S}/a",),
        ignored=("Knowledge/b/qna.yaml is not read: the folder must be named knowledge, not Knowledge",),
    ),
    good(
        "a qna.yaml at the root",
        lambda: packed({**GOOD, "qna.yaml": skill()}),
        ignored=("qna.yaml lies outside compositional_skills and knowledge",),
    ),
    good(
        "a qna.yaml in another folder",
        lambda: packed({**GOOD, "docs/qna.yaml": skill()}),
        ignored=("docs/qna.yaml lies outside",),
    ),
    good(
        "a qna.yaml above the root",
        lambda: packed({**below("top/"), "qna.yaml": skill()}),
        root="top",
        ignored=("../qna.yaml lies outside the taxonomy's folder",),
    ),
    good(
        "a qna.yml beside the root",
        lambda: packed({**below("top/"), "other/x/qna.yml": skill()}),
        root="top",
        ignored=("../other/x/qna.yml lies outside the taxonomy's folder",),
    ),
    good(
        "more ignored files than a report lists",
        lambda: packed({**GOOD, **{f"docs/{n}/qna.yaml": "" for n in range(12)}}),
        ignored=("docs/0/qna.yaml lies outside", "2 further ones are not listed", *[""] * 10),
        limits={"problems": 10},
    ),
    # No leaves
    bad("an empty archive", lambda: packed({}), "NoLeaves", "there is no compositional_skills or knowledge folder"),
    bad("no taxonomy at all", lambda: packed({"README.md": "x"}), "NoLeaves", "only README.md; pack the folder"),
    bad("an archive in an archive", lambda: packed({"t.tar.gz": b"x"}), "NoLeaves", "knowledge folder, only t.tar.gz"),
    bad(
        "the folders with a dash and a slip",
        lambda: packed({"Compositional-Skills/a/qna.yaml": skill(), "knowlege/b/qna.yaml": knowledge()}),
        "NoLeaves",
        "must be named compositional_skills, not Compositional-Skills; knowlege/b/qna.yaml is not read: the folder "
        "must be named knowledge, not knowlege",
    ),
    bad("a leaf without a taxonomy", lambda: packed({"qna.yaml": skill()}), "NoLeaves", "lies in a folder of its own"),
    bad(
        "the empty skeleton",
        lambda: packed({f"t/{S}/.gitkeep": "", f"t/{K}/.gitkeep": ""}),
        "NoLeaves",
        "there is no qna.yaml below compositional_skills or knowledge in t",
    ),
    bad(
        "the folders' content without the folders",
        lambda: packed({"STEM/math/qna.yaml": skill()}),
        "NoLeaves",
        "Ignored: STEM/math/qna.yaml lies outside",
    ),
    bad(
        "only foundational skills",
        lambda: packed({"t/foundational_skills/r/qna.yaml": skill()}),
        "NoLeaves",
        "foundational_skills are not read",
    ),
    bad("only qna.yml", lambda: packed({f"{S}/x/qna.yml": skill()}), "NoLeaves", "must be named qna.yaml"),
    bad("only empty leaves", lambda: packed({f"{S}/x/qna.yaml": ""}), "NoLeaves", "every qna.yaml is empty"),
    # Ambiguous
    bad(
        "two taxonomies",
        lambda: packed({**below("one/"), **below("two/")}),
        "InvalidTaxonomy",
        "more than one folder could be the taxonomy (one, two)",
    ),
    bad(
        "colliding leaf names",
        lambda: packed({f"{S}/a_b/c/qna.yaml": skill(), f"{S}/a/b_c/qna.yaml": skill()}),
        "InvalidTaxonomy",
        f"{S}/a_b/c/qna.yaml has the same name in files ({S}_a_b_c) as {S}/a/b_c/qna.yaml",
    ),
    bad(
        "a leaf twice",
        lambda: packed({f"{S}/a/qna.yaml": skill()}, (entry(f"{S}/a/qna.yaml"), grounded().encode())),
        "ArchiveRefused",
        f"{S}/a/qna.yaml: is there twice",
    ),
    bad(
        "a leaf twice, under two spellings",
        lambda: packed({f"{S}/a/qna.yaml": skill(), f"./{S}//a/qna.yaml": skill()}),
        "ArchiveRefused",
        "is there twice",
    ),
    # Not a TAR.gz
    bad("an empty file", lambda: b"", "ArchiveRefused", "not a gzip-compressed TAR: it is empty"),
    bad("a ZIP file", _zip, "ArchiveRefused", "it is a ZIP file"),
    bad("an xz file", lambda: lzma.compress(tar()), "ArchiveRefused", "it is an xz file"),
    bad(
        "a TAR that is not compressed",
        lambda: tar((entry("a"), b"")),
        "ArchiveRefused",
        "it is a TAR that is not compressed; make it with `tar -czf`",
    ),
    bad("a login page in its place", lambda: b"<!doctype html><html>", "ArchiveRefused", "it is a page (HTML or XML)"),
    bad("a qna.yaml in its place", lambda: skill().encode(), "ArchiveRefused", "it is something else"),
    bad(
        "a Git LFS pointer",
        lambda: b"version https://git-lfs.github.com/spec/v1\n",
        "ArchiveRefused",
        "a Git LFS pointer",
    ),
    bad(
        "gzip of something else",
        lambda: gzip.compress(b"hello " * 500),
        "ArchiveRefused",
        "cut off or broken at its beginning",
    ),
    bad("a broken header between two entries", _broken_header, "ArchiveRefused", "is cut off or broken after"),
    bad("cut off between two entries", _without_end, "ArchiveRefused", "is cut off or broken after"),
    bad("two archives, one after the other", _two, "ArchiveRefused", "there is more after its end"),
    bad("headers upon headers", _headers_upon_headers, "ArchiveRefused", "is cut off or broken"),
    bad("cut off in the middle", lambda: packed(dict(GOOD))[:-200], "ArchiveRefused", "is cut off or broken"),
    bad(
        "a flipped bit",
        lambda: _flipped(150),
        "ArchiveRefused",
        "is cut off or broken",
    ),
    bad("a wrong checksum at the very end", lambda: _flipped(-6), "ArchiveRefused", "CRC check failed"),
    # Hostile
    bad("an absolute path", with_entry("/etc/passwd"), "ArchiveRefused", "/etc/passwd: has an absolute path"),
    bad("Windows' absolute path", with_entry("C:\\temp\\x"), "ArchiveRefused", "C:\\temp\\x: has an absolute path"),
    bad(
        "a path that leaves the archive",
        with_entry("a/../../x"),
        "ArchiveRefused",
        "a/../../x: leaves the taxonomy (..)",
    ),
    bad(
        "a path that leaves it with backslashes",
        with_entry("a\\..\\..\\x"),
        "ArchiveRefused",
        "leaves the taxonomy (..)",
    ),
    bad(
        "a symbolic link as a leaf",
        with_entry(f"{S}/evil/qna.yaml", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "InvalidTaxonomy",
        f"{S}/evil/qna.yaml is a symbolic link",
    ),
    bad(
        "a symbolic link as a folder",
        with_entry(f"{S}/evil", type=tarfile.SYMTYPE, linkname="/"),
        "InvalidTaxonomy",
        f"{S}/evil is a symbolic link",
    ),
    bad(
        "a hard link",
        with_entry(f"{S}/evil", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        "ArchiveRefused",
        f"{S}/evil: is a hard link, a device, a pipe or a sparse file",
    ),
    bad(
        "a character device",
        with_entry("zero", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        "ArchiveRefused",
        "zero: is a hard link, a device",
    ),
    bad("a block device", with_entry("sda", type=tarfile.BLKTYPE), "ArchiveRefused", "sda: is a hard link, a device"),
    bad(
        "a pipe", with_entry("pipe", type=tarfile.FIFOTYPE), "ArchiveRefused", "pipe: is a hard link, a device, a pipe"
    ),
    bad("a sparse file", _sparse, "ArchiveRefused", "is a hard link, a device, a pipe or a sparse file"),
    bad(
        "a leaf's folder name with a control character",
        with_entry(f"{S}/a\x1b[2J/qna.yaml"),
        "ArchiveRefused",
        "control characters",
    ),
    bad(
        "a leaf's folder name that is not UTF-8",
        lambda: packed(dict(GOOD), (entry(f"{S}/\udcff/qna.yaml"), b"")),
        "ArchiveRefused",
        "not UTF-8",
    ),
    bad(
        "a leaf's folder name that is too long",
        with_entry(f"{S}/{'x' * 256}/qna.yaml"),
        "ArchiveRefused",
        "a folder name that is too long",
    ),
    bad("a deep path", with_entry("d/" * 40 + "x"), "TooLarge", "lies more than 32 folders deep"),
    bad(
        "a bomb",
        lambda: packed({**GOOD, "big": b"\0" * (8 << 20)}),
        "TooLarge",
        "unpacked, the archive has more than 4194304 bytes (after big)",
        limits={"archive_bytes": 4 << 20},
    ),
    bad(
        "too many entries",
        lambda: packed({f"f{n}": "" for n in range(2000)}),
        "TooLarge",
        "more than 1000 files and folders",
        limits={"entries": 1000},
    ),
    bad(
        "a leaf that is too large",
        lambda: packed({**GOOD, f"{S}/big/qna.yaml": b"# " + b"x" * (1 << 20)}),
        "TooLarge",
        f"{S}/big/qna.yaml: has 1048578 bytes, more than 1048576",
    ),
    bad(
        "too many leaves",
        lambda: packed({f"{S}/{n}/qna.yaml": "" for n in range(101)}),
        "TooLarge",
        "there are 101 leaves, more than 100",
        limits={"leaves": 100},
    ),
    bad(
        "too many problems",
        lambda: packed({f"{S}/{n}/qna.yaml": "-" for n in range(200)}),
        "InvalidTaxonomy",
        "102 problems in 102 files",
        limits={"problems": 100},
    ),
    bad(
        "leaves that are too large together",
        lambda: packed({f"{S}/{n}/qna.yaml": skill() for n in range(100)}),
        "TooLarge",
        "all qna.yaml files up to here have more than 10000 bytes",
        limits={"taxonomy_bytes": 10_000},
    ),
    bad(
        "an entry's header of megabytes",
        _header_bomb,
        "ArchiveRefused",
        "an entry's header has more than 1048576 bytes",
    ),
]
